package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/slack"
	"rapport/internal/fake/smtpd"
	"rapport/internal/fake/webhook"
)

// marks are what leads to one person and to nobody else in the whole
// installation, by what it is.
func marks() map[string]string {
	return map[string]string{
		"local part": "Zqxlocalmark", "domain": "zqxdomainmark.example", "external ID": "zqxexternal77", "name": "Zqxnamemark",
		"chat address": "U0ZQXCHATMARK", "data": "zqxdatamark", "reference": "zqxreferencemark", "network": "203.0.113.177", "agent": "Zqxagentmark/7.7",
		"source": "zqxsourcemark", "corrected": "zqxcorrectedmark", "server's text": "zqxsaysmark",
	}
}

// spellings are the ways a text may lie in a file: as it is, in upper and lower
// case, in base64 at each of its three alignments, and octet by octet as in
// addresses, quoted-printable and hex.
func spellings(mark string) [][]byte {
	var out [][]byte
	for _, text := range []string{mark, strings.ToLower(mark), strings.ToUpper(mark)} {
		raw := []byte(text)
		out = append(out, raw, []byte(url.QueryEscape(text)))
		for shift := range 3 {
			for _, coding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				coded := coding.EncodeToString(append(make([]byte, shift), raw...))
				begin := (shift*8 + 5) / 6 // what the octets before have a part in
				end := len(coded)
				if (shift+len(raw))%3 != 0 {
					end-- // and those after
				}
				out = append(out, []byte(coded[begin:end]))
			}
		}
		low := hex.EncodeToString(raw)
		for _, digits := range []string{low, strings.ToUpper(low)} {
			out = append(out, []byte(digits))
			for _, before := range []string{"%", "="} {
				var b strings.Builder
				for i := 0; i < len(digits); i += 2 {
					b.WriteString(before + digits[i:i+2])
				}
				out = append(out, []byte(b.String()))
			}
		}
	}
	return out
}

// traces looks for the marks in data and says which are there.
func traces(data []byte) []string {
	var out []string
	for what, mark := range marks() {
		if slices.ContainsFunc(spellings(mark), func(s []byte) bool { return bytes.Contains(data, s) }) {
			out = append(out, what)
		}
	}
	slices.Sort(out)
	return out
}

func TestSpellingsAreFound(t *testing.T) {
	t.Parallel()
	for what, mark := range marks() {
		for i := range 3 {
			text := strings.Repeat("x", i) + "<" + mark + ">" + strings.Repeat("y", i)
			for _, hidden := range []string{
				text, strings.ToUpper(text), base64.StdEncoding.EncodeToString([]byte(text)), base64.URLEncoding.EncodeToString([]byte(text)),
				hex.EncodeToString([]byte(text)), url.QueryEscape(text), "=" + strings.ToUpper(hex.EncodeToString([]byte(text[:1]))) + text[1:],
			} {
				if !slices.Contains(traces([]byte("before"+hidden+"after")), what) {
					t.Errorf("%s is not found in %s", what, hidden)
				}
			}
		}
	}
	if found := traces([]byte("nothing of anybody")); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

// files reads every file below the folders of data, with its name.
func (r *rig) files(dirs ...string) map[string][]byte {
	r.t.Helper()
	out := map[string][]byte{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			out[path] = data
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return out
}

// kept is everything the installation keeps: its folders, a dump of the
// database, Redis' files, and what the processes said.
func (r *rig) kept(processes ...*process) map[string][]byte {
	r.t.Helper()
	dirs, err := filepath.Glob(r.path("data*"))
	if err != nil {
		r.t.Fatal(err)
	}
	if r.redis != nil {
		if answer, err := r.redis.ask("SAVE"); err != nil || answer != "+OK" {
			r.t.Fatalf("SAVE: %q, %v", answer, err)
		}
		dirs = append(dirs, r.redis.dir)
	}
	out := r.files(dirs...)
	if r.database != "" {
		out["pg_dump"] = r.dump()
	}
	for _, p := range processes {
		out["log of "+p.what] = []byte(p.out.String())
	}
	return out
}

func (r *rig) dump() []byte {
	r.t.Helper()
	tools, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump") // the pattern is a good one
	if path, err := exec.LookPath("pg_dump"); err == nil {
		tools = append(tools, path)
	}
	if len(tools) == 0 {
		r.t.Skip("pg_dump is not installed")
	}
	out, err := exec.CommandContext(r.t.Context(), tools[len(tools)-1], "--dbname", r.database).Output()
	if err != nil {
		r.t.Fatalf("pg_dump: %v", err)
	}
	return out
}

func foundIn(kept map[string][]byte) (list []string) {
	for name, data := range kept {
		for _, what := range traces(data) {
			list = append(list, what+" in "+filepath.Base(name))
		}
	}
	slices.Sort(list)
	return list
}

const erasureConfig = "name: Example Shop\nlog: {level: debug}\nip: full\n"

// TestErasureLeavesNothing: a person who was imported, written to over every
// channel, clicked, unsubscribed, was refused, corrected, exported and erased
// is nowhere to be found, in any spelling; before, the same search finds them.
func TestErasureLeavesNothing(t *testing.T) {
	for _, engine := range []string{"embedded", "server"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			erasure(t, engine == "server")
		})
	}
}

