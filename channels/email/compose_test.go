package email

import (
	"bytes"
	"flag"
	"io"
	"math/rand/v2"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"strings"
	"testing"
	"time"

	"rapport/channels"
)

var update = flag.Bool("update", false, "write the golden files anew")

// composing is a composer with a fixed clock.
func composing(t testing.TB, s Settings) *composer {
	t.Helper()
	if s.From == "" {
		s.From = `"Bäckerei, Müller & Co." <news@example.com>`
	}
	at := time.Date(2026, 3, 29, 9, 30, 0, 0, time.FixedZone("", 2*60*60))
	c, err := newComposer(channels.Env{ReplyTo: "Service <service@example.com>"}, s, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustCompose(t testing.TB, c *composer, m channels.Message) letter {
	t.Helper()
	l, err := c.compose(nil, m)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	checkLines(t, l.body)
	return l
}

// checkLines: what holds for every letter, whatever is in it.
func checkLines(t testing.TB, body []byte) {
	t.Helper()
	if !bytes.HasSuffix(body, []byte("\r\n")) {
		t.Error("the letter does not end with a line break")
	}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(body, []byte("\r\n")), []byte("\r\n")) {
		switch {
		case len(line) > 998:
			t.Errorf("a line has %d octets: %.80s…", len(line), line)
		case bytes.HasPrefix(line, []byte(".")):
			t.Errorf("a line begins with a dot: %s", line)
		case bytes.ContainsAny(line, "\r\n\x00"):
			t.Errorf("a bare CR, LF or NUL is in %q", line)
		}
	}
}

// TestGolden shows whole letters, so that a change of any octet is seen.
func TestGolden(t *testing.T) {
	c := composing(t, Settings{})
	pixel := []byte("\x89PNG not really a picture")
	for name, m := range map[string]channels.Message{
		"marketing": {
			Key: "d1a-2b", To: "anna@example.org", List: "newsletter", Return: "d1a-2b-k3y",
			Unsubscribe: "https://news.example.com/u/AbC_123-xyz",
			Content: map[string]string{
				"subject": "Grüße aus Zürich: für Sie, liebe Anna, und für alle, die gerne früh aufstehen",
				"html":    "<p>Liebe Anna, heute gibt es 20 % auf alles – außer Brötchen.</p>\n.\nFrom hier an\n",
				"text":    "Liebe Anna,\n\nheute gibt es 20 % auf alles – außer Brötchen. \n.\n",
			},
		},
		"transactional": {
			Key: "d1a-2c", To: "ben@example.org", Class: channels.Transactional, ReplyTo: "orders@example.com",
			Unsubscribe: "https://news.example.com/u/never-shown",
			Content:     map[string]string{"subject": "Your order 4711", "html": "<p>Thank you.</p>"},
		},
		"files": {
			Key: "d1a-2d", To: "eva@example.org", Class: channels.Transactional,
			Content: map[string]string{"subject": "Ticket", "html": `<img src="cid:logo@shop">`, "text": "Ticket"},
			Files: []channels.File{
				{Name: "logo.png", Type: "image/png", ID: "logo@shop", Data: pixel},
				{Name: "Rechnung März 2026.pdf", Type: "application/pdf", Data: bytes.Repeat([]byte("pdf "), 30)},
				{Name: "termin.ics", Type: "text/calendar; method=REQUEST; charset=utf-8", Data: []byte("BEGIN:VCALENDAR\r\n")},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := mustCompose(t, c, m)
			got := []byte("MAIL FROM:<" + l.from + ">\nRCPT TO:<" + l.to + ">\n\n" + strings.ReplaceAll(string(l.body), "\r\n", "\n"))
			file := "testdata/" + name + ".golden"
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the letter changed (go test -update writes it anew):\n%s", got)
			}
		})
	}
}

