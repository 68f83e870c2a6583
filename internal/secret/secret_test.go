package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretNeverTalks(t *testing.T) {
	const canary = "canary-4711"
	s := New(canary)
	box := struct{ Token String }{s}
	closed := struct{ token String }{s}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", s, "box", box)
	blob, err := json.Marshal(box)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := s.MarshalText()
	all := []string{
		fmt.Sprintf("%v %s %q %#v %x %d", s, s, s, s, s, s),
		fmt.Sprintf("%v %+v %#v", box, box, &box),
		fmt.Sprintf("%v %+v %#v", closed, closed, &closed),
		s.String(), string(blob), string(text), log.String(),
	}
	for _, got := range all {
		if strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
			t.Errorf("the secret talks: %s", got)
		}
	}
	if s.Reveal() != canary {
		t.Errorf("Reveal() = %q", s.Reveal())
	}
}
