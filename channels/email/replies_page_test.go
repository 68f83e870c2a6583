package email

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"rapport/channels"
)

// TestRepliesPage keeps docs/replies.md equal to the table; -update writes it.
func TestRepliesPage(t *testing.T) {
	const name = "../../docs/replies.md"
	want := known().page()
	if *update {
		if err := os.WriteFile(name, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the table says; write it anew with go test ./channels/email -run RepliesPage -update", name)
	}
}

const repliesHead = `# What mail servers answer

Written by a test from channels/email/replies.yaml (` + "`go test ./channels/email -run RepliesPage -update`" + `); do not edit.

Read this when a campaign is refused. ` + "`rapport deliveries list --campaign NAME --state failed`" + ` shows whom and why,
` + "`rapport deliveries why ID`" + ` every try with the code and the words of the server, and ` + "`rapport channels list`" + ` whether a channel is
held. Look for the reason in the first table, or for the words in the second.

A reply is judged by the moment it came, its code, its enhanced code ([RFC 3463](https://www.rfc-editor.org/rfc/rfc3463)) and, where these
leave something open, its words. The rows below are asked from top to bottom, and the first that fits decides. Addresses are taken out of
the words before, because people choose what stands in them. Four rules stand above all rows, and tests keep them:

- A temporary reply (4xx) never ends a delivery by itself, never touches an address and never holds a channel.
- An address is suppressed or struck only by a reply that came after it was named. Two strikes within a week suppress it.
- No answer after the letter was offered is a doubt: see [uncertain deliveries](operations.md#uncertain-deliveries).
- A letter goes to another server of the channel only after a reply, or a loss, that proves that the first has not taken it.

`

// page writes the table for people.
func (k *knowledge) page() []byte {
	b := bytes.NewBufferString(repliesHead)
	b.WriteString("## What each meaning does\n\n| Meaning | Reason in reports | What it is | What Rapport does | What you can do |\n|---|---|---|---|---|\n")
	for _, m := range k.Meanings {
		fmt.Fprintf(b, "| %s | `%s` | %s | %s | %s |\n", m.Name, m.Reason, m.Means, m.Does, m.Todo)
	}
	b.WriteString("\n" + repliesWaits)
	b.WriteString("\n## Rows\n\n`X` stands for 4 or 5, `X.7.` for all of a subject, `none` for a reply without an enhanced code. The words are parts of the reply,\n" +
		"and one of them is enough. *after RCPT* is from the recipient on, *letter* from DATA on.\n\n")
	k.table(b, func(r *rule) bool { return r.Verified })
	b.WriteString("\n## Rows that are not applied\n\nNobody could confirm these from a public page yet.\n\n")
	k.table(b, func(r *rule) bool { return !r.Verified })
	return b.Bytes()
}

const repliesWaits = `*Throttled* meanings slow a channel, a server or a domain down and charge no try: only the expiry of a delivery ends them. *Broken* ones
hold the channel. The first waits of the others, with the built-in ` + "`retry`" + `: ` + "`greylisted`" + ` 5 minutes or what the server says (at least 30
seconds), ` + "`rate_limited`" + ` 10 minutes, ` + "`policy`" + ` and ` + "`unauthenticated`" + ` 15 minutes, ` + "`mailbox_full`" + ` one hour (4 tries of a marketing message, 6 of a
transactional one), everything else ` + "`retry.first`" + `. Each wait is twice the one before, up to ` + "`retry.longest`" + `, and spread by a fifth. Marketing
is given up after two days, transactional messages after five, and both when they expire.
`

func (k *knowledge) table(b *bytes.Buffer, which func(*rule) bool) {
	b.WriteString("| Row | From | When | Code | Enhanced | Words | Meaning | Verdict | Source |\n|---|---|---|---|---|---|---|---|---|\n")
	at := strings.NewReplacer("address", "after RCPT", "mail", "MAIL", "rcpt", "RCPT", "auth", "AUTH", "tls", "TLS", "connect", "greeting", "hello", "EHLO")
	for i := range k.Replies {
		r := &k.Replies[i]
		if !which(r) {
			continue
		}
		source := ""
		if o, ok := k.Sources[r.Source]; ok {
			source = fmt.Sprintf("[%s](%s)", o.Name, o.URL)
			if r.Section != "" {
				source += ", section " + r.Section
			}
		}
		words := ""
		if len(r.Text) > 0 {
			words = "`" + strings.Join(r.Text, "` or `") + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n",
			r.ID, r.From, at.Replace(strings.ReplaceAll(r.At, " ", ", ")), r.Code, r.Enhanced, words, r.Means, r.meaning.effect(), source)
	}
}

// effect is the verdict with what belongs to it, for the page.
func (m *meaning) effect() string {
	out := channels.Verdict(m.Verdict).String()
	switch {
	case channels.Verdict(m.Verdict) == channels.Broken:
		out += ", holds the channel and calls a person"
	case channels.Verdict(m.Verdict) == channels.Rejected:
		out += ", suppresses the address"
	case m.Strike:
		out += ", a strike"
	case channels.Verdict(m.Verdict) == channels.Throttled:
		out += ", about the " + [...]string{channels.WholeChannel: "channel", channels.OneServer: "server", channels.OneDomain: "domain"}[m.Scope]
		if m.Wait > 0 {
			out += fmt.Sprintf(" for %d minutes", time.Duration(m.Wait)/time.Minute)
		}
	}
	return out
}
