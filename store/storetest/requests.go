package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport"
	"rapport/consent"
	"rapport/contacts"
	"rapport/requests"
	"rapport/responses"
	"rapport/store"
)

// postbox takes the letters of requests. A letter of a known reference is the
// one it has; while it is broken it takes none.
type postbox struct {
	mu      sync.Mutex
	broken  bool
	letters map[string]requests.Letter
}

// Send implements requests.Sender.
func (p *postbox) Send(_ context.Context, l requests.Letter) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return "", rapport.Unavailablef(nil, "the postbox is broken")
	}
	p.letters[l.Reference] = l
	return rapport.DeliveryID(int64(len(p.letters)), l.Contact), nil
}

// Left implements requests.Sender.
func (p *postbox) Left(_ context.Context, r requests.Request) (string, time.Time, error) {
	return "<" + r.Delivery + "@example.com>", r.AskedAt.Add(time.Second), nil
}

func (p *postbox) n() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.letters)
}

// token is what stands in the link of the last letter to an owner.
func (p *postbox) token(t testing.TB, contact int64) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	best := ""
	for ref, l := range p.letters {
		if l.Contact == contact && strings.HasPrefix(ref, "request-") && (len(ref) > len(best) || len(ref) == len(best) && ref > best) {
			best = ref
		}
	}
	if best == "" {
		t.Fatalf("contact %d has no letter", contact)
	}
	return strings.TrimPrefix(p.letters[best].Data["link"].(string), "/r/")
}

// hall is the room of requests over a store, with a clock of its own.
type hall struct {
	*House
	*requests.Service
	box   *postbox
	ahead time.Duration
	t     *testing.T
}

// Requests examines what the room of requests asks of a store.
func Requests(t *testing.T, s *store.Store) {
	h := &hall{House: NewHouse(t, s), box: &postbox{letters: map[string]requests.Letter{}}, t: t}
	now := func() time.Time { return time.Now().Add(h.ahead) }
	mark := contacts.NewFingerprint([]byte("pepper of the examination"))
	h.House.Consent = consent.New(consent.Options{Store: s, Drivers: h.Drivers, Fingerprint: mark, Now: now, Random: rand.Reader})
	if err := h.Consent.PutTopics(t.Context(), []consent.Topic{{Name: requests.Topic, Kind: consent.Transactional}, {Name: "offers", Kind: consent.Marketing}}); err != nil {
		t.Fatal(err)
	}
	tokens, err := responses.NewTokens(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	h.Service = requests.New(requests.Options{
		Store: s, Sender: h.box, Drivers: h.Drivers, Tokens: tokens, Link: func(token string) string { return "/r/" + token },
		Fingerprint: mark, Fresh: h.Contacts.Fresh, Keep: func(ip string) string { return ip },
		Expires: 30 * 24 * time.Hour, Now: now, Random: rand.Reader,
	})
	(&requests.Handlers{Consent: h.Consent, Contacts: h.Contacts, Store: s, Sender: h.box, Drivers: h.Drivers, Random: rand.Reader}).Register(h.Service)
	h.asking()
	h.crashing()
	h.confirming()
	h.moving()
	h.ending()
	h.carrying()
	rep, err := h.Consent.Verify(t.Context(), nil)
	if err != nil || rep.Bad != nil {
		t.Errorf("the ledger does not verify: %+v, %v", rep.Bad, err)
	}
}

func (h *hall) ask(address string, topics ...string) {
	h.t.Helper()
	err := h.Ask(h.t.Context(), requests.Ask{Kind: requests.Subscribe, Driver: mailer, Address: address, Topics: topics, Form: "join", Method: consent.ByForm})
	if err != nil {
		h.t.Fatalf("ask for %s: %v", address, err)
	}
}

func (h *hall) who(address string) int64 {
	h.t.Helper()
	c, err := h.Contacts.Get(h.t.Context(), address)
	if err != nil {
		h.t.Fatal(err)
	}
	return c.ID
}

func (h *hall) stands(contact int64) string {
	h.t.Helper()
	sheet, err := h.Consent.Show(h.t.Context(), contact)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, c := range sheet.Standing {
		out = append(out, fmt.Sprintf("%s=%s@%s", c.Topic, c.Answer, strings.SplitN(c.Address, "@", 2)[0]))
	}
	return strings.Join(out, " ")
}

func (h *hall) is(contact int64, want string) {
	h.t.Helper()
	if got := h.stands(contact); got != want {
		h.t.Errorf("%d stands at %q, want %q", contact, got, want)
	}
}

// asking: of many at once, however they spell the mailbox, one gets a letter.
func (h *hall) asking() {
	h.ask("one@example.com", "news")
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() { h.ask([]string{"one@example.com", "ONE+a@example.com", "one+b@example.com"}[i%3], "news") })
	}
	all.Wait()
	if n := h.box.n(); n != 1 {
		h.t.Errorf("%d letters", n)
	}
	h.ask("two@example.com", "news", "offers")
	h.is(h.who("two@example.com"), "confirmations=granted@two news=pending@two offers=pending@two")
	for name, a := range map[string]requests.Ask{
		"no kind": {Driver: mailer, Address: "x@example.com"}, "no address": {Kind: requests.Subscribe, Driver: mailer},
		"no handler": {Kind: requests.Erase, Contact: 1, Driver: mailer}, "nobody": {Kind: requests.Move, Driver: mailer, Address: "x@example.com"},
		"a wrong address": {Kind: requests.Subscribe, Driver: mailer, Address: "x@@"},
	} {
		if err := h.Ask(h.t.Context(), a); rapport.KindOf(err) != rapport.Invalid {
			h.t.Errorf("%s: %v", name, err)
		}
	}
	if err := h.Ask(h.t.Context(), requests.Ask{Kind: requests.Subscribe, Driver: "carrier", Address: "x@example.com"}); rapport.KindOf(err) != rapport.NotFound {
		h.t.Errorf("an unknown driver: %v", err)
	}
}

