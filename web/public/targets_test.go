package public

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

func TestTargetsAskOnceAndForget(t *testing.T) {
	var asked atomic.Int64
	tg := newTargets(func(_ context.Context, run int64) ([]string, error) {
		asked.Add(1)
		return make([]string, 300), nil
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if l, err := tg.of(t.Context(), 1); err != nil || len(l) != 300 {
				t.Errorf("%d links, %v", len(l), err)
			}
		})
	}
	all.Wait()
	if _, err := tg.of(t.Context(), 1); err != nil || asked.Load() > 2 {
		t.Errorf("asked %d times, %v", asked.Load(), err)
	}
	for run := range int64(3 * maxRuns) {
		if _, err := tg.of(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		if len(tg.byRun) != tg.order.Len() || tg.links > maxLinks || len(tg.byRun) > maxRuns {
			t.Fatalf("%d runs, %d in order, %d links", len(tg.byRun), tg.order.Len(), tg.links)
		}
	}
}

func TestTextsAreComplete(t *testing.T) {
	words, err := readTexts(files, "texts", "de_CH")
	if err != nil || words.fallback != "de" || len(words.byLang) < 2 {
		t.Fatalf("%+v, %v", words, err)
	}
	for lang, list := range words.byLang {
		for key, text := range list {
			if text == "" {
				t.Errorf("%s has no text for %s", lang, key)
			}
		}
	}
	for accept, want := range map[string]string{
		"": "de", "en": "en", "EN-us": "en", "fr, en;q=0.2": "en", "en;q=0, fr": "de", "de;q=0.5, en;q=0.9": "en", "en;q=x": "de", ";;;,,,": "de",
	} {
		if got, _ := words.choose(accept); got != want {
			t.Errorf("%q chooses %s, want %s", accept, got, want)
		}
	}
}
