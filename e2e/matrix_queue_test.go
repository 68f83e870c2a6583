package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"rapport/internal/fake/relay"
	"rapport/internal/fake/smtpd"
)

func queueFaults() []fault {
	return []fault{
		{"T9_flushall", onPostgres, flushAll},
		{"T10_redis_away", onPostgres, redisAway},
		{"T11_redis_restarts", onPostgres, redisRestarts},
		{"T12_redis_out_of_memory", onPostgres, redisOutOfMemory},
		{"T13_task_without_lease", onPostgres, taskWithoutLease},
		{"T14_worker_cut_off_marketing", onPostgres, func(t *testing.T, s setup) { workerCutOff(t, s, "offers") }},
		{"T14_worker_cut_off_transactional", onPostgres, func(t *testing.T, s setup) { workerCutOff(t, s, "service") }},
		{"T15_forged_tasks", onPostgres, forgedTasks},
	}
}

// flushAll: whoever empties the queue takes nothing from anybody.
func flushAll(t *testing.T, s setup) {
	s.people, s.mail = 700, slow(30*time.Millisecond)
	r := newRig(t, s)
	r.plan("flushed-offers", "")
	r.works(3)
	for _, n := range []int{60, 200, 340} {
		r.taken(n)
		r.redis.flush()
	}
	r.ends("flushed-offers", bounds{})
}

// redisAway: the queue is away for a while and comes back with what it had,
// and once more without. Meanwhile people can unsubscribe, accounts can be
// read, and the log is quiet.
func redisAway(t *testing.T, s setup) {
	s.people, s.mail = 500, slow(30*time.Millisecond)
	r := newRig(t, s)
	r.stock("first-service")
	r.create("second-offers", "")
	p := r.serve()
	r.start("one", "work")
	r.must("campaigns", "start", "second-offers")
	for _, empty := range []bool{false, true} {
		r.taken(r.mail.Journal().Taken() + 60)
		said := len(p.out.String())
		r.redis.kill()
		if a := r.status("second-offers"); a.Planned == 0 {
			t.Error("without Redis the account cannot be read")
		}
		if res, err := r.get("/readyz"); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("without Redis the public pages are not ready: %v, %v", res, err)
		}
		m, ok := r.mail.Latest(r.mail.Journal().Entries()[0].To)
		if !ok {
			t.Fatal("no letter")
		}
		if res, err := r.ask("POST", open(t, m).leave(), "List-Unsubscribe=One-Click"); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("without Redis nobody can unsubscribe: %v, %v", res, err)
		}
		time.Sleep(2 * time.Second) // an outage takes its time
		if lines := strings.Count(p.out.String()[said:], "\n"); lines > 60 {
			t.Errorf("%d lines in the log of an outage of two seconds:\n%s", lines, tail(p.out.String(), 10))
		}
		if empty {
			if err := os.RemoveAll(filepath.Join(r.redis.dir, "appendonlydir")); err != nil {
				t.Fatal(err)
			}
		}
		r.redis.start()
	}
	r.ends("second-offers", bounds{})
}

// redisRestarts: the queue comes and goes; nothing is lost, doubled, or left
// behind in the processes.
func redisRestarts(t *testing.T, s setup) {
	s.people, s.mail = 600, slow(30*time.Millisecond)
	r := newRig(t, s)
	r.plan("restarted-offers", "")
	r.serve()
	r.start("one", "work")
	r.taken(20)
	before := r.gauge("go_goroutines")
	for range 6 {
		r.redis.kill()
		time.Sleep(150 * time.Millisecond)
		r.redis.start()
		r.taken(min(r.mail.Journal().Taken()+20, 480))
	}
	r.ends("restarted-offers", bounds{})
	eventually(t, "the goroutines of the restarts have ended", 30*time.Second, 200*time.Millisecond, func() bool {
		return r.gauge("go_goroutines") <= before+20
	})
}

// redisOutOfMemory: a Redis that may throw keys away, and has hardly room, is
// complained about, and everything arrives.
func redisOutOfMemory(t *testing.T, s setup) {
	s.people = 400
	r := newRig(t, s)
	for _, command := range []string{"CONFIG SET maxmemory-policy allkeys-random", "CONFIG SET maxmemory 1500kb"} {
		if answer, err := r.redis.ask(command); err != nil || answer != "+OK" {
			t.Fatalf("%s: %q, %v", command, answer, err)
		}
	}
	r.plan("cramped-offers", "")
	p := r.serve()
	r.start("one", "work")
	r.ends("cramped-offers", bounds{})
	if said := p.out.String(); !strings.Contains(said, "noeviction") && !strings.Contains(said, "queue") {
		t.Errorf("nobody was told that this Redis throws keys away:\n%s", tail(said, 20))
	}
	if res := r.run("doctor"); !strings.Contains(res.stdout, "noeviction") {
		t.Errorf("the doctor says nothing about it:\n%s", res.stdout)
	}
}

