package inbox

import (
	"bytes"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

func crlf(text string) []byte { return []byte(strings.ReplaceAll(text, "\n", "\r\n")) }

// TestOwnWords: replies as programs write them, in several languages.
func TestOwnWords(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"STOP", "STOP"},
		{"STOP\n\nOn Mon, 24 Nov 2026 at 12:00, Example Shop <news@example.com> wrote:\n> Dear Anna,\n> unsubscribe here\n", "STOP"},
		{"Stop please\n\nOn Mon, 24 Nov 2026 at 12:00, Example Shop\n<news@example.com> wrote:\n\n> Dear Anna\n", "Stop please\n\nOn Mon, 24 Nov 2026 at 12:00, Example Shop"},
		{"Abmelden\n\nAm 24.11.26 um 12:00 schrieb Example Shop:\n> Guten Tag\n", "Abmelden"},
		{"Désabonner\n\nLe lun. 24 nov. 2026 à 12:00, Shop <a@b.example> a écrit :\n> Bonjour\n", "Désabonner"},
		{"stop\n\n-----Original Message-----\nFrom: Shop\nSubject: x\n", "stop"},
		{"stop\n\n________________________________\nVon: Shop <a@b.example>\nGesendet: heute\n", "stop"},
		{"stop\n\nVon: Shop <a@b.example>\nGesendet: heute\n", "stop"},
		{"stop\n\nSent from my iPhone\n\n> On 24 Nov 2026, at 12:00, Shop <a@b.example> wrote:\n> \n> x", "stop"},
		{"stop\nVon meinem iPhone gesendet", "stop"},
		{"stop\n-- \nAnna Lind\nCEO, Example\nStop by at our shop\n", "stop"},
		{"> quoted\n> only", ""},
		{"Hello,\nthis is more: and it has 2 lines\nbye", "Hello,\nthis is more: and it has 2 lines\nbye"},
		{"", ""},
	} {
		if got := ownWords(c.text); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestTextOfHTML(t *testing.T) {
	for _, c := range []struct{ html, want string }{
		{`<html><head><title>stop</title><style>p{}</style></head><body><p>STOP</p></body></html>`, "STOP"},
		{`<div dir="ltr">Stop<br></div><div class="gmail_quote"><div>On Monday wrote:</div><blockquote>Dear Anna</blockquote></div>`, "Stop"},
		{`<p>Ab&shy;melden</p><blockquote type="cite">x</blockquote>`, "Ab\u00admelden"},
		{`<div>stop</div><div id="divRplyFwdMsg"><b>From:</b> Shop</div>`, "stop"},
		{strings.Repeat("<div>", 5000) + "stop", "stop"},
		{`<script>stop</script>`, ""},
	} {
		if got := ownWords(textOf(c.html)); got != c.want {
			t.Errorf("%.60q: %q, want %q", c.html, got, c.want)
		}
	}
}

func TestRead(t *testing.T) {
	m := Read(crlf(`Return-Path: <anna@example.com>
Delivered-To: shop@example.com
X-Original-To: <bounce+token@mail.example.com>
From: =?utf-8?q?Ann=C3=A4?= <Anna@Example.com>
To: "Shop, the" <news@example.com>, other@example.com
Message-ID: <abc@example.com>
In-Reply-To: <d1a-2b@mail.example.com>
References: <x@y.example>
 <d1a-2b@mail.example.com>
Subject: =?iso-8859-1?q?Arr=EAt?=
Content-Type: multipart/alternative; boundary="x"

preamble
--x
Content-Type: text/plain; charset=windows-1252
Content-Transfer-Encoding: quoted-printable

ARR=CAT
--x
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PHA+bm90IHRoaXM8L3A+
--x--
`))
	if m.From != "Anna@example.com" && m.From != "anna@example.com" || m.MessageID != "abc@example.com" || m.Subject != "Arrêt" || m.Text != "ARRÊT" || m.Automatic || m.Report != nil {
		t.Errorf("%+v", m)
	}
	if strings.Join(m.To, " ") != "shop@example.com bounce+token@mail.example.com news@example.com other@example.com" {
		t.Errorf("to %q", m.To)
	}
	if len(m.Answers) != 3 || m.Answers[0] != "d1a-2b@mail.example.com" {
		t.Errorf("answers %q", m.Answers)
	}
}

// TestDigest: copies that took other ways are the same mail; another text, time
// or sender is another.
func TestDigest(t *testing.T) {
	base := "From: a@b.example\nMessage-ID: <1@b.example>\nDate: Mon, 24 Nov 2026 12:00:00 +0000\nSubject: x\n\nstop\n"
	want := Read(crlf(base)).Digest
	for _, same := range []string{
		"Received: from x\nDelivered-To: c@d.example\n" + base, "X-Spam: no\n" + strings.Replace(base, "stop\n", "stop  \n", 1), strings.Replace(base, "Subject: x", "Subject:  x ", 1),
	} {
		if got := Read(crlf(same)).Digest; got != want {
			t.Errorf("another digest for a copy:\n%s", same)
		}
		if got := Read([]byte(same)).Digest; got != want {
			t.Error("line ends change the digest")
		}
	}
	for _, other := range []string{
		strings.Replace(base, "stop", "go", 1), strings.Replace(base, "a@b", "c@b", 1), strings.Replace(base, "<1@", "<2@", 1), strings.Replace(base, "12:00", "12:01", 1),
	} {
		if Read(crlf(other)).Digest == want {
			t.Errorf("one digest for two mails:\n%s", other)
		}
	}
}

// TestAutomatic: mails of machines, as their programs mark them.
func TestAutomatic(t *testing.T) {
	for _, h := range []string{
		"Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated (vacation)", "Precedence: bulk", "Precedence: auto_reply", "X-Autoreply: yes", "X-Autorespond: vacation",
		"X-Auto-Response-Suppress: All", "List-Id: <x.example.com>", "Return-Path: <>", "From: MAILER-DAEMON@example.com", "From: no-reply@example.com", "X-Failed-Recipients: a@b.example",
	} {
		if m := Read(crlf(h + "\nSubject: x\n\nI am away until Monday\n")); !m.Automatic {
			t.Errorf("%s is no machine", h)
		}
	}
	for _, h := range []string{"Auto-Submitted: no", "Precedence: first-class", "From: anna@example.com", "Return-Path: <anna@example.com>", "X-Autoreply: no"} {
		if m := Read(crlf(h + "\nSubject: x\n\nhello\n")); m.Automatic {
			t.Errorf("%s is a machine", h)
		}
	}
}

// TestTorture (promise T61): what is hostile is read within bounds.
func TestTorture(t *testing.T) {
	deep := strings.Repeat("Content-Type: multipart/mixed; boundary=x\n\n--x\n", 500)
	many := "Content-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\nContent-Type: text/html\n\na\n", 100_000) + "--x--\n"
	headers := strings.Repeat("X-Many: "+strings.Repeat("y", 50)+"\n", 10_000) + "\nstop"
	long := "Subject: " + strings.Repeat("x", 50<<20) + "\n\nstop"
	line := "Subject: x\n\n" + strings.Repeat("stop", 12<<20)
	endless := "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUFB", 10<<20)
	cyclic := strings.Repeat("Content-Type: message/rfc822\n\n", 1000)
	report := "Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\n" + strings.Repeat("Action: failed\nStatus: 5.1.1\n\n", 100_000) + "--x--\n"
	references := "In-Reply-To: " + strings.Repeat("<d1-1@x.example> ", 100_000) + "\n\nstop"
	for name, raw := range map[string]string{
		"depth": deep, "parts": many, "headers": headers, "one header": long, "one line": line, "base64": endless, "rfc822": cyclic, "report": report, "references": references,
		"nothing": "", "only line ends": strings.Repeat("\n", 1<<20), "zeros": strings.Repeat("\x00", 1<<20), "no body": "Subject: x", "colons": strings.Repeat(":\n", 1<<18),
		"html": "Content-Type: text/html\n\n" + strings.Repeat("<div>", 1<<20), "boundaries": "Content-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\n", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			text := []byte(raw)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			m := Read(text)
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 256 {
				t.Errorf("%d MiB were used up", used)
			}
			if took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if len(m.Text) > 2*maxText || len(m.To) > maxAddress+10 || len(m.Answers) > maxAddress || m.Report != nil && len(m.Report.Failed) > maxAddress {
				t.Errorf("%d octets, %d recipients, %d answers", len(m.Text), len(m.To), len(m.Answers))
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("From: a@b.example\r\nSubject: unsubscribe\r\n\r\nstop\r\n"))
	f.Add([]byte("Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n--x--\r\n"))
	f.Add([]byte("Content-Type: text/html; charset=gb2312\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=3Cp=3E\xd0\xcb<blockquote>x\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, b := Read(raw), Read(bytes.Clone(raw))
		if !reflect.DeepEqual(a, b) {
			t.Error("one mail is read in two ways")
		}
		for _, s := range append([]string{a.From, a.Subject, a.MessageID}, a.To...) {
			if strings.ContainsAny(s, "\r\n\x00") {
				t.Errorf("%q has a line end", s)
			}
		}
	})
}
