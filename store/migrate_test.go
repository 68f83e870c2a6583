package store

import (
	"os"
	"testing"
	"time"
)

func TestOpenTwiceAndMigrateOnce(t *testing.T) {
	dir := t.TempDir()
	o := Options{Data: dir, Now: time.Now}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ran, err := Migrate(t.Context(), o)
	if err != nil || len(ran) != 0 {
		t.Fatalf("second Migrate ran %v, %v", ran, err)
	}
	if url := os.Getenv("RAPPORT_TEST_POSTGRES"); url != "" {
		o.Database = url
		if _, err := Migrate(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}