// taskWithoutLease: a task that is worked on and has no lease would stay where
// it is for ever if Redis were the truth.
func taskWithoutLease(t *testing.T, s setup) {
	s.people, s.mail, s.tag = 500, slow(30*time.Millisecond), "failpoints"
	r := newRig(t, s)
	c := r.oneClock()
	r.plan("leaseless-offers", "")
	w := r.works(2)
	for i, n := range []int{60, 160, 260} {
		r.taken(n)
		if answer, err := r.redis.ask(`EVAL "local n=0 for _,k in ipairs(redis.call('keys','*lease')) do n=n+redis.call('del',k) end return n" 0`); err != nil || !strings.HasPrefix(answer, ":") {
			t.Errorf("delete the leases: %q, %v", answer, err)
		}
		if i == 1 { // whoever held the task is gone, too
			w[0].kill()
			r.start("one", "work")
		}
	}
	c.mourn()
	r.ends("leaseless-offers", bounds{uncertain: doubts(1, r.connections)})
}

// workerCutOff: a worker loses database and queue while its messages are on
// the wire, and the line to its mail server holds. Others take over; when it is
// back it does not record over them, and nobody got a message twice beyond what
// was on the wire.
func workerCutOff(t *testing.T, s setup, topic string) {
	s.people, s.lined, s.tag = 120, true, "failpoints"
	pace := newBrake(20 * time.Millisecond)
	s.mail = smtpd.Options{Script: pace.script}
	r := newRig(t, s)
	name := "parted-" + topic
	r.plan(name, "")
	stuck := pace.onlyAfter(20, smtpd.Delay(4*time.Second).At(smtpd.Dot))
	first := r.start("one", "work")
	eventually(t, "every connection waits for an answer", patience, 10*time.Millisecond, func() bool { return stuck.Load() >= int64(r.connections) })
	l, _ := r.line("one")
	if topic == "offers" {
		l.sql.Cut()
		l.redis.Cut()
	} else { // as a router that loses everything without a word
		l.sql.Hold(relay.Up, relay.Down)
		l.redis.Hold(relay.Up, relay.Down)
		l.sql.Reset()
	}
	pace.off()
	// The other one lives half a minute later, so it need not be waited for
	// until the first one counts as dead.
	ahead := r.clock("two")
	ahead.set(40 * time.Second)
	began := time.Now()
	r.start("two", "work", ahead.env())
	r.goesOn(began)
	r.taken(60)
	l.heal()
	r.finished(name)
	if code := first.stop(); code != 0 { // what it had on the wire ends, and may still tell
		t.Errorf("the one that was cut off ended with %d", code)
	}
	bound := doubts(1, r.connections)
	if topic == "service" {
		r.ends(name, bounds{repeats: bound})
	} else {
		r.ends(name, bounds{uncertain: bound})
	}
}

// forgedTasks: a task that nobody of ours has made does nothing, and the queue
// holds nothing about people.
func forgedTasks(t *testing.T, s setup) {
	s.people, s.mail = 300, slow(30*time.Millisecond)
	r := newRig(t, s)
	r.plan("forged-offers", "")
	r.works(2)
	r.taken(20)
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: "127.0.0.1:" + r.redis.port})
	defer func() { _ = client.Close() }()
	queues := r.queues()
	if len(queues) == 0 {
		t.Fatal("no queue was found")
	}
	for _, queue := range queues {
		for _, task := range []string{"batch", "deliver", "rapport:batch", "email:welcome", ""} {
			for _, payload := range []string{"", "{}", `{"batch":1,"run":2}`, `{"batch":-1}`, "batch 1, round 999999", strings.Repeat("\xff", 2000), `[1,2,3]`, "1 0", "99999999 1"} {
				_, _ = client.Enqueue(asynq.NewTask(task, []byte(payload)), asynq.Queue(queue), asynq.MaxRetry(1)) // an empty type is refused here already
			}
		}
	}
	a := r.ends("forged-offers", bounds{})
	text, err := os.ReadFile(r.redisFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"person.", "@shop.example", r.people.at(0).Attributes[1], "Points", "smtp://", "0123456789abcdef0123456789abcdef"} {
		if strings.Contains(strings.ToLower(string(text)), strings.ToLower(word)) {
			t.Errorf("the queue's file has %q in it", word)
		}
	}
	if a.Planned != len(r.people.willing()) {
		t.Errorf("planned %d", a.Planned)
	}
}

// queues are the names of the queues there are.
func (r *rig) queues() []string {
	r.t.Helper()
	inspector := asynq.NewInspector(asynq.RedisClientOpt{Addr: "127.0.0.1:" + r.redis.port})
	defer func() { _ = inspector.Close() }()
	list, err := inspector.Queues()
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// redisFile is the file in which Redis keeps all commands it was given.
func (r *rig) redisFile() string {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.redis.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) == 0 {
		r.t.Fatalf("the files of Redis: %v, %v", files, err)
	}
	return files[len(files)-1]
}
