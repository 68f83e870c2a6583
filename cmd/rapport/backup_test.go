package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/internal/testkit"
)

// TestBackup: a copy is whole, its owner's, never over another file, and good
// for a restore together with the key file it names.
func TestBackup(t *testing.T) {
	t.Chdir(t.TempDir())
	do := func(data string, code int, line string) string {
		t.Helper()
		var out, bad bytes.Buffer
		if got := run(t.Context(), split(t, line), []string{"RAPPORT_DATA=" + data}, nil, &out, &bad); got != code {
			t.Fatalf("%s: exit code %d, want %d: %s", line, got, code, &bad)
		}
		return out.String() + bad.String()
	}
	do("data", 0, "contacts put --external-id 1 --address email:anna@example.com")
	if said := do("data", 0, "backup copy.db"); !strings.Contains(said, "wrote ") || !strings.Contains(said, "Keep ") || !strings.Contains(said, "secret.key as well") {
		t.Errorf("said: %s", said)
	}
	before, err := os.ReadFile("copy.db")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat("copy.db"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if said := do("data", rapport.Conflict.ExitCode(), "backup copy.db"); !strings.Contains(said, "there is a file copy.db already") {
		t.Errorf("said: %s", said)
	}
	if after, err := os.ReadFile("copy.db"); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the first copy was touched: %v", err)
	}
	do("data", rapport.NotFound.ExitCode(), "backup nowhere/copy.db")
	var told backedUp
	if err := json.Unmarshal([]byte(do("data", 0, "backup second.db --json")), &told); err != nil || told.Bytes == 0 || !filepath.IsAbs(told.File) {
		t.Fatalf("%+v, %v", told, err)
	}
	if err := os.Mkdir("restored", 0o700); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{told.File: "rapport.db", told.KeyFile: "secret.key"} {
		if err := os.Rename(from, filepath.Join("restored", to)); err != nil {
			t.Fatal(err)
		}
	}
	if said := do("restored", 0, "contacts show anna@example.com"); !strings.Contains(said, "anna@example.com") {
		t.Errorf("restored: %s", said)
	}
	if said := do("data", rapport.Conflict.ExitCode(), "contacts list"); !strings.Contains(said, "there is no key file") {
		t.Errorf("without its key: %s", said)
	}
}

func TestBackupOfPostgreSQL(t *testing.T) {
	o := testkit.Postgres(t)
	t.Chdir(t.TempDir())
	var bad bytes.Buffer
	if code := run(t.Context(), []string{"backup", "copy.db"}, []string{"RAPPORT_DATA=data", "RAPPORT_DATABASE=" + o.Database}, nil, &bad, &bad); code != 2 || !strings.Contains(bad.String(), "pg_dump") {
		t.Errorf("exit code %d: %s", code, &bad)
	}
	if _, err := os.Stat("copy.db"); err == nil {
		t.Error("an empty file is left, which looks like a backup")
	}
}

func TestClocksApart(t *testing.T) {
	ours := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ took, theirs, want time.Duration }{
		{0, 0, 0},
		{time.Second, 500 * time.Millisecond, 0},
		{time.Minute, time.Minute, 0},
		{time.Second, 4 * time.Second, 3 * time.Second},
		{time.Second, -4 * time.Second, 4 * time.Second},
	} {
		if got := apart(ours, ours.Add(c.took), ours.Add(c.theirs)); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestDoctorFindsOrphans: a channel was renamed while a campaign waited for it.
func TestDoctorFindsOrphans(t *testing.T) {
	story, err := os.ReadFile("testdata/script/campaign.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, files := unpack(string(story))
	t.Chdir(t.TempDir())
	putFiles(t, files)
	channel := func(name string) []string {
		v := "RAPPORT_CHANNELS_" + name + "_"
		return []string{"RAPPORT_DATA=data", v + "DRIVER=email", v + "FROM=news@shop.test", v + "SERVERS=[{url: 'smtp://127.0.0.1:1?tls=none'}]"}
	}
	say := func(env []string, line string) string {
		t.Helper()
		var out, bad bytes.Buffer
		if code := run(t.Context(), split(t, line), env, nil, &out, &bad); code != 0 && line != "doctor" {
			t.Fatalf("%s: exit code %d: %s", line, code, &bad)
		}
		return out.String()
	}
	for _, line := range []string{
		"topics put newsletter --kind marketing", "contacts import people.csv --grant email:newsletter --source form", "templates put letter",
		"segments put all-of-us --where 'contact.points > 0'", "campaigns create spring.yaml", "campaigns start spring",
	} {
		say(channel("NEWS"), line)
	}
	const finding = "waits for channel news, which is not configured any more"
	if said := say(channel("NEWS"), "doctor"); strings.Contains(said, finding) || !strings.Contains(said, "of the database agree") {
		t.Errorf("in order: %s", said)
	}
	if said := say(channel("POST"), "doctor"); !strings.Contains(said, finding) || !strings.Contains(said, "rapport campaigns cancel spring") {
		t.Errorf("renamed: %s", said)
	}
	say(channel("POST"), "campaigns cancel spring")
	if said := say(channel("POST"), "doctor"); strings.Contains(said, finding) {
		t.Errorf("cancelled: %s", said)
	}
}
