package email

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rapport/channels"
	"rapport/internal/fake/journal"
	"rapport/internal/fake/smtpd"
)

// newsletter is a letter of the usual size: some 11 KB of HTML with links, and
// a text part.
func newsletter(key string) channels.Message {
	m := letterTo("anna@example.org", key)
	m.Return, m.Unsubscribe = key+"-0123456789abcdef", "https://news.example.com/u/0123456789abcdefghijklmnopqrstuvwxyz"
	m.Content["subject"] = "Neues aus unserem Laden – für Sie ausgewählt"
	m.Content["html"] = strings.Repeat(`<tr><td style="padding:8px 16px;font-family:sans-serif">Heute für Sie: frische Brötchen, warme Suppe und mehr. <a href="https://news.example.com/c/0123456789abcdef">Ansehen</a></td></tr>`+"\n", 58)
	m.Content["text"] = strings.Repeat("Heute für Sie: frische Brötchen, warme Suppe und mehr.\n", 50)
	return m
}

func BenchmarkCompose(b *testing.B) {
	for _, name := range []string{"spans", "no spans"} {
		b.Run(name, func(b *testing.B) {
			c := composing(b, Settings{})
			m := newsletter("d1a-2b")
			if name == "spans" {
				m.Fixed = fixedOf(m)
			}
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				l, err := c.compose(buf[:0], m)
				if err != nil {
					b.Fatal(err)
				}
				buf = l.body
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// BenchmarkSend is whole Sends against a server in this process that only
// counts, so its work is part of the figures.
func BenchmarkSend(b *testing.B) {
	count, err := journal.New(journal.Options{CountOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	content, fixed := newsletter("").Content, fixedOf(newsletter(""))
	for _, connections := range []int{1, 4, 10} {
		for _, way := range []struct {
			name    string
			support smtpd.Support
			senders int
			fixed   map[string][]channels.Span
		}{
			{"pipelined with spans", smtpd.Works, 3, fixed},
			{"pipelined", smtpd.Works, 3, nil},
			{"two round trips", smtpd.Works, 1, nil},
			{"plain", smtpd.Absent, 1, nil},
		} {
			b.Run(fmt.Sprintf("%s/%d", way.name, connections), func(b *testing.B) {
				srv := start(b, smtpd.Options{Keep: smtpd.KeepNothing, Journal: count, Pipelining: way.support})
				s := settings(srv)
				s.Servers[0].Connections, s.PerConnection = connections, 1<<30
				ch := openChannel(b, s)
				b.ReportAllocs()
				var n atomic.Int64
				var wg sync.WaitGroup
				before := used()
				b.ResetTimer()
				for range way.senders * connections {
					wg.Go(func() {
						for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
							m := letterTo("anna@example.org", fmt.Sprintf("d1-%x", i))
							m.Return, m.Content, m.Fixed = m.Key+"-0123456789abcdef", content, way.fixed
							if _, err := ch.Send(b.Context(), m); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "letters/s")
				b.ReportMetric(float64((used()-before).Microseconds())/float64(b.N), "cpu-us/letter")
			})
		}
	}
}
