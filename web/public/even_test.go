package public

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rapport/preferences"
	"rapport/requests"
	"rapport/responses"
)

// uneven takes longer for an address nobody has, since a letter is written.
type uneven struct{ Centre }

func (uneven) Sheet(context.Context, responses.Subject) (preferences.Sheet, error) {
	return preferences.Sheet{}, nil
}

func (uneven) Ask(_ context.Context, _ preferences.Act, _ requests.Kind, _, address string) error {
	if strings.HasPrefix(address, "nobody") {
		time.Sleep(30 * time.Millisecond)
	}
	return nil
}

// TestAskingIsEven: how long the answer takes tells nobody whether an address
// that they name is known.
func TestAskingIsEven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, links := pagesOver(t, quick{})
		p.o.Centre, p.o.Doors.Even = uneven{}, EvenAnswers
		for _, form := range []string{"do=move&way=email&address=nobody@example.com", "do=move&way=email&address=anna@example.com", "do=see&way=email", "do=erase&way=email"} {
			r := httptest.NewRequest(http.MethodPost, links.Preferences(), strings.NewReader(form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			before := time.Now() // the bubble's clock: it moves only while all wait
			p.ServeHTTP(w, r)
			if took := time.Since(before); w.Code != http.StatusSeeOther || took != EvenAnswers {
				t.Errorf("%s: status %d after %s", form, w.Code, took)
			}
		}
	})
}