// crashing: a letter that could not be handed over is later, once.
func (h *hall) crashing() {
	before := h.box.n()
	h.box.broken = true
	h.ask("late@example.com", "news")
	h.box.broken = false
	if err := h.Resume(h.t.Context()); err != nil || h.box.n() != before {
		h.t.Errorf("gone on with too early: %v", err)
	}
	h.ahead += 2 * time.Minute
	for range 2 {
		if err := h.Resume(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
	}
	if n := h.box.n(); n != before+1 {
		h.t.Errorf("%d letters after going on, want %d", n, before+1)
	}
	h.unfinished()
}

// unfinished: what was confirmed and not done is done by whoever looks next,
// with the press of the button as it was.
func (h *hall) unfinished() {
	ctx, who := h.t.Context(), h.who("late@example.com")
	done, fail := 0, true
	h.Handle(requests.SeeData, requests.HandlerFunc(func(_ context.Context, _ requests.Request, c requests.Confirmation) error {
		if fail {
			return rapport.Unavailablef(nil, "something is away")
		}
		if done++; c.Agent != "browser" || c.At.IsZero() {
			h.t.Errorf("done for %+v", c)
		}
		return nil
	}))
	if err := h.Ask(ctx, requests.Ask{Kind: requests.SeeData, Contact: who, Driver: mailer, Method: consent.ByLink}); err != nil {
		h.t.Fatal(err)
	}
	token := h.box.token(h.t, who)
	if r, err := h.Confirm(ctx, token, requests.Confirmation{Agent: "browser"}); rapport.KindOf(err) != rapport.Unavailable || r.ConfirmedAt.IsZero() {
		h.t.Errorf("%+v, %v", r, err)
	}
	fail = false
	h.ahead += 2 * time.Minute
	for range 2 {
		if err := h.Resume(ctx); err != nil {
			h.t.Fatal(err)
		}
	}
	if _, err := h.Confirm(ctx, token, requests.Confirmation{Agent: "another"}); err != nil || done != 1 {
		h.t.Errorf("done %d times, %v", done, err)
	}
}

// confirming: the first of many counts, and done is done.
func (h *hall) confirming() {
	ctx, two := h.t.Context(), h.who("two@example.com")
	token := h.box.token(h.t, two)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := h.Confirm(ctx, token, requests.Confirmation{IP: "192.0.2.1", Agent: "browser"}); err != nil {
				h.t.Errorf("confirm: %v", err)
			}
		})
	}
	all.Wait()
	h.is(two, "confirmations=granted@two news=granted@two offers=granted@two")
	sheet, err := h.Consent.Show(ctx, two)
	if err != nil || len(sheet.History) != 5 {
		h.t.Errorf("%d lines, %v; want 5", len(sheet.History), err)
	}
	r, err := h.Peek(ctx, token)
	if err != nil || r.ConfirmedAt.IsZero() || r.HandledAt.IsZero() || r.ConfirmIP != "192.0.2.1" || r.MessageID == "" {
		h.t.Errorf("%+v, %v", r, err)
	}
	if _, err := h.Peek(ctx, token[:len(token)-1]+"A"); rapport.KindOf(err) != rapport.NotFound {
		h.t.Errorf("another token: %v", err)
	}
	if r, first, err := h.Store.ConfirmRequest(ctx, r.ID, requests.Confirmation{At: time.Now()}); err != nil || first || r.ConfirmIP != "192.0.2.1" {
		h.t.Errorf("confirmed twice: %+v, %v", r, err)
	}
}