// TestHeadersOfALetter: section by section what each kind of letter must carry.
func TestHeadersOfALetter(t *testing.T) {
	c := composing(t, Settings{ListDomain: "lists.example.com", ReturnPath: "bounces.example.com"})
	m := letterTo("anna@example.org", "d1a-2b")
	m.Return, m.Unsubscribe = "d1a-2b-mac", "https://news.example.com/u/token"
	l := mustCompose(t, c, m)
	if l.from != "bounce+d1a-2b-mac@bounces.example.com" || l.to != "anna@example.org" {
		t.Errorf("envelope from %q to %q", l.from, l.to)
	}
	env := parse(t, l.body)
	for name, want := range map[string]string{
		"To":                    "anna@example.org",
		"Message-ID":            "<d1a-2b@example.com>",
		"Date":                  "Sun, 29 Mar 2026 09:30:00 +0200",
		"Reply-To":              "Service <service@example.com>",
		"List-Id":               "<newsletter.lists.example.com>",
		"List-Unsubscribe":      "<https://news.example.com/u/token>",
		"List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		"Precedence":            "bulk",
		"MIME-Version":          "1.0",
		"Auto-Submitted":        "",
		"Bcc":                   "",
		"Cc":                    "",
	} {
		got := env.GetHeader(name)
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if n := len(env.GetHeaderValues(name)); want != "" && n != 1 {
			t.Errorf("%s occurs %d times", name, n)
		}
	}
	msg, err := mail.ReadMessage(bytes.NewReader(l.body))
	if err != nil {
		t.Fatal(err)
	}
	from, err := msg.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "Bäckerei, Müller & Co." || from[0].Address != "news@example.com" {
		t.Errorf("From: %v: %v", from, err)
	}
	if again := mustCompose(t, c, m); !bytes.Equal(again.body, l.body) {
		t.Error("the same message is composed differently the second time")
	}

	m.Class = channels.Transactional
	env = parse(t, mustCompose(t, c, m).body)
	if env.GetHeader("Auto-Submitted") != "auto-generated" || env.GetHeader("List-Unsubscribe") != "" || env.GetHeader("Precedence") != "" {
		t.Errorf("a transactional letter has the wrong headers: %v", env.Root.Header)
	}
}

// tortures are bodies that break careless senders.
func tortures() map[string]string {
	return map[string]string{
		"dots":          ".\n..\n.x\n\n.\n",
		"end of data":   "one\r\n.\r\nMAIL FROM:<x@example.com>\r\n",
		"lf dot lf":     "one\n.\nQUIT\n",
		"cr dot cr":     "one\r.\rQUIT\r",
		"lone cr":       "a\rb",
		"nul":           "a\x00b\x00",
		"8 bit":         "Grüße, 漢字, 🦊 und \u2028",
		"broken utf-8":  "a\xff\xfeb",
		"long line":     strings.Repeat("0123456789", 500),
		"long blanks":   strings.Repeat(" ", 5000) + "x",
		"blank at end":  "a \nb\t\n \n\t",
		"75 and blank":  strings.Repeat("x", 75) + " \n" + strings.Repeat("y", 74) + " \n" + strings.Repeat("z", 76) + "\n",
		"from line":     "From here on\n>From there\n",
		"boundary":      "--=_a_d1a-2b--\n--=_a_d1a-2b\n",
		"equals":        "=3D =\n==\n=",
		"empty lines":   "\n\n\n",
		"encoded words": "=?utf-8?Q?x?=",
		"one dot":       ".",
	}
}

// TestBodiesArriveAsTheyWere: byte for byte, except that a line break is CR LF.
func TestBodiesArriveAsTheyWere(t *testing.T) {
	c := composing(t, Settings{})
	for name, body := range tortures() {
		m := letterTo("anna@example.org", "d1a-2b")
		m.Content["html"], m.Content["text"] = body, body
		l := mustCompose(t, c, m)
		want := canonicalBreaks(body)
		parts := bytes.Split(l.body, []byte("\r\n--=_a_d1a-2b"))
		if len(parts) != 4 { // headers, text, html, end
			t.Errorf("%s: %d parts", name, len(parts))
			continue
		}
		for _, p := range parts[1:3] {
			_, content, _ := bytes.Cut(p, []byte("\r\n\r\n"))
			got, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(content)))
			if err != nil || string(got) != want {
				t.Errorf("%s: arrived as %.100q (%v), want %.100q", name, got, err, want)
			}
		}
	}
}