func erasure(t *testing.T, postgres bool) {
	m := marks()
	address := m["local part"] + "@" + m["domain"]
	refuse := func(s smtpd.Step) smtpd.Action {
		if s.Stage == smtpd.Rcpt && strings.HasPrefix(strings.ToLower(s.Addr), "refused-") {
			return smtpd.Reply(451, "4.2.0", "<"+s.Addr+"> "+m["server's text"]+" is away for now")
		}
		return smtpd.Action{}
	}
	r := newRig(t, setup{people: 30, postgres: postgres, config: erasureConfig, mail: smtpd.Options{Script: refuse}})
	team := r.chat("team", func(slack.Visit) slack.Action { return slack.Action{} }, "")
	shop := r.hook("shop", func(webhook.Visit) webhook.Action { return webhook.Action{} }, "")
	r.must("contacts", "import", r.people.write(t, r.dir))
	r.bringMarked(address)
	for _, name := range []string{"mail", "chat", "hook"} {
		template, channel := map[string]string{"mail": "letter", "chat": "post", "hook": "parcel"}[name], map[string]string{"mail": "news", "chat": "team", "hook": "shop"}[name]
		r.must("campaigns", "create", r.file(name+".yaml", fmt.Sprintf(
			"name: %s\ntopic: offers\nchannel: %s\ntemplate: %s\nschedule: {now: true}\n", name, channel, template)))
	}
	serve := r.serve()
	processes := []*process{serve}
	if postgres {
		processes = append(processes, r.start("work", "work"))
	}
	for _, name := range []string{"mail", "chat", "hook"} {
		r.must("campaigns", "start", name)
		r.finished(name)
	}
	if len(team.Journal().Entries()) == 0 || len(shop.Journal().Entries()) == 0 {
		t.Fatal("nothing came over chat or hook")
	}
	r.react(address)
	// A single message with data of its own, one that the server refuses, and
	// one that waits.
	r.must("send", "--template", "letter", "--to", m["external ID"], "--channel", "news", "--topic", "service", "--source", m["source"], "--reference", m["reference"], "--data", `{"word":"`+m["data"]+`"}`, "--wait")
	r.must("contacts", "update", m["external ID"], "--address", "email:refused-"+m["corrected"]+"@"+m["domain"])
	r.must("consent", "grant", m["external ID"], "email:service", "--source", m["source"], "--basis", "contract", "--ip", m["network"])
	r.must("send", "--template", "letter", "--to", m["external ID"], "--channel", "news", "--topic", "service", "--source", m["source"])
	eventually(t, "the server has refused", patience, 50*time.Millisecond, func() bool { return r.one(`SELECT COUNT(*) FROM attempts WHERE detail <> ''`) > 0 })
	r.must("send", "--template", "letter", "--to", m["external ID"], "--channel", "news", "--topic", "service", "--source", m["source"], "--in", "2h")
	archive := r.path("copy.zip")
	r.must("rights", "export", m["external ID"], "--out", archive)
	r.readArchive(archive)

	before := foundIn(r.kept(processes...))
	for what := range m {
		if !slices.ContainsFunc(before, func(s string) bool { return strings.HasPrefix(s, what+" in ") }) {
			t.Errorf("the search does not find the %s before the erasure", what)
		}
	}
	if log := foundIn(map[string][]byte{"log": []byte(serve.out.String())}); len(log) > 0 {
		t.Errorf("the log names the person: %v", log)
	}
	certificate := r.path("certificate.html")
	r.must("contacts", "erase", m["external ID"], "--yes", "--certificate", certificate)
	if text, err := os.ReadFile(certificate); err != nil || len(traces(text)) > 0 || !bytes.Contains(text, []byte("Certificate of erasure")) {
		t.Errorf("certificate: %v, %v", traces(text), err)
	}
	var left []string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if left = foundIn(r.kept(processes...)); len(left) == 0 {
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("left after the erasure: %v", left)
	}
	r.afterErasure(address)
}

