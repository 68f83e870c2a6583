package imap_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport"
	"rapport/inbox"
	"rapport/inbox/imap"
	"rapport/internal/fake/imapd"
)

// clerk takes mails and remembers them. It is a store of cursors too.
type clerk struct {
	mu      sync.Mutex
	got     []string
	news    chan struct{}
	fail    map[string]error // by first word of the body, as often as it comes
	cursors map[string]inbox.Cursor
}

func newClerk() *clerk {
	return &clerk{news: make(chan struct{}, 1000), fail: map[string]error{}, cursors: map[string]inbox.Cursor{}}
}

func (c *clerk) Take(_ context.Context, raw []byte) (inbox.Outcome, error) {
	word := strings.Fields(inbox.Read(raw).Text)[0]
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.news <- struct{}{} }()
	c.got = append(c.got, word)
	if err := c.fail[word]; err != nil {
		return "", err
	}
	switch word[0] {
	case 'r':
		return inbox.Reply, nil
	case 'd':
		return inbox.Doubtful, nil
	}
	return inbox.Left, nil
}

func (c *clerk) MailCursor(_ context.Context, mailbox string) (inbox.Cursor, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.cursors[mailbox]
	out.Mailbox = mailbox
	return out, nil
}

func (c *clerk) PutMailCursor(_ context.Context, x inbox.Cursor) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cursors[x.Mailbox] = x
	return nil
}

func (c *clerk) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

func (c *clerk) trouble(word string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail[word] = err
}

// wait waits until n mails were given.
func (c *clerk) wait(t *testing.T, n int) {
	t.Helper()
	patience := time.After(30 * time.Second)
	for len(c.list()) < n {
		select {
		case <-c.news:
		case <-patience:
			t.Fatalf("%d mails were given: %v, want %d", len(c.list()), c.list(), n)
		}
	}
}

func mail(word string) []byte {
	return []byte("From: anna@example.com\r\nTo: shop@example.com\r\nMessage-ID: <" + word + "@example.com>\r\nSubject: x\r\n\r\n" + word + "\r\n")
}

func server(t *testing.T, o imapd.Options) *imapd.Server {
	t.Helper()
	s, err := imapd.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func settings(s *imapd.Server) imap.Settings {
	return imap.Settings{
		Name: "box", Host: "127.0.0.1", Addr: s.Addr(), User: imapd.User, Password: func() string { return imapd.Password },
		Security: imap.None, Folder: "INBOX", Done: "Rapport", Every: time.Minute,
	}
}

func start(t *testing.T, s imap.Settings, c *clerk) *imap.Reader {
	t.Helper()
	r := imap.New(s, imap.Options{Taker: c, Cursors: c, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, r) })
	return r
}

