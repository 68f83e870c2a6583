package channels_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/internal/secret"
)

func TestJudgeReadsAnyError(t *testing.T) {
	cause := errors.New("cause")
	f := &channels.Failure{Verdict: channels.Rejected, Code: "550 5.1.1", Err: cause}
	for name, c := range map[string]struct {
		err  error
		want channels.Verdict
	}{
		"a failure":      {f, channels.Rejected},
		"a wrapped one":  {fmt.Errorf("send: %w", f), channels.Rejected},
		"anything else":  {cause, channels.Temporary},
		"an empty one":   {&channels.Failure{}, channels.Temporary},
		"a joined error": {errors.Join(cause, f), channels.Rejected},
	} {
		got := channels.Judge(c.err)
		if got.Verdict != c.want {
			t.Errorf("%s is judged %s, want %s", name, got.Verdict, c.want)
		}
		if got.Error() == "" {
			t.Errorf("%s has no words", name)
		}
	}
	if !errors.Is(fmt.Errorf("send: %w", f), cause) {
		t.Error("the cause is lost")
	}
	if got := f.Error(); got != "550 5.1.1: cause" {
		t.Errorf("Error() = %q", got)
	}
}

func TestEveryVerdictHasAWord(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range channels.Verdicts() {
		seen[v.String()] = true
	}
	if len(seen) != 6 {
		t.Errorf("six verdicts have the words %v", seen)
	}
}

func TestTestMessagesMayLeave(t *testing.T) {
	if err := (channels.Message{}).Leave(t.Context()); err != nil {
		t.Error(err)
	}
	no := errors.New("no")
	m := channels.Message{Depart: func(context.Context) error { return no }}
	if err := m.Leave(t.Context()); !errors.Is(err, no) {
		t.Errorf("Leave() = %v", err)
	}
}

type loftSettings struct {
	Loft    string            `json:"loft" need:"yes" help:"where the birds live"`
	Key     secret.String     `json:"key" need:"yes" help:"of the loft"`
	Wait    channels.Duration `json:"wait" help:"how long to wait"`
	Birds   int               `json:"birds" help:"how many"`
	Night   bool              `json:"night" help:"fly at night"`
	Names   []string          `json:"names" help:"of the birds"`
	Meta    map[string]string `json:"meta" help:"more"`
	ignored string
}

func (s loftSettings) Validate() error {
	if s.Birds < 0 {
		return errors.New("birds: cannot be negative")
	}
	return nil
}

type loft struct{ loftSettings }

func (loft) Send(context.Context, channels.Message) (channels.Receipt, error) {
	return channels.Receipt{}, nil
}
func (loft) Check(context.Context) error { return nil }
func (loft) Close() error                { return nil }

func pigeon(name string) channels.Driver {
	address := channels.Address{Kind: "loft", Normalize: func(s string) (string, error) { return s, nil }}
	return channels.Define(channels.Driver{Name: name, Address: address}, func(_ context.Context, _ channels.Env, s loftSettings) (channels.Channel, error) {
		s.ignored = "opened"
		return loft{s}, nil
	})
}

func TestFieldsAreReadFromTheStruct(t *testing.T) {
	var got []string
	for _, f := range pigeon("pigeon").Fields {
		got = append(got, fmt.Sprintf("%s %s %v %v %s", f.Name, f.Type, f.Required, f.Secret, f.Help))
	}
	want := []string{
		"loft text true false where the birds live", "key secret true true of the loft", "wait duration false false how long to wait",
		"birds number false false how many", "night yes/no false false fly at night", "names list false false of the birds", "meta object false false more",
	}
	if !slices.Equal(got, want) {
		t.Errorf("fields\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSettingsAreReadStrictly(t *testing.T) {
	d := pigeon("pigeon")
	for raw, want := range map[string]string{
		`{"loft":"a","key":"canary","wait":"90s","birds":3}`: "",
		``:                                     "loft: is required",
		`{}`:                                   "key: is required",
		`{"loft":"a"}`:                         "key: is required",
		`{"loft":"","key":"canary"}`:           "loft: is required",
		`{"loft":null,"key":"canary"}`:         "loft: is required",
		`{"loft":"a","key":"canary","bird":3}`: `unknown field "bird"`,
		`{"loft":"a","key":"canary","birds":"three"}`: "birds",
		`{"loft":"a","key":"canary","birds":-1}`:      "birds: cannot be negative",
		`{"loft":"a","key":"canary","wait":"soon"}`:   "not a duration",
		`{"loft":"a","key":"canary","wait":90}`:       "not a duration",
		`["canary"]`:                                  "read settings",
		`{"loft":"a","key":"canary"`:                  "read settings",
	} {
		err := d.CheckSettings(json.RawMessage(raw))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", raw, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error repeats the secret: %v", raw, err)
		}
		_, openErr := d.Open(t.Context(), channels.Env{Name: "birds"}, json.RawMessage(raw))
		if (err == nil) != (openErr == nil) {
			t.Errorf("%s: CheckSettings says %v and Open %v", raw, err, openErr)
		}
		if openErr != nil && !strings.Contains(openErr.Error(), "birds") {
			t.Errorf("%s: %v does not name the channel", raw, openErr)
		}
	}
	ch, err := d.Open(t.Context(), channels.Env{Name: "birds"}, json.RawMessage(`{"loft":"a","key":"k","wait":"90s","birds":3}`))
	if err != nil {
		t.Fatal(err)
	}
	l, ok := ch.(loft)
	if !ok || l.Loft != "a" || l.Key.Reveal() != "k" || l.Wait.Or(0) != 90*time.Second || l.Birds != 3 || l.ignored != "opened" {
		t.Errorf("opened %#v", ch)
	}
}

func TestDurations(t *testing.T) {
	var d channels.Duration
	if d.Or(time.Minute) != time.Minute {
		t.Error("an unset duration takes the default")
	}
	if err := json.Unmarshal([]byte(`"1h30m"`), &d); err != nil || d.Or(0) != 90*time.Minute {
		t.Errorf("read %v, %v", d, err)
	}
	out, err := json.Marshal(d)
	if err != nil || string(out) != `"1h30m0s"` {
		t.Errorf("written as %s, %v", out, err)
	}
}

func TestRegistry(t *testing.T) {
	r, err := channels.NewRegistry(pigeon("pigeon"), pigeon("dove"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range r.Drivers() {
		names = append(names, d.Name)
	}
	if !slices.Equal(names, []string{"dove", "pigeon"}) {
		t.Errorf("drivers %v", names)
	}
	var kinds []string
	for _, a := range r.AddressKinds() {
		kinds = append(kinds, a.Kind)
	}
	if !slices.Equal(kinds, []string{"loft", "phone"}) {
		t.Errorf("address kinds %v", kinds)
	}
	if d, err := r.Driver("dove"); err != nil || d.Name != "dove" {
		t.Errorf("Driver(dove) = %q, %v", d.Name, err)
	}
	if _, err := r.Driver("crow"); rapport.KindOf(err) == rapport.Internal || !strings.Contains(err.Error(), "pigeon") {
		t.Errorf("an unknown driver: %v does not list the known", err)
	}
	for name, drivers := range map[string][]channels.Driver{
		"two of a name":      {pigeon("pigeon"), pigeon("pigeon")},
		"without a name":     {pigeon("")},
		"without Define":     {{Name: "x", Address: channels.Phone}},
		"without an address": {{Name: "x"}},
	} {
		if _, err := channels.NewRegistry(drivers...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
