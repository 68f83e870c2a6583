package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/relay"
)

// line is what stands between one process and its servers; sql and redis are
// nil on SQLite.
type line struct{ sql, redis, mail *relay.Relay }

// all are the relays that there are.
func (l *line) all() []*relay.Relay {
	if l.sql == nil {
		return []*relay.Relay{l.mail}
	}
	return []*relay.Relay{l.sql, l.redis, l.mail}
}

// heal makes every line a good one.
func (l *line) heal() {
	for _, r := range l.all() {
		r.Heal()
	}
}

// line makes the relays of one process, once for each name, and returns them
// with the settings that lead the process through them.
func (r *rig) line(name string) (*line, []string) {
	r.t.Helper()
	l := r.lines[name]
	if l == nil {
		l = &line{mail: r.relay(r.mail.Addr())}
		if r.database != "" {
			l.sql, l.redis = r.relay(hostOf(r.database)), r.relay(hostOf(r.redis.url()))
		}
		if r.lines == nil {
			r.lines = map[string]*line{}
		}
		r.lines[name] = l
	}
	env := []string{fmt.Sprintf("RAPPORT_CHANNELS_NEWS_SERVERS=[{url: %q, connections: %d}]", "smtp://"+l.mail.Addr()+"?tls=none", r.connections)}
	if l.sql != nil {
		env = append(env,
			"RAPPORT_DATABASE="+strings.Replace(r.database, hostOf(r.database), l.sql.Addr(), 1),
			"RAPPORT_REDIS="+strings.Replace(r.redis.url(), hostOf(r.redis.url()), l.redis.Addr(), 1))
	}
	return l, env
}

func (r *rig) relay(target string) *relay.Relay {
	r.t.Helper()
	one, err := relay.Start(context.WithoutCancel(r.t.Context()), target)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = one.Close() })
	return one
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// clock is a file that tells processes of the test build how far their clock
// is ahead of the machine's.
type clock struct {
	r     *rig
	path  string
	ahead time.Duration
}

// clock makes a clock of a name.
func (r *rig) clock(name string) *clock {
	return &clock{r: r, path: r.file("clock-"+name, "0s")}
}

// oneClock gives every process from now on the same clock.
func (r *rig) oneClock() *clock {
	c := r.clock("all")
	r.env = append(r.env, c.env())
	return c
}

// mourn lets the time pass after which a worker that is not heard of counts as
// dead with what it had on the wire; what it had only reserved is free at once.
func (c *clock) mourn() { c.set(c.ahead + 31*time.Second) }

// env is the setting that gives a process this clock.
func (c *clock) env() string { return "RAPPORT_CLOCK=" + c.path }

// set moves the clock; processes know it within a few milliseconds.
func (c *clock) set(ahead time.Duration) {
	c.r.t.Helper()
	c.ahead = ahead
	// In one step, so that nobody reads half of it.
	next := c.path + ".next"
	if err := os.WriteFile(next, []byte(ahead.String()), 0o600); err != nil {
		c.r.t.Fatal(err)
	}
	if err := os.Rename(next, c.path); err != nil {
		c.r.t.Fatal(err)
	}
}

// goesOn waits until the receiver has taken more than it had, and says how
// long after began that was. Whoever waits for the queue's own recovery of
// leases takes half a minute and more.
func (r *rig) goesOn(began time.Time) {
	r.t.Helper()
	before := r.mail.Journal().Taken()
	r.taken(before + 1)
	const most = 15 * time.Second // five are promised; the machine may be busy
	took := time.Since(began)
	r.t.Logf("sending went on %v after the start", took.Round(10*time.Millisecond))
	if took > most {
		r.t.Errorf("sending went on only %v after the start", took)
	}
}

// one reads a single number from the database.
func (r *rig) one(query string) int {
	r.t.Helper()
	db := r.db()
	defer func() { _ = db.Close() }()
	var n int
	if err := db.QueryRowContext(context.WithoutCancel(r.t.Context()), query).Scan(&n); err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// gauge reads a number from the metrics of the serving process.
func (r *rig) gauge(name string) float64 {
	r.t.Helper()
	res, err := r.get("http://" + r.admin + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	for text := range strings.Lines(res.Body.(nopBody).String()) {
		if rest, ok := strings.CutPrefix(text, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				r.t.Fatal(err)
			}
			return n
		}
	}
	r.t.Fatalf("there is no metric %s", name)
	return 0
}

// number reads a number from the environment.
func number(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number", name, text)
	}
	return n
}
