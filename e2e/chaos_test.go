//go:build chaos

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

// The long form of the fault matrix: rounds in which everything happens at
// once, by chance from a seed. make chaos runs it.
//
//	go test -tags chaos ./e2e -run Chaos -v -timeout 0
//
// RAPPORT_CHAOS_ROUNDS   how many rounds on each engine (200)
// RAPPORT_CHAOS_SEED     of an earlier run, to have its faults again
// RAPPORT_CHAOS_FIRST    the round to begin with (1); a round's faults follow
// from the seed and its number alone
//
// Each round sends two campaigns, marketing and transactional, through
// processes that are killed, stopped and cut off, with a queue and a database
// that suffer too. Then everything is mended, drained and judged from the
// receiver's journal (invariants I1 to I10 of docs/faults.md). The first
// violation ends the run and prints what was done.

// chaosTown is how many rounds one installation lives: people leave.
const chaosTown = 40

func TestChaos(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("RAPPORT_CHAOS_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("RAPPORT_CHAOS_SEED: %v", err)
		}
		seed = n
	}
	rounds, first := number(t, "RAPPORT_CHAOS_ROUNDS", 200), number(t, "RAPPORT_CHAOS_FIRST", 1)
	fmt.Printf("chaos: RAPPORT_CHAOS_SEED=%d, %d rounds from %d on each engine\n", seed, rounds, first)
	t.Setenv("RAPPORT_E2E_SEED", strconv.FormatUint(seed, 10))
	for _, engine := range onBoth {
		t.Run(engine, func(t *testing.T) {
			sum := tally{}
			for at := first; at < first+rounds; at += chaosTown {
				n := min(chaosTown, first+rounds-at)
				if !t.Run(fmt.Sprintf("rounds_%d_to_%d", at, at+n-1), func(t *testing.T) { chaosRounds(t, engine, seed, at, n, sum) }) {
					break
				}
			}
			fmt.Printf("chaos: %s, seed %d, all: %s\n", engine, seed, sum)
		})
	}
}

// tally counts what was done and what came of it.
type tally map[string]int