// canonicalBreaks turns a bare LF into CR LF and leaves a bare CR alone.
func canonicalBreaks(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// TestQuotedPrintableAnyText compares with the standard library's reader on
// texts made of the awkward characters.
func TestQuotedPrintableAnyText(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- a repeatable test
	alphabet := []string{" ", "\t", "\n", "\r\n", "\r", ".", "=", "a", "bcdefghij", "ü", "🦊", "From ", "\x00", strings.Repeat("x", 70)}
	for range 1000 {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		encoded := appendQP(nil, b.String(), nil)
		for line := range bytes.SplitSeq(encoded, []byte("\r\n")) {
			if len(line) > bodyLine || bytes.HasPrefix(line, []byte(".")) || bytes.HasSuffix(line, []byte(" ")) || bytes.HasSuffix(line, []byte("\t")) {
				t.Fatalf("%q has the line %q", b.String(), line)
			}
		}
		got, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(encoded)))
		if err != nil || string(got) != canonicalBreaks(b.String()) {
			t.Fatalf("%q is read back as %q: %v", b.String(), got, err)
		}
	}
}

// TestHeaderText: every text arrives as it was, in lines of at most 78.
func TestHeaderText(t *testing.T) {
	for _, text := range []string{
		"Hello", "", "a  b   c", strings.Repeat("word ", 60) + "end", strings.Repeat("Grüße ", 40) + "ende",
		strings.Repeat("漢字", 60), "🦊👩‍👩‍👧 family", "=?utf-8?Q?not_mine?=", strings.Repeat("x", 3000),
		"half=half?", "tab", `quote " and \ back`, strings.Repeat("ä", 500),
	} {
		field := string(appendHeader(nil, "Subject", encodeText(text)))
		for line := range strings.SplitSeq(strings.TrimSuffix(field, "\r\n"), "\r\n") {
			if len(line) > lineFold || strings.TrimSpace(line) == "" {
				t.Errorf("%.40q: the line %q has %d octets", text, line, len(line))
			}
		}
		unfolded := strings.ReplaceAll(strings.TrimSuffix(field, "\r\n"), "\r\n", "")
		got, err := new(mime.WordDecoder).DecodeHeader(strings.TrimPrefix(strings.TrimPrefix(unfolded, "Subject:"), " "))
		if err != nil || got != text {
			t.Errorf("%q arrives as %q: %v", text, got, err)
		}
	}
}

// TestNothingBecomesAHeader: whatever an author or a recipient wrote.
func TestNothingBecomesAHeader(t *testing.T) {
	evils := []string{
		"x\r\nBcc: victim@example.org", "x\nBcc: victim@example.org", "x\rBcc: victim@example.org",
		"x\r\n\r\n<script>", "x\u2028Bcc: victim@example.org", "x\u0085Bcc: victim@example.org", "x\x00y", "x\x0bBcc: v@example.org",
		"=?utf-8?Q?x=0D=0ABcc:_victim@example.org?=", `"x" <victim@example.org>, y`, "x>\r\nRCPT TO:<victim@example.org",
	}
	fields := map[string]func(*channels.Message, string){
		"subject":     func(m *channels.Message, s string) { m.Content["subject"] = s },
		"key":         func(m *channels.Message, s string) { m.Key = s },
		"to":          func(m *channels.Message, s string) { m.To = s + "@example.org" },
		"to domain":   func(m *channels.Message, s string) { m.To = "anna@" + s },
		"list":        func(m *channels.Message, s string) { m.List = s },
		"return":      func(m *channels.Message, s string) { m.Return = s },
		"unsubscribe": func(m *channels.Message, s string) { m.Unsubscribe = "https://example.com/" + s },
		"reply":       func(m *channels.Message, s string) { m.ReplyTo = s + "@example.org" },
		"file name":   func(m *channels.Message, s string) { m.Files = []channels.File{{Name: s, Type: "text/plain"}} },
		"file type":   func(m *channels.Message, s string) { m.Files = []channels.File{{Name: "x", Type: s}} },
		"file id":     func(m *channels.Message, s string) { m.Files = []channels.File{{Name: "x", Type: "image/png", ID: s}} },
	}
	c := composing(t, Settings{})
	for field, set := range fields {
		for _, evil := range evils {
			m := letterTo("anna@example.org", "d1a-2b")
			set(&m, evil)
			l, err := c.compose(nil, m)
			if err != nil {
				if channels.Judge(err).Verdict != channels.Malformed {
					t.Errorf("%s %q: %v is not malformed", field, evil, err)
				}
				if strings.ContainsAny(err.Error(), "\r\n\x00") {
					t.Errorf("%s %q: the error has control characters: %q", field, evil, err)
				}
				continue
			}
			checkLines(t, l.body)
			if strings.ContainsAny(l.from+l.to, "\r\n<> \x00") {
				t.Errorf("%s %q: envelope %q %q", field, evil, l.from, l.to)
			}
			env := parse(t, l.body)
			if env.GetHeader("Bcc") != "" || len(env.GetHeaderValues("To")) != 1 || strings.Contains(env.GetHeader("To"), "victim") {
				t.Errorf("%s %q: became a header:\n%s", field, evil, l.body)
			}
			if env.Text != "Hello" {
				t.Errorf("%s %q: the text is now %q", field, evil, env.Text)
			}
		}
	}
}

