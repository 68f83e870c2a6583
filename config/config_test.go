package config_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport"
	"rapport/channels"
	"rapport/config"
	"rapport/internal/secret"
)

var update = flag.Bool("update", false, "write golden files and docs/settings.md")

// pigeonSettings is a driver nobody in the house has heard of.
type pigeonSettings struct {
	Loft    string            `json:"loft" need:"yes" help:"Where the pigeon lives"`
	Token   secret.String     `json:"token" need:"yes" help:"Ring of the pigeon"`
	Wait    channels.Duration `json:"wait" help:"How long to wait"`
	Number  int               `json:"number" help:"How many pigeons"`
	Servers []struct {
		URL   string `json:"url"`
		Count int    `json:"count"`
	} `json:"servers" help:"Where to fly"`
	Tags []string `json:"tags" help:"Words"`
}

func (s pigeonSettings) Validate() error {
	var errs []error
	if s.Loft == "cellar" {
		errs = append(errs, errors.New("loft: pigeons do not live in cellars"))
	}
	for i, server := range s.Servers {
		if !strings.HasPrefix(server.URL, "coop://") {
			errs = append(errs, rapport.Invalidf(fmt.Sprintf("servers[%d].url", i), "must begin with coop://"))
		}
	}
	return errors.Join(errs...)
}

func registry(t *testing.T) *channels.Registry {
	t.Helper()
	r, err := channels.NewRegistry(channels.Define(channels.Driver{
		Name:    "pigeon",
		Address: channels.Address{Kind: "loft", Normalize: func(s string) (string, error) { return s, nil }},
		Traits:  channels.Traits{Concurrency: 3},
	}, func(context.Context, channels.Env, pigeonSettings) (channels.Channel, error) { return nil, nil }))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// TestMistakes reads one file for each mistake; what it must say stands in the
// .want beside it.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if filepath.Base(file) == "good.yaml" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := config.Load(file, nil, registry(t))
			if err == nil {
				t.Fatal("no complaint")
			}
			if strings.Contains(err.Error(), "pa55") || strings.Contains(err.Error(), "pa%55") {
				t.Errorf("the complaint holds a password: %v", err)
			}
			if rapport.KindOf(err) != rapport.Invalid {
				t.Errorf("kind is %s", rapport.KindOf(err))
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", err.Error()+"\n")
		})
	}
}