func (s tally) String() string {
	var parts []string
	for name, n := range s {
		parts = append(parts, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// chaos is one installation under attack.
type chaos struct {
	*rig
	chance *rand.Rand
	clock  *clock
	slots  []*slot
	round  int
	offers string // names of the round's campaigns
	serves string
	began  time.Time
	done   []string // what was done in this round
	mends  []func() // what has to be undone
	doubt  int      // deliveries that may be in doubt by it
	out    tally    // of this round
	gone   map[string]time.Time
	left   map[string]bool // over all rounds
	maybe  map[string]bool // asked for it, and got no answer
}

// slot is a process that is started again whenever it ends.
type slot struct {
	name, command string
	p             *process
	line          *line
	primed        bool // it has a failpoint
}

func chaosRounds(t *testing.T, engine string, seed uint64, first, n int, sum tally) {
	pace := 12 * time.Millisecond
	s := setup{people: 260, tag: "failpoints", lined: true, postgres: engine == "postgres", private: engine == "postgres"}
	if s.postgres {
		pace = 30 * time.Millisecond
	}
	s.mail = slow(pace)
	s.mail.JournalHeaders = append(smtpd.DefaultHeaders(), "Reply-To")
	r := newRig(t, s)
	c := &chaos{rig: r, left: map[string]bool{}, maybe: map[string]bool{}}
	c.clock = r.oneClock()
	r.stock()
	c.slots = []*slot{{name: "serve", command: "serve"}}
	if s.postgres {
		c.slots = append(c.slots, &slot{name: "two", command: "work"}, &slot{name: "three", command: "work"})
	}
	for _, x := range c.slots {
		x.line, _ = r.line(x.name)
		c.up(x)
	}
	r.ready(c.slots[0].p)
	for i := range n {
		c.chance = rand.New(rand.NewPCG(seed, uint64(first+i)))
		c.oneRound(first + i)
		for name, n := range c.out {
			sum[name] += n
		}
		sum["rounds"]++
		if t.Failed() {
			fmt.Printf("chaos: %s: VIOLATION in round %d\nagain: RAPPORT_CHAOS_SEED=%d RAPPORT_CHAOS_FIRST=%d RAPPORT_CHAOS_ROUNDS=1\n%s\n",
				engine, c.round, seed, c.round, strings.Join(c.done, "\n"))
			return
		}
		fmt.Printf("chaos: %s round %d, %v: %s\n", engine, c.round, time.Since(c.began).Round(100*time.Millisecond), c.out)
	}
	c.secrets()
	for _, x := range c.slots {
		if code := x.p.stop(); code != 0 {
			t.Errorf("%s ended with %d", x.name, code)
		}
	}
}

// oneRound is one campaign of each kind, under attack from its first moment.
func (c *chaos) oneRound(round int) {
	c.round, c.began, c.done, c.doubt, c.out = round, time.Now(), nil, 0, tally{}
	c.gone = map[string]time.Time{}
	c.offers, c.serves = fmt.Sprintf("r%d-offers", round), fmt.Sprintf("r%d-service", round)
	want := c.people.willing()
	before := c.mail.Journal().Len()
	for _, name := range []string{c.offers, c.serves} {
		c.create(name, "reply_to: "+name+"@shop.example\n")
		c.must("campaigns", "start", name)
	}
	for range 4 + c.chance.IntN(6) {
		c.pause(30, 350)
		c.strike()
		c.revive()
		if c.chance.IntN(5) < 3 {
			c.pause(20, 500)
			c.mend()
		}
	}
	c.mend()
	c.revive()
	c.drain()
	c.judgeRound(want, since(c.mail.Journal().Entries(), before))
}

func (c *chaos) pause(least, most int) {
	time.Sleep(time.Duration(least+c.chance.IntN(most-least)) * time.Millisecond)
}

func (c *chaos) note(kind, format string, args ...any) {
	c.out[kind]++
	c.done = append(c.done, fmt.Sprintf("  %6dms %s %s", time.Since(c.began).Milliseconds(), kind, fmt.Sprintf(format, args...)))
}

// mend undoes what is broken, the last thing first: what was done by a command
// is undone by one, for which everything that came later has to work.
func (c *chaos) mend() {
	for _, undo := range slices.Backward(c.mends) {
		undo()
	}
	c.mends = nil
}

// up starts a process, sometimes one that will die at a certain moment.
func (c *chaos) up(x *slot, env ...string) {
	x.p = c.start(x.name, x.command, append(env, c.clock.env())...)
	x.primed = len(env) > 0
}

// revive starts what has ended, as whoever looks after processes does.
func (c *chaos) revive() {
	for _, x := range c.slots {
		if !x.p.ended() {
			continue
		}
		if code := x.p.cmd.ProcessState.ExitCode(); code == -1 && x.primed {
			c.doubt += doubts(1, c.connections)
			c.out["failpoint kills"]++
		} else if code != -1 && code != 6 { // 6: the database or the queue was away at its start
			c.t.Errorf("%s ended with %d:\n%s", x.name, code, tail(x.p.out.String(), 30))
		}
		if said := x.p.out.String(); strings.Contains(said, "\ngoroutine ") {
			c.t.Errorf("%s crashed:\n%s", x.name, tail(said, 60))
		}
		c.up(x)
	}
}

// drain lets everything come to its end.
func (c *chaos) drain() {
	for _, name := range []string{c.offers, c.serves} {
		for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
			a := c.status(name)
			if a.State == "finished" || a.State == "cancelled" && a.States["claimed"]+a.States["sending"]+a.States["queued"] == 0 {
				break
			}
			if a.State == "paused" {
				c.must("campaigns", "resume", name)
			}
			if time.Now().After(end) {
				c.t.Errorf("%s does not end: %s, %v, waiting %v", name, a.State, a.States, a.Waiting)
				return
			}
			c.revive()
			c.clock.mourn() // holds, waits and the dead are over soon
		}
	}
}

// judgeRound compares the account of both campaigns with the journal.
func (c *chaos) judgeRound(want []string, entries []journal.Entry) {
	by := map[string][]journal.Entry{}
	for _, e := range entries {
		name, _, _ := strings.Cut(strings.Trim(e.Meta["Reply-To"], "<>"), "@")
		by[name] = append(by[name], e)
	}
	// Whoever left before the plan is not in it; of those who got no answer, or
	// left in this round, nobody knows.
	in := map[string]bool{}
	for _, d := range c.rows(c.status(c.offers).Run) {
		in[d.address] = true
	}
	willing := slices.DeleteFunc(slices.Clone(want), func(to string) bool {
		_, now := c.gone[to]
		// A campaign that was cancelled may have planned a part, or nobody.
		return c.left[to] || (now || c.maybe[to] || c.out["cancels"] > 0) && !in[to]
	})
	a := c.judge(c.offers, willing, by[c.offers], bounds{uncertain: c.doubt, stopped: -1})
	b := c.judge(c.serves, want, by[c.serves], bounds{repeats: c.doubt, stopped: -1})
	twice := 0
	for _, n := range keysOf(by[c.serves]) {
		twice += n - 1
	}
	c.out["uncertain"], c.out["taken again"], c.out["may be in doubt"] = a.States["uncertain"], twice, c.doubt
	c.out["sent"] = a.States["sent"] + b.States["sent"]
	if a.States["uncertain"]+twice > c.doubt {
		c.t.Errorf("%d uncertain and %d taken again, at most %d may be", a.States["uncertain"], twice, c.doubt)
	}
	delete(by, c.offers)
	delete(by, c.serves)
	for name, list := range by { // of earlier rounds, which are over
		c.t.Errorf("%d messages of %q came, which had ended", len(list), name)
	}
	c.late(entries)
	for to := range c.gone {
		c.left[to] = true
	}
	c.well()
	if c.database == "" && c.round%10 == 0 {
		c.intact()
	}
	c.bounded()
}

// late finds who got marketing after they were told that they are out (I3).
func (c *chaos) late(entries []journal.Entry) {
	for i, e := range entries {
		told, left := c.gone[e.To]
		if !left || !e.Outcome.Taken() || !e.Time.After(told) || !strings.Contains(e.Meta["Reply-To"], c.offers+"@") {
			continue
		}
		between := 0 // its session may have been at this message, or the next to it
		for _, other := range entries[:i] {
			if other.Session == e.Session && other.Time.After(told) {
				between++
			}
		}
		if between > 1 {
			c.t.Errorf("%s took a message although %d others came after their unsubscription in the same session", e.To, between)
		}
	}
}

// intact asks SQLite to look over its file (I6).
func (c *chaos) intact() {
	db := c.db()
	defer func() { _ = db.Close() }()
	var said string
	if err := db.QueryRowContext(c.t.Context(), "PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		c.t.Errorf("integrity: %q, %v", said, err)
	}
	rows, err := db.QueryContext(c.t.Context(), "PRAGMA foreign_key_check")
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	if rows.Next() {
		c.t.Error("a foreign key leads nowhere")
	}
	if err := rows.Err(); err != nil {
		c.t.Error(err)
	}
}

// bounded looks whether the serving process has grown (I7).
func (c *chaos) bounded() {
	c.ready(c.slots[0].p)
	for name, most := range map[string]float64{"go_goroutines": 400, "process_open_fds": 300, "process_resident_memory_bytes": 400 << 20} {
		if n := c.gauge(name); n > most {
			c.t.Errorf("%s is %.0f, at most %.0f", name, n, most)
		}
	}
}

// secrets looks for people and keys where they must not be (I8).
func (c *chaos) secrets() {
	said := strings.ToLower(c.outputs())
	for _, word := range []string{"person.0", "0123456789abcdef0123456789abcdef"} {
		if i := strings.Index(said, word); i >= 0 {
			c.t.Errorf("%q is in the output: …%s…", word, said[max(0, i-200):min(len(said), i+60)])
		}
	}
	if c.redis != nil {
		if text, err := os.ReadFile(c.redisFile()); err != nil || strings.Contains(strings.ToLower(string(text)), "person.") {
			c.t.Errorf("people are in the queue's file, or it cannot be read: %v", err)
		}
	}
}
