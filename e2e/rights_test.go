package e2e

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/internal/fake/smtpd"
)

// TestPublicRights: a person asks for a copy and for erasure on the preference
// page, and confirms both from their mailbox; looking at a link does nothing.
func TestPublicRights(t *testing.T) {
	for _, engine := range []string{"embedded", "server"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			publicRights(t, engine == "server")
		})
	}
}

func publicRights(t *testing.T, postgres bool) {
	r := newRig(t, setup{people: 1, postgres: postgres, mail: smtpd.Options{}, config: "name: Example Shop\n"})
	who := person{ID: "anna", Email: "anna@mail.example", Consent: granted, Attributes: []string{"Anna", "Lind", "Company 1", "Berlin", "DE", "7", "gold", "1980-02-03", "2026-03-04", "true"}}
	r.must("contacts", "import", r.people.write(t, r.dir, r.people.row(who)))
	letter := r.letter()
	r.file("letter/en/html.liquid", page("en", "Dear", "Points", "Unsubscribe", "View in browser", `<p><a href="{{ links.preferences }}">…</a></p>`))
	r.must("templates", "put", letter)
	r.create("first-offers", "")
	r.serve()
	r.must("campaigns", "start", "first-offers")
	r.finished("first-offers")
	mine := r.letterFor(who.Email).links("/p/")[0]

	link := r.asksFor(mine, "see", who.Email)
	archive := strings.Replace(link, "/r/", "/a/", 1)
	if res := r.looks(http.MethodGet, archive); res.StatusCode != http.StatusGone {
		t.Errorf("an archive before the button: %d", res.StatusCode)
	}
	r.looks(http.MethodGet, link)
	r.looks(http.MethodHead, link)
	if res := r.looks(http.MethodGet, archive); res.StatusCode != http.StatusGone {
		t.Errorf("an archive after a look: %d", res.StatusCode)
	}
	done, err := r.ask(http.MethodPost, link, "confirm=yes")
	if err != nil || done.StatusCode != http.StatusOK {
		t.Fatalf("confirm: %+v, %v", done, err)
	}
	text, _ := io.ReadAll(done.Body) // of memory
	if at := archive[strings.Index(archive, "/a/"):]; !strings.Contains(string(text), ".."+at) {
		t.Errorf("the page does not lead to the archive:\n%s", text)
	}
	res := r.looks(http.MethodGet, archive)
	data, _ := io.ReadAll(res.Body)
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || res.Header.Get("Content-Type") != "application/zip" || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("archive: %v, %v", err, res.Header)
	}
	if i := slices.IndexFunc(z.File, func(f *zip.File) bool { return f.Name == "profile.json" }); i < 0 {
		t.Errorf("no profile in the archive")
	}
	if res := r.looks(http.MethodGet, archive+"x"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a wrong link: %d", res.StatusCode)
	}

	link = r.asksFor(mine, "erase", who.Email)
	r.looks(http.MethodGet, link)
	r.must("contacts", "show", "anna")
	if done, err := r.ask(http.MethodPost, link, "confirm=yes"); err != nil || done.StatusCode != http.StatusOK {
		t.Fatalf("confirm: %+v, %v", done, err)
	}
	if res := r.run("contacts", "show", "anna"); res.code != 3 {
		t.Errorf("after the erasure: exit %d", res.code)
	}
	if again, err := r.ask(http.MethodPost, link, "confirm=yes"); err != nil || again.StatusCode >= 500 {
		t.Errorf("once more: %+v, %v", again, err)
	}
	if res := r.looks(http.MethodGet, archive); res.StatusCode == http.StatusOK {
		t.Error("the archive outlives the person")
	}
	acts := r.must("audit", "list", "--action", "rights", "--json").stdout
	for _, word := range []string{`"request:erase"`, `"request:see_data"`, `"rights.export"`} {
		if !strings.Contains(acts, word) {
			t.Errorf("the audit log does not say %s:\n%s", word, acts)
		}
	}
	r.well()
}

// asksFor presses a button of the preference page and is the link of the letter
// that asks for the confirmation.
func (r *rig) asksFor(page, what, to string) string {
	r.t.Helper()
	n := len(r.mail.Messages())
	res, err := r.ask(http.MethodPost, page, url.Values{"do": {what}, "way": {"email"}}.Encode())
	if err != nil || res.StatusCode >= 400 {
		r.t.Fatalf("ask for %s: %+v, %v", what, res, err)
	}
	var links []string
	eventually(r.t, "the letter that asks", patience, 50*time.Millisecond, func() bool {
		if len(r.mail.Messages()) > n {
			links = r.letterFor(to).links("/r/")
		}
		return len(links) > 0
	})
	return links[0]
}

func (r *rig) looks(method, target string) *http.Response {
	r.t.Helper()
	res, err := r.ask(method, target, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}
