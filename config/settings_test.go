package config_test

import (
	"fmt"
	"strings"
	"testing"

	"rapport/config"
)

// TestSettingsPage keeps docs/settings.md equal to the struct tags; -update
// writes it.
func TestSettingsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(settingsHead)
	for _, s := range config.Reference() {
		if s.Help == "" {
			t.Errorf("%s has no help", s.Name)
		}
		def, env := "", ""
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		if s.Env != "" {
			env = "`" + s.Env + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Type, def, strings.ReplaceAll(s.Help, "|", "\\|"), env)
	}
	b.WriteString(settingsTail)
	golden(t, "../docs/settings.md", b.String())
}

const settingsHead = `# Settings

Written by a test from the code (` + "`go test ./config -run SettingsPage -update`" + `); do not edit.

One YAML file (` + "`--config FILE`" + `), every key also as an environment variable, which wins over the file. An empty variable counts
as not set. Unknown keys and variables are errors. ` + "`rapport config check`" + ` lists everything that is wrong at once,
` + "`rapport config print`" + ` shows what is in effect, with secrets hidden.

Every secret may stand in a file instead: write the key with ` + "`_file`" + ` behind it. One line end at the end of the file is ignored.
Lists in variables are YAML or words with commas between; objects are YAML. Durations are written like 90s, 10m or 48h, rates
like 50/s, 600/m, 1000/h or 20000/d, sizes like 64KB, 10MB or 1GiB.

` + "`<NAME>`" + ` is the name of the topic or channel in capitals, with dashes as underscores. ` + "`RAPPORT_TOPICS_<NAME>_KIND`" + ` and
` + "`RAPPORT_CHANNELS_<NAME>_DRIVER`" + ` make one that the file does not have.

| Key | Type | Default | What it does | Variable |
|---|---|---|---|---|
`

const settingsTail = `
A channel has the settings of its driver besides these: ` + "`rapport channels describe DRIVER`" + ` lists them. Each of them is a key
of the channel, ` + "`RAPPORT_CHANNELS_<NAME>_<KEY>`" + ` in the environment, and, if it is a secret, may be read from a file by ` + "`<key>_file`" + `.
`
