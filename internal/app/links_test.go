package app

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"rapport/consent"
	"rapport/contacts"
	"rapport/responses"
)

// TestLinksOfARunThatIsGone: a letter may be older, or after a restore younger,
// than all the database knows of its campaign. Its reader can leave and decide
// all the same; what needs the campaign says that it is not there.
func TestLinksOfARunThatIsGone(t *testing.T) {
	h := build(t, "topics: [{name: news, kind: marketing}]")
	ctx := t.Context()
	who, _, err := h.Contacts.Put(ctx, contacts.Input{ExternalID: "c1", Addresses: map[string]string{"email": "anna@mail.example"}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := h.Consent.Record(ctx, consent.Entry{Contact: who.ID, Driver: "email", Kind: "email", Topic: "news", State: consent.Granted, Address: "anna@mail.example", Source: "form"})
	if err != nil || out[0].Err != nil {
		t.Fatalf("%v, %+v", err, out)
	}
	at, stop := served(t, h)
	defer stop()
	const gone = 4711
	hit := responses.Subject{Run: gone, Contact: who.ID}
	scoped := responses.Subject{Run: gone, Contact: who.ID, Driver: "email", Topic: "news"}
	leave := "/u/" + h.tokens.Sign(responses.ForUnsubscribe, scoped)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, "http://"+at.Public+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	for path, want := range map[string]struct {
		code int
		word string
	}{
		leave: {http.StatusOK, "<form"},
		"/p/" + h.tokens.Sign(responses.ForPreferences, scoped):              {http.StatusOK, "news"},
		"/v/" + h.tokens.Sign(responses.ForView, hit):                        {http.StatusNotFound, ""},
		"/c/" + h.tokens.Sign(responses.ForClick, hit) + "/0":                {http.StatusNotFound, ""},
		"/o/" + h.tokens.Sign(responses.ForOpen, hit) + responses.OpenSuffix: {http.StatusOK, ""},
	} {
		if code, text := ask(http.MethodGet, path, ""); code != want.code || !strings.Contains(text, want.word) {
			t.Errorf("%s: %d, want %d and %q:\n%s", path[:3], code, want.code, want.word, text)
		}
	}
	if code, text := ask(http.MethodPost, leave, "List-Unsubscribe=One-Click"); code != http.StatusOK {
		t.Fatalf("leave: %d\n%s", code, text)
	}
	sheet, err := h.Consent.Show(ctx, who.ID)
	if err != nil || len(sheet.Standing) != 1 || sheet.Standing[0].Answer != consent.No {
		t.Errorf("who has left: %+v, %v", sheet.Standing, err)
	}
	if off, err := h.Store.CheckAccounts(ctx); err != nil || len(off) > 0 {
		t.Errorf("%v, %v", off, err)
	}
}
