package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // reads the rows of an installation on SQLite

	"rapport/internal/fake/smtpd"
)

// setup says what an installation looks like. The zero value is the embedded
// one: SQLite, the queue inside, one email channel.
type setup struct {
	people      int
	postgres    bool // with a database and a Redis of its own
	private     bool // on a PostgreSQL of its own, too
	raw         bool // PostgreSQL without its tables
	lined       bool // every process of start has relays of its own, see rig.line
	connections int  // of each process to the mail server; 0: 4
	mail        smtpd.Options
	url         string // of another mail server than the rig's; {{addr}} is the rig's
	tag         string // build tag of the binary
	config      string // further keys of the configuration
	channel     string // further keys of the email channel
}

// rig is an installation with its receivers.
type rig struct {
	t           testing.TB
	seed        uint64
	bin         string
	dir         string // working folder of every command
	config      string // path of the configuration
	listen      string // host:port of the public pages
	admin       string // host:port of metrics and profiles
	database    string // empty: SQLite
	connections int

	mail   *smtpd.Server
	redis  *redisServer
	server *postgresServer // of a private setup
	lined  bool
	lines  map[string]*line // by the process's name
	env    []string         // of every command and process
	people crowd
	said   []*record // of everything that was started
}

// newRig starts the receivers and writes configuration, people and templates;
// nothing of the program runs yet.
func newRig(t testing.TB, s setup) *rig {
	t.Helper()
	r := &rig{t: t, seed: seed(t), bin: binary(t, s.tag), dir: t.TempDir(), connections: max(s.connections, 0), lined: s.lined}
	if r.connections == 0 {
		r.connections = 4
	}
	if s.postgres {
		if s.private {
			r.server = startPostgres(t)
			r.database = r.server.database("e2e")
		} else {
			r.database = newDatabase(t)
		}
		r.redis = startRedis(t)
	}
	var err error
	if r.mail, err = smtpd.Start(context.WithoutCancel(t.Context()), s.mail); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.mail.Close() })
	r.people = crowd{seed: r.seed, size: s.people, topics: []string{"offers", "service"}}
	r.configure(s)
	if s.postgres && !s.raw {
		r.must("migrate")
	}
	return r
}

// seed is taken from RAPPORT_E2E_SEED, so that a run can be had again, and is
// told either way.
func seed(t testing.TB) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if text := os.Getenv("RAPPORT_E2E_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("RAPPORT_E2E_SEED: %v", err)
		}
	}
	t.Logf("seed: RAPPORT_E2E_SEED=%d", n)
	return n
}

func (r *rig) path(elem ...string) string { return filepath.Join(append([]string{r.dir}, elem...)...) }

