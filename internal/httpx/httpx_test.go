package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// local is a client that may call the test's own servers.
func local(t *testing.T) *Client {
	t.Helper()
	c, err := New(Options{Private: []string{"127.0.0.0/8", "::1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func post(ctx context.Context, t *testing.T, c *Client, target, body string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestConnectionsAreKeptAndRedirectsAreNotFollowed(t *testing.T) {
	var calls, conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := local(t)
	for range 3 {
		status, err := post(t.Context(), t, c, s.URL, "x")
		if err != nil || status != http.StatusFound {
			t.Fatalf("status %d, error %v; want the redirect itself", status, err)
		}
	}
	if calls.Load() != 3 || conns.Load() != 1 {
		t.Errorf("%d calls on %d connections, want 3 on 1", calls.Load(), conns.Load())
	}
}

func TestAnswersAreBounded(t *testing.T) {
	for _, c := range []struct {
		size int
		want error
	}{{MaxBody - 1, nil}, {MaxBody, nil}, {MaxBody + 1, ErrTooLong}, {1 << 22, ErrTooLong}} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", c.size))
		})
		if _, err := post(t.Context(), t, local(t), s.URL, "x"); !errors.Is(err, c.want) {
			t.Errorf("%d octets: error %v, want %v", c.size, err, c.want)
		}
	}
}

func TestRefusalLetsNothingOut(t *testing.T) {
	no := errors.New("no")
	for _, scheme := range []string{"http", "https"} {
		var arrived atomic.Int32
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
		if scheme == "https" {
			s.StartTLS()
		} else {
			s.Start()
		}
		defer s.Close()
		c := local(t)
		if scheme == "https" {
			c.transport.DialTLSContext = trusting(c, s)
		}
		for i := range 6 {
			want := error(nil)
			if i%2 == 1 {
				want = no
			}
			asked := 0
			ctx, trip := Watch(t.Context(), func(context.Context) error { asked++; return want })
			_, err := post(ctx, t, c, s.URL, strings.Repeat("x", 100_000))
			if err != want { //nolint:errorlint // unchanged is what is promised
				t.Fatalf("%s: error %v, want %v itself", scheme, err, want)
			}
			if asked != 1 || trip.Left() != (want == nil) || int(arrived.Load()) != i/2+1 {
				t.Errorf("%s, call %d: asked %d times, left %v, %d arrived", scheme, i, asked, trip.Left(), arrived.Load())
			}
		}
	}
}

// trusting dials as the client does, but with the test server's certificate.
func trusting(c *Client, s *httptest.Server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := c.guard.connect(ctx, network, address)
		if err != nil {
			return nil, err
		}
		cfg := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		cfg.ServerName = "example.com"
		secure := tls.Client(conn, cfg)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		return &gateConn{Conn: secure}, nil
	}
}

func TestDepartIsAskedAfterTheHandshakeInTheCallersTime(t *testing.T) {
	connected := make(chan struct{}, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			connected <- struct{}{}
		}
	}
	s.Start()
	defer s.Close()
	ctx, _ := Watch(t.Context(), func(ctx context.Context) error {
		select {
		case <-connected: // fails by the test's limit if asked before dialling
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if _, err := post(ctx, t, local(t), s.URL, "x"); err != nil {
		t.Fatal(err)
	}
}

func TestLeftTellsBeforeFromAfter(t *testing.T) {
	hang := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	reset := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, c := range map[string]struct {
		url  string
		left bool
	}{
		"refused connection":   {gone.URL, false},
		"unknown name":         {"http://does-not-exist.invalid", false},
		"no answer":            {hang.URL, true},
		"connection lost":      {reset.URL, true},
		"private, not allowed": {"http://10.255.255.1", false},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		ctx, trip := Watch(ctx, nil)
		_, err := post(ctx, t, local(t), c.url, "x")
		cancel()
		if err == nil || trip.Left() != c.left {
			t.Errorf("%s: error %v, left %v, want left %v", name, err, trip.Left(), c.left)
		}
	}
}

func TestKeptConnectionThatDiedIsReplacedWithoutAskingTwice(t *testing.T) {
	var n atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { n.Add(1) })
	c := local(t)
	if _, err := post(t.Context(), t, c, s.URL, "x"); err != nil {
		t.Fatal(err)
	}
	asked := 0
	ctx, _ := Watch(t.Context(), func(context.Context) error {
		asked++
		s.CloseClientConnections() // between permission and the first octet
		return nil
	})
	if _, err := post(ctx, t, c, s.URL, "x"); err != nil {
		t.Logf("the call failed, as it may: %v", err)
	}
	if asked != 1 || n.Load() > 2 {
		t.Errorf("asked %d times, %d arrived", asked, n.Load())
	}
	if _, err := post(t.Context(), t, c, s.URL, "x"); err != nil {
		t.Errorf("the next call fails: %v", err)
	}
}

func TestErrorsShowNothingOfTheURL(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	u, err := url.Parse(gone.URL)
	if err != nil {
		t.Fatal(err)
	}
	target := "http://user:canary-1@" + u.Host + "/services/canary-2?key=canary-3#canary-4"
	_, err = post(t.Context(), t, local(t), target, "canary-5")
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), u.Host) {
		t.Errorf("error %v must name the host and nothing else of the URL", err)
	}
	err = local(t).Reach(t.Context(), target)
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), u.Host) {
		t.Errorf("error %v must name the host and nothing else of the URL", err)
	}
}

func TestClosedClientCallsNobody(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := local(t)
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := post(t.Context(), t, c, s.URL, "x"); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	if err := c.Reach(t.Context(), s.URL); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	if local(t).transport.Proxy != nil {
		t.Error("a proxy is configured")
	}
	if _, err := post(t.Context(), t, local(t), s.URL, "x"); err != nil {
		t.Error(err)
	}
}