func TestGoodFile(t *testing.T) {
	c, err := config.Load("testdata/good.yaml", nil, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	ch, ok := c.Find("post")
	if !ok || ch.Rate.PerSecond() != 10 || ch.Concurrency != 4 || !ch.DropsRepeats || len(ch.Private) != 2 {
		t.Errorf("channel: %+v", ch)
	}
	if string(ch.Raw) != `{"loft":"tower","servers":[{"url":"coop://user:pa55@tower.example.com","count":3}],"token":"s3cret","wait":"10s"}` {
		t.Errorf("raw: %s", ch.Raw)
	}
	if c.PublicURL != "https://news.example.com" || c.Name != "Pigeons & Sons" || c.Patience() != 30*time.Second || c.Limits.Message != 5_000_000 ||
		c.Limits.Template != 1_000_000 || c.Limits.Contact != 2000 || c.Retry.Attempts != 9 {
		t.Errorf("config: %+v", c)
	}
	if c.Topics[0].Priority != "normal" || c.Topics[1].Priority != "high" || c.Topics[0].Title["de"] != "Rundbrief" {
		t.Errorf("topics: %+v", c.Topics)
	}
	if !c.Notify[0].Wants("run_held") || c.Notify[0].Wants("run_finished") {
		t.Errorf("notify: %+v", c.Notify)
	}
}

func TestDefaults(t *testing.T) {
	c, err := config.Load("", nil, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.PublicURL = "http://127.0.0.1:8080"
	if diff := cmp.Diff(want.Listen+want.PublicURL+want.Zone+want.Tracking+want.Data, c.Listen+c.PublicURL+c.Zone+c.Tracking+c.Data); diff != "" {
		t.Error(diff)
	}
	if c.Limits.Message.String() != "10MB" || c.Patience() != time.Minute || !c.Database.Empty() || c.Retry.Attempts != 30 {
		t.Errorf("defaults: %+v", c)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := config.Load("testdata/none.yaml", nil, registry(t))
	if err == nil || err.Error() != "testdata/none.yaml: the configuration does not exist; create it or correct the path" {
		t.Fatal(err)
	}
}

func TestEnvironment(t *testing.T) {
	env := []string{
		"HOME=/root", "RAPPORT_LISTEN=:9999", "RAPPORT_REDIS=", "RAPPORT_DATABASE=postgres://x",
		"RAPPORT_LOG_LEVEL=debug", "RAPPORT_STOP=5s", "RAPPORT_LIMITS_CONTACT_BYTES=1KiB", "RAPPORT_ADMIN=off",
		"RAPPORT_TOPICS_NEWSLETTER_PRIORITY=low", "RAPPORT_TOPICS_BIG_OFFERS_KIND=marketing", "RAPPORT_TOPICS_BIG_OFFERS_TITLE={en: Offers}",
		"RAPPORT_CHANNELS_POST_TOKEN_FILE=testdata/secret", "RAPPORT_CHANNELS_POST_RATE=7/s", "RAPPORT_CHANNELS_POST_LOFT=123",
		"RAPPORT_CHANNELS_POST_NUMBER=5", "RAPPORT_CHANNELS_POST_TAGS=a, b",
		"RAPPORT_CHANNELS_POST_PRIVATE=10.0.0.1",
		"RAPPORT_CHANNELS_POST_2_TOKEN=t", "RAPPORT_CHANNELS_POST_2_DRIVER=pigeon", "RAPPORT_CHANNELS_POST_2_LOFT=east",
		"RAPPORT_CHANNELS_POST_2_SERVERS={url: coop://b, count: 2}",
		"RAPPORT_NOTIFY=[{channel: post_2, to: ops}]",
		// Not settings, and not ours to complain about.
		"RAPPORT_TEST_POSTGRES=x", "RAPPORT_PORT_8080_TCP_ADDR=10.0.0.1", "RAPPORT_REDIS_SERVICE_HOST=10.0.0.2", "RAPPORT_PORT=tcp://10.0.0.1:80",
	}
	c, err := config.Load("testdata/good.yaml", env, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != ":9999" || c.Redis.Empty() || c.Zone != "Europe/Berlin" {
		t.Errorf("the empty variable or the file is lost: %+v", c)
	}
	if c.Log.Level != "debug" || c.Patience() != 5*time.Second || c.Limits.Contact != 1024 || c.Admin != "" {
		t.Errorf("plain settings: %+v", c)
	}
	if c.Topics[0].Priority != "low" || c.Topics[2].Name != "big_offers" || c.Topics[2].Title["en"] != "Offers" {
		t.Errorf("topics: %+v", c.Topics)
	}
	if got := string(c.Channels[0].Raw); got != `{"loft":"123","number":5,"servers":[{"url":"coop://user:pa55@tower.example.com","count":3}],"tags":["a","b"],"token":"s3cret","wait":"10s"}` {
		t.Errorf("raw: %s", got)
	}
	if c.Channels[0].Rate.String() != "7/s" || c.Channels[0].Private[0] != "10.0.0.1" {
		t.Errorf("common: %+v", c.Channels[0])
	}
	if got := c.Channels[1]; got.Name != "post_2" || string(got.Raw) != `{"loft":"east","servers":[{"url":"coop://b","count":2}],"token":"t"}` {
		t.Errorf("channel from the environment: %+v %s", got, got.Raw)
	}
	if c.Notify[0].Channel != "post_2" {
		t.Errorf("notify: %+v", c.Notify)
	}
}

func TestEnvironmentMistakes(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"RAPPORT_LISTN=:1", "RAPPORT_LISTN: sets nothing; did you mean RAPPORT_LISTEN?"},
		{"RAPPORT_WEATHER=fine", "RAPPORT_WEATHER: sets nothing; docs/settings.md lists the variables"},
		{"RAPPORT_STOP=soon", `RAPPORT_STOP: stop: "soon" is not a duration; write it like 90s or 10m`},
		{"RAPPORT_ZONE=Mars", `RAPPORT_ZONE: zone: "Mars" is not an IANA time zone; they look like Europe/Berlin`},
		{"RAPPORT_RETRY_ATTEMPTS=many", "RAPPORT_RETRY_ATTEMPTS: retry.attempts: is text, not a number"},
		{"RAPPORT_CHANNELS_POST_WAIT=soon", `RAPPORT_CHANNELS_POST_WAIT: channels[0].wait: "soon" is not a duration; write it like 90s or 10m`},
		{"RAPPORT_CHANNELS_POST_LOFT=cellar", "RAPPORT_CHANNELS_POST_LOFT: channels[0].loft: pigeons do not live in cellars"},
		{"RAPPORT_CHANNELS_POST_COLOUR=grey", "RAPPORT_CHANNELS_POST_COLOUR: sets nothing; docs/settings.md lists the variables"},
		{"RAPPORT_CHANNELS_POTS_LOFT=tower", "RAPPORT_CHANNELS_POTS_LOFT: sets nothing: no channel of that name is configured; known: post (a variable that ends in _DRIVER makes one)"},
		{"RAPPORT_TOPICS_NONE_TITLE={en: x}", "RAPPORT_TOPICS_NONE_TITLE: sets nothing: no topic of that name is configured; known: newsletter, service (a variable that ends in _KIND makes one)"},
		{"RAPPORT_TOPICS_NEWSLETTER_KIND=spam", `RAPPORT_TOPICS_NEWSLETTER_KIND: topics[0].kind: "spam" is not one of marketing, transactional`},
		{"RAPPORT_NOTIFY=[{channel: post}]", "RAPPORT_NOTIFY: notify[0].to: is required"},
		{"RAPPORT_DATABASE_FILE=testdata/secret", "RAPPORT_DATABASE_FILE: database_file: database is set as well; keep one of the two"},
	} {
		_, err := config.Load("testdata/good.yaml", []string{c.env}, registry(t))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.env, err, c.want)
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"db": "postgres://u:pa55@h/d\r\n", "token": "two\n\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load("", []string{
		"RAPPORT_DATABASE_FILE=" + filepath.Join(dir, "db"),
		"RAPPORT_CHANNELS_P_DRIVER=pigeon", "RAPPORT_CHANNELS_P_LOFT=x", "RAPPORT_CHANNELS_P_TOKEN_FILE=" + filepath.Join(dir, "token"),
	}, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Database.Reveal() != "postgres://u:pa55@h/d" {
		t.Errorf("database: %q", c.Database.Reveal())
	}
	if string(c.Channels[0].Raw) != `{"loft":"x","token":"two\n"}` { // one line end goes, not two
		t.Errorf("raw: %s", c.Channels[0].Raw)
	}
}

func TestPrintHidesSecrets(t *testing.T) {
	c, err := config.Load("testdata/good.yaml", []string{"RAPPORT_REDIS=redis-sentinel://a,b/?master=m&password=pa55"}, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	out, err := config.Print(c, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"pa55", "s3cret"} {
		if strings.Contains(string(out), word) {
			t.Errorf("%s is printed", word)
		}
	}
	golden(t, "testdata/print.want", string(out))
	if text := fmt.Sprintf("%v %+v %#v", c.Database, c.Database, c.Database); strings.Contains(text, "pa55") {
		t.Errorf("formatted: %s", text)
	}
}

// TestPrintReadsBack: what is printed is a configuration, but for its secrets.
func TestPrintReadsBack(t *testing.T) {
	c, err := config.Load("testdata/good.yaml", nil, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	out, err := config.Print(c, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "again.yaml")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := config.Load(file, nil, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	second, err := config.Print(again, registry(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(out), string(second)); diff != "" {
		t.Error(diff)
	}
}

func TestWorkers(t *testing.T) {
	d, err := registry(t).Driver("pigeon")
	if err != nil {
		t.Fatal(err)
	}
	for want, ch := range map[int]config.Channel{3: {}, 8: {Concurrency: 8}} {
		if got := ch.Workers(d); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
}

// TestExample keeps the example a configuration, as far as the house reads it.
func TestExample(t *testing.T) {
	c, err := config.Load("../docs/rapport.example.yaml", nil, nil)
	if err != nil || len(c.Channels) != 1 || len(c.Topics) != 2 {
		t.Fatalf("%v: %+v", err, c)
	}
}
