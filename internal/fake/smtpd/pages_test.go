package smtpd_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rapport/internal/fake/smtpd"
)

const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// evil would show itself on any page that forgot to escape.
const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>`

func mimeMail() string {
	return strings.ReplaceAll(`Message-ID: <1@x>
From: =?utf-8?q?J=C3=BCrgen?= <j@x.test>
To: b@x.test `+evil+`
Subject: `+evil+`
X-Evil: `+evil+`
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/related; boundary=r

--r
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=utf-8

plain `+evil+`
--a
Content-Type: text/html; charset=utf-8

<!doctype html><html><head><title>t</title></head><body>`+evil+`<img src="cid:logo@x"><img src="cid:logo@x2"></body></html>
--a--
--r
Content-Type: image/png
Content-ID: <logo@x>
Content-Disposition: inline
Content-Transfer-Encoding: base64

`+png+`
--r
Content-Type: image/svg+xml
Content-ID: <logo@x2>
Content-Disposition: inline

<svg xmlns="http://www.w3.org/2000/svg" onload="alert(3)"/>
--r--
--m
Content-Type: text/html
Content-Disposition: attachment; filename="<b>.html"

<script>alert(4)</script>
--m--
`, "\n", "\r\n")
}

// catcherWith is a catcher's pages after these mails have come in.
func catcherWith(t *testing.T, opts smtpd.Options, mails ...string) *httptest.Server {
	t.Helper()
	s := start(t, opts)
	c := dial(t, s).hello()
	for i, m := range mails {
		c.letter(fmt.Sprintf("r%d@x.test", i+1), strings.TrimSuffix(m, "\r\n"))
		c.want("", "250")
	}
	web := httptest.NewServer(http.StripPrefix("/mail", s.Pages()))
	t.Cleanup(web.Close)
	return web
}

func get(t *testing.T, web *httptest.Server, path string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/mail"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := web.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

func TestHostileMailStaysInItsFrame(t *testing.T) {
	web := catcherWith(t, smtpd.Options{}, mimeMail())
	for path, want := range map[string]string{
		"/":                                  "&lt;script&gt;alert(1)",
		"/m/1":                               `sandbox="allow-popups allow-popups-to-escape-sandbox"`,
		"/m/1?view=text":                     "plain &#34;&gt;&lt;script&gt;",
		"/m/1?view=headers":                  "X-Evil</th><td>&#34;&gt;&lt;script&gt;",
		"/m/1?view=source":                   "Content-Type: multipart/mixed",
		"/?q=" + "%3Cscript":                 "value=\"&lt;script\"",
		"/?q=%22%3E%3Cscript%3Ealert%285%29": "No mail matches “&#34;&gt;&lt;script&gt;alert(5)”",
	} {
		res, text := get(t, web, path)
		if res.StatusCode != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: status %d, no %q in\n%s", path, res.StatusCode, want, text)
		}
		for _, bad := range []string{"<script", "<img", "<svg", "<b>"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: %s is on the page unescaped", path, bad)
			}
		}
		csp := res.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no nosniff", path)
		}
	}
}

func TestHTMLViewIsSandboxedByItself(t *testing.T) {
	web := catcherWith(t, smtpd.Options{ImageSources: []string{"http://127.0.0.1:8080"}}, mimeMail())
	res, text := get(t, web, "/m/1/html")
	csp := res.Header.Get("Content-Security-Policy")
	directives := map[string]string{}
	for d := range strings.SplitSeq(csp, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(d), " ")
		directives[name] = value
	}
	for name, want := range map[string]string{
		"sandbox": "allow-popups allow-popups-to-escape-sandbox", "default-src": "'none'", "form-action": "'none'",
		"base-uri": "'none'", "frame-ancestors": "'self'", "img-src": "'self' data: http://127.0.0.1:8080",
	} {
		if got, ok := directives[name]; !ok || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, ok := directives["script-src"]; ok {
		t.Errorf("scripts have a rule of their own: %q", csp)
	}
	if !strings.Contains(text, `<head><base target="_blank">`) || !strings.Contains(text, `<img src="part/0"><img src="part/1">`) {
		t.Errorf("the frame shows\n%s", text)
	}
}

func TestParts(t *testing.T) {
	web := catcherWith(t, smtpd.Options{}, mimeMail())
	image, err := base64.StdEncoding.DecodeString(png)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, kind, disposition string
		status                  int
		body                    string
	}{
		{"/m/1/part/0", "image/png", "", 200, string(image)},
		{"/m/1/part/0?download=1", "application/octet-stream", `attachment; filename=part-1`, 200, string(image)},
		{"/m/1/part/1", "application/octet-stream", "attachment; filename=part-2", 200, ""},
		{"/m/1/part/2", "application/octet-stream", `attachment; filename="<b>.html"`, 200, ""},
		{"/m/1/part/3", "text/plain; charset=utf-8", "", 404, ""},
		{"/m/1/part/-1", "text/plain; charset=utf-8", "", 404, ""},
		{"/m/1/source", "application/octet-stream", "attachment; filename=mail-1.eml", 200, mimeMail()},
		{"/m/2", "text/plain; charset=utf-8", "", 404, ""},
		{"/m/x/source", "text/plain; charset=utf-8", "", 404, ""},
		{"/?before=x", "text/plain; charset=utf-8", "", 400, ""},
		{"/?q=" + strings.Repeat("x", 201), "text/plain; charset=utf-8", "", 400, ""},
		{"/style.css", "text/css; charset=utf-8", "", 200, ""},
	} {
		res, text := get(t, web, tt.path)
		if res.StatusCode != tt.status || res.Header.Get("Content-Type") != tt.kind || res.Header.Get("Content-Disposition") != tt.disposition {
			t.Errorf("%s: status %d, type %q, disposition %q", tt.path, res.StatusCode,
				res.Header.Get("Content-Type"), res.Header.Get("Content-Disposition"))
		}
		if tt.body != "" && text != tt.body {
			t.Errorf("%s: %q, want %q", tt.path, text, tt.body)
		}
	}
}

func TestListGoesOnWhereItStopped(t *testing.T) {
	var mails []string
	for i := range 120 {
		mails = append(mails, fmt.Sprintf("Subject: letter %d\r\nTo: someone@x.test\r\n\r\nx\r\n", i+1))
	}
	web := catcherWith(t, smtpd.Options{}, mails...)
	_, first := get(t, web, "/")
	if !strings.Contains(first, "letter 120<") || strings.Contains(first, "letter 70<") || !strings.Contains(first, `href="./?before=71"`) {
		t.Errorf("first page:\n%s", first)
	}
	_, last := get(t, web, "/?before=21")
	if !strings.Contains(last, "letter 20<") || !strings.Contains(last, "letter 1<") || strings.Contains(last, "Older mails") {
		t.Errorf("last page:\n%s", last)
	}
	_, found := get(t, web, "/?q=R77@X")
	if strings.Count(found, "<li>") != 1 || !strings.Contains(found, "letter 77<") {
		t.Errorf("search by recipient:\n%s", found)
	}

	var api smtpd.APIMessages
	res, text := get(t, web, "/api/messages?q=letter+12&before=120")
	if err := json.Unmarshal([]byte(text), &api); err != nil || res.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v in %q", err, text)
	}
	if len(api.Messages) != 1 || api.Messages[0].ID != 12 || api.Messages[0].EnvelopeTo[0] != "r12@x.test" || api.Next != 0 || api.Taken != 120 {
		t.Errorf("api: %+v", api)
	}
}

func TestPagesSayWhatIsNotThere(t *testing.T) {
	empty := catcherWith(t, smtpd.Options{})
	if _, text := get(t, empty, "/"); !strings.Contains(text, "No mail yet") {
		t.Errorf("empty list:\n%s", text)
	}
	headers := catcherWith(t, smtpd.Options{Keep: smtpd.KeepHeaders}, mimeMail())
	if _, text := get(t, headers, "/m/1"); !strings.Contains(text, "The body was not kept.") {
		t.Errorf("mail without its body:\n%s", text)
	}
	if res, _ := get(t, headers, "/m/1/source"); res.StatusCode != http.StatusNotFound {
		t.Errorf("source without a body: %d", res.StatusCode)
	}
	odd := catcherWith(t, smtpd.Options{}, "no header at all\r\n", "Content-Type: multipart/mixed; boundary=x\r\n\r\nnothing\r\n",
		"Content-Type: text/plain; charset=no-such\r\nSubject: \xff=?no-such?q?x?=\r\n\r\n\xff\xfe\r\n")
	for _, id := range []string{"1", "2", "3"} {
		for _, view := range []string{"", "/html", "?view=text", "?view=headers", "?view=source"} {
			if res, text := get(t, odd, "/m/"+id+view); res.StatusCode != http.StatusOK {
				t.Errorf("odd mail %s%s: %d %s", id, view, res.StatusCode, text)
			}
		}
	}
}

func TestNestedMultipartsAreBounded(t *testing.T) {
	nest := func(depth int) string {
		var b strings.Builder
		for i := range depth {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
		return b.String() + "Content-Type: text/plain\r\n\r\nthe bottom\r\n"
	}
	web := catcherWith(t, smtpd.Options{}, nest(10), nest(5_000))
	if _, text := get(t, web, "/m/1?view=text"); !strings.Contains(text, "the bottom") {
		t.Errorf("10 levels:\n%s", text)
	}
	if _, text := get(t, web, "/m/2?view=text"); !strings.Contains(text, "more than 12 multiparts") {
		t.Errorf("5,000 levels:\n%s", text)
	}
}
