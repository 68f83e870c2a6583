package worker

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"rapport"
	"rapport/outbox"
)

const (
	witnessEvery = time.Second
	// witnessSize is how long the file is; it never grows, so that a full disk
	// cannot keep it from being written.
	witnessSize = 256
	witnessFile = "milestone"
)

// witness counts what leaves, has it written into the database each second and
// remembers outside of it how far that came: in a file of the data folder, and
// in Redis when several processes share one. The database is always written
// first. So one that is behind what is remembered is an older copy that was
// put back, and nothing may leave until a person has decided what becomes of
// the messages it knows nothing of.
type witness struct {
	store  outbox.Milestones
	redis  redis.UniversalClient // nil: alone
	key    string                // prefix of its keys in Redis
	path   string
	random func() string
	now    func() time.Time
	log    *slog.Logger

	failed atomic.Pointer[error] // of the last look
	left   atomic.Int64          // messages that left and are not in the database's count
	halted atomic.Pointer[outbox.Standstill]
	last   outbox.Milestone // of run's goroutine, after begin
}

// stands says why nothing may leave; nil when all is well. A worker without a
// witness goes on.
func (w *witness) stands() *outbox.Standstill {
	if w == nil {
		return nil
	}
	return w.halted.Load()
}

// failure is why the last count could not be written.
func (w *witness) failure() error {
	if w == nil {
		return nil
	}
	if err := w.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// departed notes that a message leaves.
func (w *witness) departed() {
	if w != nil {
		w.left.Add(1)
	}
}

// name is which database this is, asked once before the spool is opened.
func (w *witness) name(ctx context.Context) (string, error) {
	if w == nil {
		return "", nil
	}
	here, _, err := w.store.Milestone(ctx, w.random())
	return here.Installation, err
}

// begin compares the database with what is remembered and with the outcomes
// that were found in the spool.
func (w *witness) begin(ctx context.Context, lanes []string, found []spooled) error {
	if w == nil {
		return nil
	}
	name, err := w.name(ctx)
	if err != nil {
		return err
	}
	// The database is asked last, as it is written first: what others count
	// meanwhile does not make it look old.
	known, err := w.remembered(ctx, name)
	if err != nil {
		return err
	}
	here, still, err := w.store.Milestone(ctx, w.random())
	if err != nil {
		return err
	}
	w.last = here
	if still.Stands() {
		w.stop(ctx, still)
		return nil
	}
	outcomes := make([]outbox.Settlement, len(found))
	for i, one := range found {
		outcomes[i] = one.Settlement
	}
	unknown, err := w.store.Unknown(ctx, outcomes)
	if err != nil {
		return err
	}
	still = outbox.Standstill{Since: w.now(), Ahead: known}
	switch {
	case known.Installation != "" && known.Installation != here.Installation:
		if here.Run == 0 {
			break // a new database in an old folder: there is nothing in it that could be sent again
		}
		still.Ahead = outbox.Milestone{At: w.now()}
		still.Why = "the data folder was last used with another database: nobody can tell which messages of this one have been sent already"
	case known.Departed > here.Departed:
		still.Why = fmt.Sprintf("the database is older than the last message sent: %s sent since %s are not in it", messages(known.Departed-here.Departed), moment(here.At))
	case unknown > 0:
		still.Ahead.At = w.now()
		still.Why = fmt.Sprintf("the database is older than the last message sent: the spool holds %s that are not in it", messages(int64(unknown)))
	}
	if still.Why == "" {
		if err := w.remember(ctx, here); err != nil { // it is tried again whenever something has left
			w.log.WarnContext(ctx, "how far the database has come is not remembered everywhere", slog.Any("error", err))
		}
		return nil
	}
	if err := w.store.Halt(ctx, still, lanes); err != nil {
		return err
	}
	w.stop(ctx, still)
	return nil
}

func messages(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	if n == 1 {
		return text + " message"
	}
	return text + " messages"
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "its beginning"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func (w *witness) stop(ctx context.Context, s outbox.Standstill) {
	w.halted.Store(&s)
	w.log.ErrorContext(ctx, "nothing is sent until a person decides: rapport restore confirm", slog.String("why", s.Why), slog.Time("since", s.Since))
}

// run counts each second until the context ends.
func (w *witness) run(ctx context.Context, lanes []string, trouble func(string, error)) {
	tick := time.NewTicker(witnessEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := w.look(ctx, lanes)
		if ctx.Err() != nil {
			return
		}
		w.failed.Store(&err)
		if err != nil {
			trouble("how far it has come could not be written", err)
		}
	}
}

// look writes what left since the last look, and hears of a standstill or its
// end.
func (w *witness) look(ctx context.Context, lanes []string) error {
	if w == nil {
		return nil
	}
	n := w.left.Swap(0)
	var here outbox.Milestone
	var still outbox.Standstill
	var err error
	if n > 0 {
		here, still, err = w.store.Pass(ctx, n, w.now())
	} else {
		here, still, err = w.store.Milestone(ctx, w.last.Installation)
	}
	if err != nil {
		w.left.Add(n)
		return err
	}
	was := w.stands()
	switch {
	case still.Stands():
		if was == nil {
			w.stop(ctx, still)
		}
	case was != nil:
		w.halted.Store(nil)
		w.log.InfoContext(ctx, "a person has decided: sending goes on")
	case here.Departed < w.last.Departed+n || here.Installation != w.last.Installation:
		still = outbox.Standstill{Since: w.now(), Ahead: w.last, Why: "the database was replaced by an older one while messages were sent"}
		still.Ahead.Departed += n
		if err := w.store.Halt(ctx, still, lanes); err != nil {
			return err
		}
		w.stop(ctx, still)
		return nil
	}
	moved := here.Departed != w.last.Departed
	w.last = here
	if !moved && was == nil || w.stands() != nil {
		return nil
	}
	return w.remember(ctx, here)
}

// remembered is the farthest that anybody remembers of this installation; or,
// when the file is about another one, what the file says.
func (w *witness) remembered(ctx context.Context, name string) (outbox.Milestone, error) {
	file, err := w.read()
	if err != nil {
		return outbox.Milestone{}, err
	}
	if w.redis == nil {
		return file, nil
	}
	text, err := w.redis.Get(ctx, w.key+name).Result()
	if err != nil {
		if !errors.Is(err, redis.Nil) {
			w.log.WarnContext(ctx, "Redis does not say how far the database had come; the data folder is asked only", slog.Any("error", err))
		}
		return file, nil
	}
	if shared, ok := parseMilestone(text); ok && shared.Installation == name && (file.Installation != name || shared.Departed > file.Departed) {
		return shared, nil
	}
	return file, nil
}

// keep is remembering in Redis: never less than what is remembered already.
var keep = redis.NewScript(`
local was = redis.call('GET', KEYS[1])
if was and tonumber(string.match(was, '^%S+ (%d+)') or '0') > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', 31536000)
return 1`)

func (w *witness) remember(ctx context.Context, m outbox.Milestone) error {
	err := w.write(m)
	if w.redis != nil {
		err = errors.Join(err, keep.Run(ctx, w.redis, []string{w.key + m.Installation}, milestoneText(m), m.Departed).Err())
	}
	if err != nil {
		return fmt.Errorf("remember how far the database has come: %w", err)
	}
	return nil
}

// newWitness makes a worker's witness; nil when nobody can be asked.
func newWitness(o Options, shared redis.UniversalClient) *witness {
	if o.Milestones == nil {
		return nil
	}
	return &witness{
		store: o.Milestones, redis: shared, key: o.Space + ":milestone:", path: filepath.Join(o.Data, witnessFile),
		random: o.Random, now: o.Now, log: o.Log,
	}
}

// Remember writes into a data folder how far its database has come, whatever
// stood there before.
func Remember(data string, m outbox.Milestone) error {
	return (&witness{path: filepath.Join(data, witnessFile)}).overwrite(m, true)
}

func (w *witness) write(m outbox.Milestone) error { return w.overwrite(m, false) }

// overwrite writes the file in place. Processes that share a folder write the
// same file: the farthest of one installation stays.
func (w *witness) overwrite(m outbox.Milestone, always bool) error {
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the milestone: %w", err)
	}
	defer func() { _ = f.Close() }() // what was written is there already
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the milestone: %w", err)
	}
	b := make([]byte, witnessSize)
	n, _ := f.ReadAt(b, 0) // an empty one says nothing
	if was, ok := parseMilestone(string(b[:n])); ok && !always && was.Installation == m.Installation && was.Departed > m.Departed {
		return nil
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%-*s\n", witnessSize-1, milestoneText(m)), 0); err != nil {
		return fmt.Errorf("write the milestone: %w", err)
	}
	return nil
}

