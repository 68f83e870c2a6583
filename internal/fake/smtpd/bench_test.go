package smtpd_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

// BenchmarkSink is the ceiling of the receiver: ten connections, a letter of
// 14.5 KB, the envelope in one packet. One operation is one message.
func BenchmarkSink(b *testing.B) {
	for _, tt := range []struct {
		name string
		opts smtpd.Options
	}{
		{"count", smtpd.Options{Keep: smtpd.KeepNothing}},
		{"headers", smtpd.Options{Keep: smtpd.KeepHeaders}},
		{"bodies", smtpd.Options{MaxBytes: 16 << 20}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			j, err := journal.New(journal.Options{CountOnly: tt.opts.Keep == smtpd.KeepNothing, Keep: 1000})
			if err != nil {
				b.Fatal(err)
			}
			tt.opts.Journal = j
			s, err := smtpd.Start(b.Context(), tt.opts)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var senders sync.WaitGroup
			const connections = 10
			for i := range connections {
				senders.Go(func() { flood(b, s.Addr(), i, b.N/connections+1) })
			}
			senders.Wait()
			b.StopTimer()
			b.ReportMetric(float64(j.Taken())/b.Elapsed().Seconds(), "msg/s")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			if want := connections * (b.N/connections + 1); j.Taken() != want {
				b.Fatalf("%d taken, want %d", j.Taken(), want)
			}
		})
	}
}

// flood sends n messages over one connection.
func flood(b *testing.B, addr string, who, n int) {
	var d net.Dialer
	conn, err := d.DialContext(b.Context(), "tcp", addr)
	if err != nil {
		b.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	read := func(answers int) bool {
		for range answers {
			for more := true; more; {
				line, err := in.ReadSlice('\n')
				if err != nil || line[0] > '3' {
					b.Errorf("answer %q: %v", line, err)
					return false
				}
				more = line[3] == '-'
			}
		}
		return true
	}
	body := strings.Repeat(strings.Repeat("x", 74)+"\r\n", 190)
	if _, err := io.WriteString(conn, "EHLO c\r\n"); err != nil || !read(2) {
		b.Errorf("hello: %v", err)
		return
	}
	for i := range n {
		_, err := fmt.Fprintf(conn, "MAIL FROM:<a@x.test>\r\nRCPT TO:<r%d-%d@x.test>\r\nDATA\r\n", who, i)
		if err != nil || !read(3) {
			b.Errorf("envelope: %v", err)
			return
		}
		_, err = fmt.Fprintf(conn, "Message-ID: <%d.%d@x>\r\nSubject: s\r\n\r\n%s.\r\n", who, i, body)
		if err != nil || !read(1) {
			b.Errorf("message: %v", err)
			return
		}
	}
}