// file writes a file of the installation and returns its path.
func (r *rig) file(name, text string) string {
	r.t.Helper()
	path := r.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func (r *rig) configure(s setup) {
	r.t.Helper()
	r.listen, r.admin = "127.0.0.1:"+freePort(r.t), "127.0.0.1:"+freePort(r.t)
	url := "smtp://{{addr}}?tls=none"
	if s.url != "" {
		url = s.url
	}
	url = strings.ReplaceAll(url, "{{addr}}", r.mail.Addr())
	var b strings.Builder
	fmt.Fprintf(&b, "listen: %s\nadmin: %s\npublic_url: http://%s\ndata: ./data\n", r.listen, r.admin, r.listen)
	if s.postgres {
		// Several processes with a folder each share one key.
		key := r.file("secret.key", strings.Repeat("0123456789abcdef", 4)+"\n")
		fmt.Fprintf(&b, "database: %s\nredis: %s\nsecret_key_file: %s\n", r.database, r.redis.url(), key)
	}
	if !strings.Contains(s.config, "tracking") {
		b.WriteString("tracking_basis: legitimate_interest\ntracking_reason: an invented shop of invented people\n")
	}
	fmt.Fprintf(&b, "retry: {first: 1s, longest: 2s}\n%s\n", s.config)
	b.WriteString("topics:\n  - {name: offers, kind: marketing}\n  - {name: service, kind: transactional}\n")
	fmt.Fprintf(&b, "channels:\n  - name: news\n    driver: email\n    from: Example Shop <news@shop.example>\n%s", s.channel)
	fmt.Fprintf(&b, "    servers:\n      - url: %s\n        connections: %d\n", strconv.Quote(url), r.connections)
	r.config = r.file("rapport.yaml", b.String())
}

// run runs a command to its end.
func (r *rig) run(args ...string) result {
	r.t.Helper()
	return r.runFor(patience, args...)
}

func (r *rig) runFor(limit time.Duration, args ...string) result {
	r.t.Helper()
	env := r.env
	if r.database != "" { // no flag: send has a --data of its own
		env = append(slices.Clone(env), "RAPPORT_DATA="+r.path("data-cli"))
	}
	// A later --config of the caller wins.
	res := once(r.t, limit, r.dir, env, r.bin, append([]string{"--config", r.config}, args...)...)
	said := &record{}
	_, _ = said.Write([]byte(res.stdout + res.stderr)) // memory does not fail
	r.said = append(r.said, said)
	return res
}

// must runs a command that has to succeed.
func (r *rig) must(args ...string) result {
	r.t.Helper()
	res := r.run(args...)
	if res.code != 0 {
		r.t.Fatalf("rapport %s: exit %d\n%s\n%s", strings.Join(args, " "), res.code, tail(res.stdout, 20), tail(res.stderr, 40))
	}
	return res
}

// refused runs a command that has to end with an exit code and a sentence with
// the words.
func (r *rig) refused(code int, words string, args ...string) {
	r.t.Helper()
	res := r.run(args...)
	if res.code != code || !strings.Contains(res.stderr, words) || strings.Contains(res.stderr, "goroutine ") {
		r.t.Errorf("rapport %s: exit %d, want %d and %q:\n%s", strings.Join(args, " "), res.code, code, words, tail(res.stderr, 20))
	}
}

// start starts a process of the installation. Each name is a machine of its
// own with its own folder, except on SQLite, where there is one.
func (r *rig) start(name, command string, env ...string) *process {
	r.t.Helper()
	args := []string{"--config", r.config, command}
	if r.database != "" {
		args = append(args, "--data", r.path("data-"+name))
	}
	if command == "work" {
		env = append(env, "RAPPORT_ADMIN=off")
	}
	if r.lined {
		_, through := r.line(name)
		env = append(through, env...)
	}
	env = append(slices.Clone(r.env), env...)
	p := launch(r.t, name, r.dir, env, r.bin, args...)
	r.said = append(r.said, &p.out)
	return p
}

// serve starts the whole and waits until it is ready.
func (r *rig) serve() *process {
	r.t.Helper()
	p := r.start("serve", "serve")
	r.ready(p)
	return p
}

// ready waits until a serving process answers, or has ended.
func (r *rig) ready(p *process) {
	r.t.Helper()
	eventually(r.t, "serve is ready", patience, 20*time.Millisecond, func() bool {
		if p.ended() {
			return true
		}
		res, err := r.get("/readyz")
		return err == nil && res.StatusCode == http.StatusOK
	})
}

// get asks a page of the installation and follows no redirect; the body is
// read and closed.
func (r *rig) get(path string) (*http.Response, error) { return r.ask(http.MethodGet, path, "") }

// browser is what the rig's requests say they are.
const browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

func (r *rig) ask(method, target, form string) (*http.Response, error) {
	if !strings.HasPrefix(target, "http") {
		target = "http://" + r.listen + target
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", browser)
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	_, err = body.ReadFrom(res.Body)
	_ = res.Body.Close()
	res.Body = nopBody{&body}
	return res, err
}

type nopBody struct{ *bytes.Buffer }

func (nopBody) Close() error { return nil }

// account is what the program says of a run (product.md).
type account struct {
	Campaign   string                    `json:"campaign"`
	Run        string                    `json:"run"`
	State      string                    `json:"state"`
	Planned    int                       `json:"planned"`
	States     map[string]int            `json:"states"`
	Reasons    map[string]map[string]int `json:"reasons"`
	NotPlanned map[string]int            `json:"not_planned"`
	Waiting    map[string]int            `json:"waiting"`
	Rate       float64                   `json:"rate_per_second"`
	StartedAt  time.Time                 `json:"started_at"`
	FinishedAt *time.Time                `json:"finished_at"`
}

// sum is how many recipients are in any state.
func (a account) sum() int {
	n := 0
	for v := range maps.Values(a.States) {
		n += v
	}
	return n
}

// status asks for the account of a campaign's newest run. Every answer has to
// add up.
func (r *rig) status(campaign string) account {
	r.t.Helper()
	res := r.must("campaigns", "status", campaign, "--json")
	a := decode[account](r.t, res.stdout)
	if a.sum() != a.Planned {
		r.t.Errorf("the account does not add up: planned %d, states %v", a.Planned, a.States)
	}
	return a
}

func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not the JSON that was promised: %v\n%s", err, tail(text, 20))
	}
	return v
}