// TestFiles: names of every kind arrive, and images are found by their ID.
func TestFiles(t *testing.T) {
	c := composing(t, Settings{})
	m := letterTo("anna@example.org", "d1a-2b")
	data := bytes.Repeat([]byte{0, 1, 2, 254, 255}, 1000)
	m.Files = []channels.File{
		{Name: "logo.png", Type: "image/png", ID: "logo", Data: data},
		{Name: "größe 漢字.pdf", Type: "application/pdf", Data: data},
		{Name: "../../etc/passwd", Data: data},
		{Name: strings.Repeat("🦊", 400) + ".txt", Type: "text/plain", Data: data},
		{Name: "old.eml", Type: "message/rfc822", Data: data},
		{Name: "", Type: "text/plain", Data: nil},
	}
	env := parse(t, mustCompose(t, c, m).body)
	if len(env.Inlines) != 1 && len(env.OtherParts) != 1 {
		t.Errorf("inline images: %d and %d, want 1", len(env.Inlines), len(env.OtherParts))
	}
	want := []string{"größe 漢字.pdf", ".._.._etc_passwd", "", "old.eml", "file"}
	if len(env.Attachments) != len(want) {
		t.Fatalf("%d attachments, want %d", len(env.Attachments), len(want))
	}
	for i, a := range env.Attachments {
		if want[i] != "" && a.FileName != want[i] || want[i] == "" && !strings.HasSuffix(a.FileName, ".txt") {
			t.Errorf("attachment %d is called %q, want %q", i, a.FileName, want[i])
		}
		if i < len(want)-1 && !bytes.Equal(a.Content, data) {
			t.Errorf("attachment %d has other content", i)
		}
	}
	if env.HTML != "<p>Hello</p>" || env.Text != "Hello" {
		t.Errorf("html %q text %q", env.HTML, env.Text)
	}
}

// TestInternational: a local part outside ASCII asks for SMTPUTF8, a domain does not.
func TestInternational(t *testing.T) {
	c := composing(t, Settings{From: "Müller <news@bücher.example>"})
	l := mustCompose(t, c, letterTo("anna@xn--bcher-kva.example", "d1a-2b"))
	if l.utf8 || !isASCII(string(l.body)) || l.from != "news@xn--bcher-kva.example" {
		t.Errorf("utf8 %v, from %q", l.utf8, l.from)
	}
	if l := mustCompose(t, c, letterTo("jürgen@example.org", "d1a-2b")); !l.utf8 {
		t.Error("a local part outside ASCII does not ask for SMTPUTF8")
	}
}

func TestReturnTokens(t *testing.T) {
	c := composing(t, Settings{})
	for token, ok := range map[string]bool{
		"a.b_c-d=e": true, strings.Repeat("x", 57): true,
		strings.Repeat("x", 58): false, "a+b": false, "a b": false, "a@b": false, "..": false, ".a": false,
	} {
		if _, err := c.returnPath(token); (err == nil) != ok {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

// TestReplyOutsideASCII: octets outside ASCII stand in a header only of a
// letter that asks for SMTPUTF8 (RFC 6532 section 3).
func TestReplyOutsideASCII(t *testing.T) {
	c := composing(t, Settings{})
	for reply, want := range map[string]bool{"jösé@example.com": true, "José <jose@example.com>": false, "": false} {
		m := letterTo("anna@example.org", "d1a-2b")
		m.ReplyTo = reply
		l := mustCompose(t, c, m)
		head, _, _ := bytes.Cut(l.body, []byte("\r\n\r\n"))
		if l.utf8 != want || isASCII(string(head)) == want {
			t.Errorf("reply to %q: SMTPUTF8 is %v, the header is %q", reply, l.utf8, head)
		}
	}
}