// read returns what the file says; nothing when there is none, or when it was
// torn with the machine.
func (w *witness) read() (outbox.Milestone, error) {
	b, err := os.ReadFile(w.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return outbox.Milestone{}, rapport.Unavailablef(err, "the file %s, which knows how far the database had come, cannot be read: %v", w.path, err)
	}
	m, _ := parseMilestone(string(b))
	return m, nil
}

// milestoneText is one line: which installation, how many messages, when, the
// highest numbers of a run and a contact, and a checksum.
func milestoneText(m outbox.Milestone) string {
	text := fmt.Sprintf("%s %d %d %d %d", m.Installation, m.Departed, m.At.UnixMicro(), m.Run, m.Contact)
	return text + " " + checksum(text)
}

func checksum(text string) string {
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(text), castagnoli))
}

func parseMilestone(text string) (m outbox.Milestone, ok bool) {
	f := strings.Fields(text)
	if len(f) != 6 || checksum(strings.Join(f[:5], " ")) != f[5] {
		return m, false
	}
	var n [4]int64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseInt(f[i+1], 10, 64); err != nil {
			return m, false
		}
	}
	return outbox.Milestone{Installation: f[0], Departed: n[0], At: time.UnixMicro(n[1]).UTC(), Run: n[2], Contact: n[3]}, true
}