// await asks for the account until done says yes.
func (r *rig) await(campaign, what string, done func(account) bool) account {
	r.t.Helper()
	return r.awaitFor(campaign, what, patience, 200*time.Millisecond, done)
}

func (r *rig) awaitFor(campaign, what string, limit, pause time.Duration, done func(account) bool) account {
	r.t.Helper()
	var a account
	for end := time.Now().Add(limit); ; time.Sleep(pause) {
		if a = r.status(campaign); done(a) {
			return a
		}
		if time.Now().After(end) {
			r.t.Fatalf("campaign %s is not %s within %v: %s, %v", campaign, what, limit, a.State, a.States)
		}
	}
}

// finished waits for the end of a run.
func (r *rig) finished(campaign string) account {
	r.t.Helper()
	return r.await(campaign, "finished", func(a account) bool { return a.State == "finished" })
}

// taken waits until the mail server has taken n messages.
func (r *rig) taken(n int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.mail.Journal().Wait(ctx, n); err != nil {
		r.t.Fatal(err)
	}
}

// db opens the installation's database to look into it.
func (r *rig) db() *sql.DB {
	r.t.Helper()
	driver, address := "pgx", r.database
	if address == "" {
		files, err := filepath.Glob(r.path("data", "*.db"))
		if err != nil || len(files) != 1 {
			r.t.Fatalf("databases in the data folder: %v, %v", files, err)
		}
		driver, address = "sqlite", "file:"+files[0]+"?mode=ro&_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		r.t.Fatal(err)
	}
	return db
}

// stock brings in the people and the letter, and creates a campaign for each
// name over everybody; a campaign's topic follows the name after its dash, as
// in "one-offers".
func (r *rig) stock(campaigns ...string) {
	r.t.Helper()
	r.must("contacts", "import", r.people.write(r.t, r.dir))
	r.must("templates", "put", r.letter())
	for _, name := range campaigns {
		r.create(name, "")
	}
}

// create makes a campaign; more are further lines of its file.
func (r *rig) create(name, more string) {
	r.t.Helper()
	topic := name[strings.LastIndexByte(name, '-')+1:]
	r.must("campaigns", "create", r.file(name+".yaml", fmt.Sprintf(
		"name: %s\ntopic: %s\nchannel: news\ntemplate: letter\nschedule: {now: true}\n%s", name, topic, more)))
}

// report is what the program says came of a run.
type report struct {
	Account   account     `json:"account"`
	Responses []responded `json:"responses"`
	Links     []responded `json:"links"`
}

type responded struct {
	Kind    string `json:"kind"`
	URL     string `json:"url"`
	Machine bool   `json:"machine"`
	People  int    `json:"people"`
}

// people is how many persons a kind of response came from, machines left out.
func (r report) people(kind string) int {
	n := 0
	for _, x := range append(r.Responses, r.Links...) {
		if x.Kind == kind && !x.Machine {
			n += x.People
		}
	}
	return n
}

// well asks the doctor whether accounts and ledger are as they should be.
func (r *rig) well() {
	r.t.Helper()
	type finding struct{ Check, State, What string }
	res := r.run("doctor", "--json") // other findings are about the network
	found := map[string]finding{}
	for _, f := range decode[struct{ Findings []finding }](r.t, res.stdout).Findings {
		found[f.Check] = f
	}
	for _, check := range []string{"accounts", "consent"} {
		if f := found[check]; f.State != "ok" {
			r.t.Errorf("the doctor about %s: %q %s", check, f.State, f.What)
		}
	}
}

// outputs is everything that was said so far.
func (r *rig) outputs() string {
	var b strings.Builder
	for _, s := range r.said {
		b.WriteString(s.String())
	}
	return b.String()
}