// bringMarked imports the person who will be erased, and the templates.
func (r *rig) bringMarked(address string) {
	r.t.Helper()
	m := marks()
	row := "external_id,email,slack,first_name,last_name,city,tier,points,consent:email:offers,consent:slack:offers,consent:webhook:offers,consent_at,consent_source\n" +
		fmt.Sprintf("%s,%s,%s,%s,%s,Berlin,gold,3,granted,granted,granted,2026-03-01T10:00:00Z,%s\n", m["external ID"], address, m["chat address"], m["name"], m["name"], m["source"])
	r.must("contacts", "import", r.file("marked.csv", row))
	r.must("templates", "put", r.letter())
	const head = "driver: %s\nlocale: en\nsamples:\n  - {name: Anna, locale: en, contact: {first_name: Anna}}\n"
	r.file("post/template.yaml", "name: post\n"+fmt.Sprintf(head, "slack"))
	r.file("post/en/text.liquid", "*Hello {{ contact.first_name }}*, <{{ links.unsubscribe }}|leave>")
	r.must("templates", "put", r.path("post"))
	r.file("parcel/template.yaml", "name: parcel\n"+fmt.Sprintf(head, "webhook"))
	r.file("parcel/en/payload.liquid", `{"text": "Hello {{ contact.first_name }}", "leave": {{ links.unsubscribe }}}`)
	r.must("templates", "put", r.path("parcel"))
}

// react opens, clicks and unsubscribes as the marked person would.
func (r *rig) react(address string) {
	r.t.Helper()
	for _, msg := range r.mail.Messages() {
		if !slices.Contains(msg.EnvelopeTo, strings.ToLower(address)) && !slices.Contains(msg.EnvelopeTo, address) {
			continue
		}
		o := open(r.t, msg)
		r.marked(http.MethodGet, o.pixel(), "")
		for _, link := range o.links("/c/") {
			r.marked(http.MethodGet, link, "")
		}
		r.marked(http.MethodPost, o.leave(), "List-Unsubscribe=One-Click")
		return
	}
	r.t.Fatalf("no letter to %s", address)
}

// marked asks a page with the marked agent.
func (r *rig) marked(method, target, form string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, target, strings.NewReader(form))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("User-Agent", marks()["agent"])
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode >= 400 {
		r.t.Errorf("%s %s: %d", method, target, res.StatusCode)
	}
}

// readArchive looks into the archive of a person: everything is there, the page
// leads nowhere.
func (r *rig) readArchive(name string) {
	r.t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	files := map[string]string{}
	letters := 0
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			r.t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		_ = in.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		files[f.Name] = string(text)
		if strings.HasPrefix(f.Name, "letters/") && strings.Contains(string(text), marks()["name"]) {
			letters++
		}
	}
	for file, words := range map[string][]string{
		"index.html":       {"Your data", marks()["name"], marks()["external ID"], marks()["source"]},
		"profile.json":     {marks()["name"], marks()["chat address"]},
		"consents.json":    {`"standing"`, marks()["source"], marks()["network"]},
		"deliveries.json":  {`"campaign":"mail"`, `"campaign":"hook"`, marks()["data"]},
		"tries.json":       {marks()["server's text"]},
		"responses.json":   {`"kind":"clicked"`, `"kind":"unsubscribed"`},
		"preferences.json": {"["},
		"requests.json":    {"["},
		"about.json":       {`"recipients"`, "team", "kept_for"},
	} {
		for _, word := range words {
			if !strings.Contains(files[file], word) {
				r.t.Errorf("%s of the archive does not say %q:\n%s", file, word, tail(files[file], 30))
			}
		}
	}
	if letters < 3 {
		r.t.Errorf("%d letters were written again", letters)
	}
	if strings.Contains(files["index.html"], "src=") || strings.Contains(files["index.html"], `href="http`) {
		r.t.Error("the page of the archive leads elsewhere")
	}
}

// afterErasure: accounts stand, the ledger verifies, nobody is brought back.
func (r *rig) afterErasure(address string) {
	r.t.Helper()
	r.well()
	a := r.status("mail")
	if a.Planned == 0 || a.States["sent"] == 0 {
		r.t.Errorf("account %+v", a)
	}
	row := "external_id,email,consent:email:offers,consent_source\nback,%s,granted,list of a partner\n"
	r.must("contacts", "import", r.file("back.csv", fmt.Sprintf(row, address)))
	if res := r.run("send", "--template", "letter", "--to", "back", "--channel", "news", "--topic", "service", "--source", "order"); res.code == 0 {
		r.t.Error("an import brought an erased address back")
	}
	acts := r.must("audit", "list", "--action", "rights.erase", "--json").stdout
	if !strings.Contains(acts, `"rights.erase"`) || len(traces([]byte(acts))) > 0 {
		r.t.Errorf("audit log: %s", acts)
	}
}