// moving: the address changes hands with what stands for it.
func (h *hall) moving() {
	ctx, two := h.t.Context(), h.who("two@example.com")
	move := func(to string) {
		h.t.Helper()
		if err := h.Ask(ctx, requests.Ask{Kind: requests.Move, Contact: two, Driver: mailer, Address: to, Method: consent.ByLink}); err != nil {
			h.t.Fatal(err)
		}
	}
	before := h.box.n()
	move("two@example.com") // is theirs
	other := h.who("one@example.com")
	if _, err := h.Consent.Grant(ctx, consent.Entry{Contact: other, Driver: mailer, Topic: "offers", Source: "shop"}); err != nil {
		h.t.Fatal(err)
	}
	h.ahead += 25 * time.Hour
	move("one@example.com") // is somebody's
	if h.box.n() != before {
		h.t.Error("a letter to the address of somebody else")
	}
	move("three@example.com")
	made := h.who("three@example.com")
	token := h.box.token(h.t, made)
	h.suppress(h.t, "two@example.com", consent.Complaint)
	for range 2 {
		if _, err := h.Confirm(ctx, token, requests.Confirmation{}); err != nil {
			h.t.Fatal(err)
		}
	}
	if got := h.reason(h.t, "three@example.com"); got != consent.Complaint {
		h.t.Errorf("what forbids to write to the person did not move with them: %q", got)
	}
	if h.who("three@example.com") != two || h.who("two@example.com") != made {
		h.t.Error("the addresses did not change hands")
	}
	h.is(two, "confirmations=granted@three news=granted@three offers=granted@three")
	h.is(made, "confirmations=granted@two")
	if h.box.n() != before+2 {
		h.t.Errorf("%d letters, want %d: the question and the note to the old address", h.box.n(), before+2)
	}
}

// ending: what waits too long is over; whoever became somebody stays.
func (h *hall) ending() {
	ctx := h.t.Context()
	late, one := h.who("late@example.com"), h.who("one@example.com")
	h.ahead += 31 * 24 * time.Hour
	if _, err := h.Confirm(ctx, h.box.token(h.t, one), requests.Confirmation{}); err == nil {
		h.t.Error("confirmed after its time")
	}
	p, err := h.Prune(ctx)
	if err != nil || p.Expired != 2 || p.Contacts != 2 || p.Requests != 5 {
		h.t.Errorf("%+v, %v", p, err)
	}
	if again, err := h.Prune(ctx); err != nil || again != (requests.Pruned{}) {
		h.t.Errorf("twice: %+v, %v", again, err)
	}
	if _, err := h.Store.Contact(ctx, contacts.Key{ID: late}); rapport.KindOf(err) != rapport.NotFound {
		h.t.Errorf("somebody made for a request is still there: %v", err)
	}
	h.is(one, "confirmations=granted@one offers=granted@one") // the shop's contact, less what waited
	if _, err := h.Contacts.Get(ctx, "two@example.com"); rapport.KindOf(err) != rapport.NotFound {
		h.t.Errorf("the old address is still there: %v", err)
	}
	records, err := h.Store.History(ctx, late)
	if err != nil || len(records) == 0 {
		h.t.Fatal(err)
	}
	states := map[consent.State]int{}
	for _, r := range records {
		states[r.State]++
		if _, there := r.Proof(); there {
			h.t.Errorf("line %d still has its evidence", r.ID)
		}
	}
	if states[consent.Requested] != 1 || states[consent.Expired] != 1 || states[consent.Erased] != 2 {
		h.t.Errorf("states %v", states)
	}
	h.ask("late@example.com", "news")
	if h.who("late@example.com") == late {
		h.t.Error("a number was given out again")
	}
}
