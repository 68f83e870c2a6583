package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"rapport/internal/fake/smtpd"
	"rapport/internal/testkit"
)

var update = flag.Bool("update", false, "write golden files")

// A story is a file of testdata/script in the txtar form: first the commands
// and what is expected of them, then files to put into the folder it plays in.
//
//	$ args…     run rapport with args, which must end with exit code 0
//	$2 args…    the same with exit code 2
//	in FILE     what the next command reads as its input
//	env A=B     a variable for all following commands
//	out TEXT    the last command has printed TEXT; !out: it has not
//	err TEXT    the same of its messages
//	file F TEXT the file F holds TEXT
//	json        what it printed is JSON
//	keep N RE   what the group of RE finds in it is written $N from now on
//	smtp        start a mail server and a channel "news" that sends by it;
//	            it does not know nobody@example.com
//	mail TO T   the last mail to TO holds T; !mail: there is none
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d stories, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".txtar")
		t.Run(name, func(t *testing.T) { play(t, string(text)) })
		if !strings.Contains(string(text), "\nsmtp\n") { // who waits on PostgreSQL waits for another process
			t.Run(name+" on PostgreSQL", func(t *testing.T) { play(t, string(text), "RAPPORT_DATABASE="+testkit.Postgres(t).Database) })
		}
	}
}

type player struct {
	*testing.T
	env        []string
	input      string
	line       string
	kept       []string
	out, err   bytes.Buffer
	mails      *smtpd.Server
	everything bytes.Buffer
}

func play(t *testing.T, text string, env ...string) {
	t.Chdir(t.TempDir())
	script, files := unpack(text)
	putFiles(t, files)
	p := &player{T: t, env: append(env, "TZ=Europe/Berlin", "USER=anna", "RAPPORT_DATA=data")}
	for i, line := range strings.Split(script, "\n") {
		p.line = strconv.Itoa(i+1) + ": " + line
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			p.do(line)
		}
	}
	if p.Failed() {
		p.Log("\n" + p.everything.String())
	}
}

func putFiles(t *testing.T, files map[string]string) {
	t.Helper()
	for name, body := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, []byte(body), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *player) do(line string) {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case strings.HasPrefix(word, "$"):
		p.run(strings.TrimPrefix(word, "$"), split(p.T, strings.NewReplacer(p.kept...).Replace(rest)))
	case word == "in":
		p.input = p.file(rest)
	case word == "env":
		p.env = append(p.env, rest)
	case word == "out" || word == "!out":
		p.holds(p.out.String(), rest, word == "out")
	case word == "err" || word == "!err":
		p.holds(p.err.String(), rest, word == "err")
	case word == "file":
		name, text, _ := strings.Cut(rest, " ")
		p.holds(p.file(name), text, true)
	case word == "keep":
		name, pattern, _ := strings.Cut(rest, " ")
		found := regexp.MustCompile(pattern).FindStringSubmatch(p.out.String())
		if len(found) != 2 {
			p.Fatalf("line %s: nothing found\n%s", p.line, p.everything.String())
		}
		p.kept = append(p.kept, "$"+name, found[1])
	case word == "smtp":
		p.startMail()
	case word == "mail" || word == "!mail":
		to, text, _ := strings.Cut(rest, " ")
		m, ok := p.mails.Latest(to)
		if ok != (word == "mail") || ok && !strings.Contains(string(m.Source), text) {
			p.Errorf("line %s: expectation not met: %s", p.line, m.Source)
		}
	case word == "json":
		if !json.Valid(p.out.Bytes()) {
			p.Errorf("line %s: this is not JSON", p.line)
		}
	default:
		p.Fatalf("line %s: not a line of a story", p.line)
	}
}

func (p *player) startMail() {
	var err error
	p.mails, err = smtpd.Start(p.Context(), smtpd.Options{Script: smtpd.ByRecipient(map[string]smtpd.Script{
		"nobody@example.com": smtpd.Reply(550, "5.1.1", "No such mailbox here").At(smtpd.Rcpt),
	})})
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = p.mails.Close() })
	p.env = append(p.env, "RAPPORT_CHANNELS_NEWS_DRIVER=email", "RAPPORT_CHANNELS_NEWS_FROM=Shop <news@shop.test>",
		"RAPPORT_CHANNELS_NEWS_SERVERS=[{url: 'smtp://"+p.mails.Addr()+"?tls=none'}]")
}

func (p *player) run(code string, args []string) {
	want := 0
	if code != "" {
		want, _ = strconv.Atoi(code)
	}
	p.out.Reset()
	p.err.Reset()
	got := run(p.Context(), args, p.env, strings.NewReader(p.input), &p.out, &p.err)
	p.input = ""
	p.everything.WriteString("$ " + strings.Join(args, " ") + "\n" + p.out.String() + p.err.String())
	if got != want {
		p.Errorf("line %s: exit code %d, want %d", p.line, got, want)
	}
	if got != 0 && p.err.Len() == 0 && p.out.Len() == 0 {
		p.Errorf("line %s: it failed without a word", p.line)
	}
	if strings.Contains(p.err.String(), "goroutine ") {
		p.Errorf("line %s: a stack trace", p.line)
	}
}

func (p *player) holds(text, part string, want bool) {
	if strings.Contains(text, part) != want {
		p.Errorf("line %s: expectation not met", p.line)
	}
}

func (p *player) file(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		p.Fatalf("line %s: %v", p.line, err)
	}
	return string(text)
}

// unpack reads the txtar form: text, then files after lines "-- NAME --".
func unpack(text string) (script string, files map[string]string) {
	files = map[string]string{}
	name, at := "", &strings.Builder{}
	keep := func() {
		if name == "" {
			script = at.String()
		} else {
			files[name] = at.String()
		}
		at.Reset()
	}
	for line := range strings.Lines(text) {
		word := strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(word, "-- "); ok && strings.HasSuffix(rest, " --") {
			keep()
			name = strings.TrimSuffix(rest, " --")
			continue
		}
		at.WriteString(line)
	}
	keep()
	return script, files
}

// split reads words as a shell does, with single and double quotes.
func split(t *testing.T, text string) []string {
	var words []string
	var word strings.Builder
	quote, open := rune(0), false
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case r == ' ':
			if open || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		t.Fatalf("a quote is not closed in %q", text)
	}
	if open || word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}
