package store

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestMigrateOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if ran, err := s.Migrate(t.Context()); err != nil || len(ran) != 0 {
			t.Errorf("the second time %v ran, %v", ran, err)
		}
		if at, err := s.Clock(t.Context()); err != nil || at.IsZero() {
			t.Errorf("clock %v, %v", at, err)
		}
	})
}

func TestMigrateNamesWhatItRanAndKeepsItPrivate(t *testing.T) {
	dir := t.TempDir()
	ran, err := Migrate(t.Context(), Options{Data: dir, Now: time.Now})
	if err != nil || len(ran) < 5 || ran[0] != "0001_people.sql" || !slices.Contains(ran, "0002_ledger.sqlite.sql") || slices.Contains(ran, "0002_ledger.postgres.sql") {
		t.Errorf("ran %v, %v", ran, err)
	}
	for _, name := range []string{fileName, fileName + "-wal"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}
