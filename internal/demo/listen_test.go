package demo

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rapport"
)

func TestATakenPortGivesWay(t *testing.T) {
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address, url, err := free(t.Context(), taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if address == taken.Addr().String() || url != "http://"+address {
		t.Errorf("%s is taken, and the place is %s (%s)", taken.Addr(), address, url)
	}
	if _, url, err := free(t.Context(), ":0"); err != nil || !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Errorf("every interface is shown as %s: %v", url, err)
	}
}

func TestPlacesThatAreRefused(t *testing.T) {
	for _, wish := range []string{"8080", "127.0.0.1:http", "127.0.0.1:70000", "192.0.2.1:8080", "shop.example.com:80"} {
		if _, _, err := free(t.Context(), wish); rapport.KindOf(err) != rapport.Invalid {
			t.Errorf("%s: %v", wish, err)
		}
	}
}

func TestShop(t *testing.T) {
	w := httptest.NewRecorder()
	shop(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, shopPath+"stories/<garden>", nil))
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, "/stories/&lt;garden&gt;") {
		t.Errorf("%d: %s", w.Code, body)
	}
}