func stop(t *testing.T, r *imap.Reader) {
	t.Helper()
	if err := r.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func put(t *testing.T, s *imapd.Server, words ...string) {
	t.Helper()
	for _, w := range words {
		if err := s.Put("INBOX", mail(w)); err != nil {
			t.Fatal(err)
		}
	}
}

// folder waits until a folder holds the mails of these words, and returns them.
func folder(t *testing.T, s *imapd.Server, name string, words ...string) map[string]imapd.Mail {
	t.Helper()
	patience := time.Now().Add(30 * time.Second)
	for {
		list, err := s.Mails(name)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]imapd.Mail{}
		var got []string
		for _, m := range list {
			w := strings.TrimSpace(string(m.Raw[strings.Index(string(m.Raw), "\r\n\r\n")+4:]))
			out[w] = m
			got = append(got, w)
		}
		if slices.Sort(got); slices.Equal(got, words) {
			return out
		}
		if time.Now().After(patience) {
			t.Fatalf("%s holds %v, want %v", name, got, words)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestReading: what is there is read in order, what comes is told by the
// server, and each mail ends where it belongs.
func TestReading(t *testing.T) {
	for _, o := range []imapd.Options{{}, {Plain: true}} {
		t.Run(fmt.Sprintf("plain=%t", o.Plain), func(t *testing.T) {
			s, c := server(t, o), newClerk()
			put(t, s, "a", "reply", "doubt")
			set := settings(s)
			if o.Plain {
				set.Every = 50 * time.Millisecond // nothing is told: it looks
			}
			r := start(t, set, c)
			c.wait(t, 3)
			put(t, s, "b")
			c.wait(t, 4)
			if got := c.list(); !slices.Equal(got, []string{"a", "reply", "doubt", "b"}) {
				t.Errorf("given %v", got)
			}
			if o.Plain { // nothing can be moved safely: it is marked
				in := folder(t, s, "INBOX", "a", "b", "doubt", "reply")
				if !in["a"].Seen || in["reply"].Seen || in["doubt"].Seen || !in["doubt"].Flagged {
					t.Errorf("marks %+v", in)
				}
				return
			}
			folder(t, s, "Rapport", "a", "b")
			in := folder(t, s, "INBOX", "doubt", "reply")
			if in["reply"].Seen || in["reply"].Flagged || in["doubt"].Seen || !in["doubt"].Flagged {
				t.Errorf("marks %+v", in)
			}
			if st := r.State(); st.Err != nil || st.Looked.IsZero() {
				t.Errorf("state %+v", st)
			}
		})
	}
}

// TestRestart: a new reader goes on where the last one stood; a folder that was
// made anew is read again from its beginning.
func TestRestart(t *testing.T) {
	s, c := server(t, imapd.Options{}), newClerk()
	put(t, s, "reply1", "a")
	set := settings(s)
	r := start(t, set, c)
	c.wait(t, 2)
	folder(t, s, "Rapport", "a")
	stop(t, r)
	put(t, s, "b")
	start(t, set, c)
	c.wait(t, 3)
	if got := c.list(); !slices.Equal(got, []string{"reply1", "a", "b"}) {
		t.Errorf("given %v", got)
	}
	folder(t, s, "Rapport", "a", "b")

	other := newClerk()
	other.cursors[set.Name+" "+set.User+"@"+set.Host+"/INBOX"] = inbox.Cursor{Validity: 77, UID: 99}
	set.Done = ""
	start(t, set, other)
	other.wait(t, 1)
	if got := other.list(); !slices.Equal(got, []string{"reply1"}) {
		t.Errorf("given %v", got)
	}
}

// TestBrokenConnections: a connection that is cut is made anew, and nothing is
// given twice that was dealt with.
func TestBrokenConnections(t *testing.T) {
	s, c := server(t, imapd.Options{}), newClerk()
	put(t, s, "a")
	start(t, settings(s), c)
	c.wait(t, 1)
	folder(t, s, "Rapport", "a")
	s.Cut()
	put(t, s, "b")
	c.wait(t, 2)
	if s.Connections() < 2 || !slices.Equal(c.list(), []string{"a", "b"}) {
		t.Errorf("%d connections, given %v", s.Connections(), c.list())
	}
}

// TestTrouble: a database that is away has the mail given again; a mail that
// nobody can deal with waits for people and holds up no other.
func TestTrouble(t *testing.T) {
	s, c := server(t, imapd.Options{}), newClerk()
	c.trouble("away", rapport.Unavailablef(nil, "the database is away"))
	put(t, s, "away", "b")
	r := start(t, settings(s), c)
	c.wait(t, 2)
	if slices.Contains(c.list(), "b") {
		t.Errorf("given %v: one was left out", c.list())
	}
	for r.State().Err == nil {
		time.Sleep(5 * time.Millisecond)
	}
	c.trouble("away", nil)
	folder(t, s, "Rapport", "away", "b")
	stop(t, r)

	c = newClerk()
	c.trouble("poison", errors.New("a bug"))
	c.trouble("wrong", rapport.Invalidf("", "nonsense"))
	put(t, s, "wrong", "poison", "z")
	start(t, settings(s), c)
	for !slices.Contains(c.list(), "z") {
		c.wait(t, len(c.list())+1)
	}
	folder(t, s, "INBOX", "poison", "wrong")
}

func TestTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	plain := web.TLS.Clone()
	plain.NextProtos = nil
	s, c := server(t, imapd.Options{TLS: plain}), newClerk()
	set := settings(s)
	set.Security = imap.Implicit
	check := func(set imap.Settings) error {
		return imap.New(set, imap.Options{Taker: c, Cursors: c, Now: time.Now, Log: slog.New(slog.DiscardHandler)}).Check(t.Context())
	}
	if err := check(set); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
	set.Roots = x509.NewCertPool()
	set.Roots.AddCert(web.Certificate())
	if err := check(set); err != nil {
		t.Error(err)
	}
	set.Password = func() string { return "canary-wrong" }
	if err := check(set); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a wrong password: %v", err)
	}
	set.Password, set.Folder = func() string { return imapd.Password }, "Nowhere"
	if err := check(set); err == nil || !strings.Contains(err.Error(), "Nowhere") {
		t.Errorf("no such folder: %v", err)
	}
	set.Addr = "127.0.0.1:1"
	if err := check(set); err == nil {
		t.Error("nobody listens")
	}
}
