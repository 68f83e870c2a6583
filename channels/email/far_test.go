package email

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
	"rapport/internal/secret"
)

// far is a way to a server on which each octet takes so long.
func far(t testing.TB, to string, delay time.Duration) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			there, err := new(net.Dialer).Dial("tcp", to)
			if err != nil {
				_ = here.Close()
				continue
			}
			wg.Go(func() { carry(there, here, delay) })
			wg.Go(func() { carry(here, there, delay) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

// carry takes octets from one end to the other, each so much later.
func carry(to, from net.Conn, delay time.Duration) {
	type parcel struct {
		data []byte
		due  time.Time
	}
	road := make(chan parcel, 1024)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = to.Close() }()
		for p := range road {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.data)
		}
	})
	for {
		buf := make([]byte, 64<<10)
		n, err := from.Read(buf)
		if n > 0 {
			road <- parcel{buf[:n], time.Now().Add(delay)}
		}
		if err != nil {
			if err != io.EOF { //nolint:errorlint // Read returns it as it is
				_ = from.Close()
			}
			break
		}
	}
	close(road)
	wg.Wait()
}

// BenchmarkRoundTrips is Sends to a server that is 20 ms away and back.
func BenchmarkRoundTrips(b *testing.B) {
	const connections = 10
	count, err := journal.New(journal.Options{CountOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct {
		name    string
		support smtpd.Support
		senders int
	}{{"pipelined", smtpd.Works, 3}, {"two round trips", smtpd.Works, 1}, {"plain", smtpd.Absent, 1}} {
		b.Run(way.name, func(b *testing.B) {
			srv := start(b, smtpd.Options{Keep: smtpd.KeepNothing, Journal: count, Pipelining: way.support})
			s := settings(srv)
			s.Servers[0].URL = secret.New("smtp://" + far(b, srv.Addr(), 10*time.Millisecond) + "?tls=none")
			s.Servers[0].Connections = connections
			ch := openChannel(b, s)
			var n atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range way.senders * connections {
				wg.Go(func() {
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						if _, err := ch.Send(b.Context(), letterTo("anna@example.org", fmt.Sprintf("d1-%x", i))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "letters/s")
		})
	}
}
