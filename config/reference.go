package config

import (
	"reflect"
	"strings"
)

// Setting describes one setting, for people.
type Setting struct {
	Name    string // key in the file, like log.level or topics[].kind
	Type    string
	Default string
	Help    string
	Env     string // environment variable that sets it
}

// Reference lists every setting of the house, as the struct tags have it. A
// channel's other settings belong to its driver: channels.Driver.Fields.
func Reference() []Setting {
	var c Config
	var out []Setting
	for _, s := range leaves(reflect.ValueOf(&c).Elem(), "") {
		if s.path == "topics" || s.path == "notify" || s.path == "forms" || s.path == "mailboxes" {
			continue
		}
		out = append(out, describe(s, s.path, prefix+variable(s.path)))
	}
	out = append(out, listed(&Topic{}, "topics[]", prefix+"TOPICS_<NAME>_")...)
	out = append(out, listed(&Channel{}, "channels[]", prefix+"CHANNELS_<NAME>_")...)
	out = append(out, listed(&Notice{}, "notify[]", "")...)
	out = append(out, listed(&Mailbox{}, "mailboxes[]", "")...)
	return append(out, listed(&Form{}, "forms[]", "")...)
}

func listed(of any, list, variables string) []Setting {
	var out []Setting
	for _, s := range leaves(reflect.ValueOf(of).Elem(), "") {
		env := ""
		if variables != "" && s.path != "name" {
			env = variables + variable(s.path)
		}
		out = append(out, describe(s, list+"."+s.path, env))
	}
	if variables == "" {
		out[0].Env = prefix + variable(strings.TrimSuffix(list, "[]")) + " (the whole list as YAML)"
	}
	return out
}

func describe(s leaf, name, env string) Setting {
	return Setting{
		Name:    name,
		Type:    typeOf(s.value.Type()),
		Default: s.tag.Get("default"),
		Help:    strings.TrimSuffix(s.tag.Get("help"), "."),
		Env:     env,
	}
}
