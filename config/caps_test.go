package config

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestQuietReads(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`null`,
		`{"from":"21:00","to":"08:00"}`,
		`{"from":"21:00","to":"08:00","days":["mon-fri"],"all_day":["sun"],"zone":"Europe/Berlin","calendar":"recipient","mode":"shadow","spread":"20m0s"}`,
		`{"calendar":"de","marketing":{"all_day":["sat"]},"transactional":{"from":"22:00","to":"06:00"},"channels":{"calls":{"from":"20:00","to":"09:00"},"chat":"off"}}`,
	} {
		var q Quiet
		if err := json.Unmarshal([]byte(text), &q); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if again, err := json.Marshal(q); err != nil || string(again) != text {
			t.Errorf("%s is written as %s, %v", text, again, err)
		}
	}
	for text, word := range map[string]string{
		`[]`:                        "are not quiet hours",
		`{"form":"21:00"}`:          `"form"`,
		`{"mode":"loud"}`:           "keep, shadow",
		`{"spread":"7h"}`:           "between 0 and 6h",
		`{"channels":{"a":"on"}}`:   "or off",
		`{"marketing":{"till":""}}`: "are not quiet hours",
	} {
		if err := json.Unmarshal([]byte(text), new(Quiet)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCapsRead(t *testing.T) {
	t.Parallel()
	for text, again := range map[string]string{
		`[]`:                     `[]`,
		`[{"most":3,"in":"7d"}]`: `[{"most":3,"in":"7d"}]`,
		`[{"topics":"marketing","most":1,"in":"day","channels":"all","zone":"recipient","over":"drop"}]`: `[{"topics":["marketing"],"channels":["all"],"most":1,"in":"day","zone":"recipient","over":"drop"}]`,
		`{"mode":"shadow","rules":[{"topics":["a","b"],"most":2,"in":"36h"}]}`:                           `{"mode":"shadow","rules":[{"topics":["a","b"],"most":2,"in":"36h"}]}`,
		`{"rules":[{"most":2,"in":"week"}]}`:                                                             `[{"most":2,"in":"week"}]`,
	} {
		var c Caps
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := json.Marshal(c); err != nil || string(got) != again {
			t.Errorf("%s is written as %s, %v", text, got, err)
		}
	}
	for text, word := range map[string]string{
		`[{"most":0,"in":"7d"}]`:                              "between 1 and",
		`[{"most":1,"in":"soon"}]`:                            "is not a time",
		`[{"most":1,"in":"500d"}]`:                            "between 1m and 400d",
		`[{"most":1,"in":"1s"}]`:                              "between 1m and 400d",
		`[{"most":1,"in":"7d","over":"board"}]`:               "hold, drop",
		`[{"most":1,"in":"day","zone":"Berlin"}]`:             "not a time zone",
		`[{"most":1,"in":"day","topics":["all","news"]}]`:     "stand alone",
		`[{"most":1,"in":"day","topic":"news"}]`:              `"topic"`,
		`{"mode":"loud","rules":[]}`:                          "keep, shadow",
		`"many"`:                                              "are not caps",
		`[{"most":1,"in":"day"},{"most":1,"in":"fortnight"}]`: "[1].in",
	} {
		if err := json.Unmarshal([]byte(text), new(Caps)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if in, _, err := (Cap{In: "10d"}).Span(); err != nil || in != 240*time.Hour {
		t.Errorf("%s, %v", in, err)
	}
}
