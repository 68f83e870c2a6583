package consent

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"rapport/internal/csvtext"
)

// Export writes the whole ledger in order with the evidence that exists, as
// "ndjson" (one Proof a line) or "csv", and returns how many entries it wrote.
func (s *Service) Export(ctx context.Context, w io.Writer, format string) (int, error) {
	write, flush := asJSON(w)
	if format == "csv" {
		write, flush = asCSV(w)
	}
	n, after := 0, int64(0)
	for {
		records, err := s.store.Ledger(ctx, after, 0, sealLines)
		if err != nil {
			return n, fmt.Errorf("read the ledger: %w", err)
		}
		if len(records) == 0 {
			return n, flush()
		}
		for _, r := range records {
			if err := write(r.proof()); err != nil {
				return n, fmt.Errorf("write the ledger: %w", err)
			}
			n++
		}
		after = records[len(records)-1].ID
	}
}

func asJSON(w io.Writer) (write func(Proof) error, flush func() error) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return func(p Proof) error { return enc.Encode(p) }, func() error { return nil }
}

func asCSV(w io.Writer) (write func(Proof) error, flush func() error) {
	out := csv.NewWriter(w)
	head := false
	return func(p Proof) error {
			if !head {
				head = true
				if err := out.Write([]string{
					"entry", "contact", "driver", "topic", "state", "basis", "at", "recorded_at", "commitment", "address", "source", "wording", "ip", "agent", "actor",
					"schema", "expires", "given", "controller", "channel", "notice", "notice_version", "notice_locale", "notice_hash", "categories",
					"method", "form", "url", "reference", "message_id", "mailed_at", "clock", "jurisdiction",
				}); err != nil {
					return err
				}
			}
			var ev Evidence
			if p.Evidence != nil {
				ev = *p.Evidence
			}
			var notice NoticeRef
			version := ""
			if ev.Notice != nil {
				notice, version = *ev.Notice, strconv.Itoa(ev.Notice.Version)
			}
			return out.Write([]string{
				strconv.FormatInt(p.Entry, 10), strconv.FormatInt(p.Contact, 10), p.Driver, p.Topic, string(p.State), string(p.Basis),
				p.At.Format(time.RFC3339Nano), p.RecordedAt.Format(time.RFC3339Nano), p.Commitment,
				safe(ev.Address), safe(ev.Source), safe(ev.Wording), safe(ev.IP), safe(ev.Agent), safe(ev.Actor),
				strconv.Itoa(p.Schema), stamp(p.Expires), safe(ev.Given), safe(ev.Controller), ev.Channel,
				notice.Name, version, notice.Locale, notice.Hash, safe(strings.Join(ev.Categories, ", ")),
				string(ev.Method), safe(ev.Form), safe(ev.URL), safe(ev.Reference), safe(ev.MessageID), stamp(ev.MailedAt), ev.Clock, safe(ev.Jurisdiction),
			})
		}, func() error {
			out.Flush()
			return out.Error()
		}
}

// stamp writes a time that may be none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// safe keeps a spreadsheet from reading text as a formula.
func safe(s string) string { return csvtext.Protect(s) }
