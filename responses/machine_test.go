package responses

import (
	"strings"
	"testing"
	"time"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		kind    Kind
		hit     Hit
		machine bool
		class   string
	}{
		{Clicked, Hit{Agent: firefox}, false, AgentBrowser},
		{Opened, Hit{Agent: firefox}, false, AgentBrowser},
		{Clicked, Hit{Head: true, Agent: firefox}, true, AgentHead},
		{Clicked, Hit{Agent: firefox, Purpose: []string{"", "prefetch;prerender"}}, true, AgentPrefetch},
		{Clicked, Hit{Agent: firefox, Purpose: []string{"Prefetch"}}, true, AgentPrefetch},
		{Opened, Hit{Agent: "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"}, false, "gmail_proxy"},
		{Opened, Hit{Agent: "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"}, false, "yahoo_proxy"},
		{Opened, Hit{Agent: "Mozilla/5.0"}, true, "apple_proxy"},
		{Clicked, Hit{Agent: "Mozilla/5.0"}, false, AgentBrowser}, // the proxy fetches images only
		{Clicked, Hit{Agent: "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}, true, "link_preview"},
		{Clicked, Hit{Agent: "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"}, true, "crawler"},
		{Clicked, Hit{Agent: "curl/8.5.0"}, true, "library"},
		{Clicked, Hit{}, true, AgentNone},
		{Opened, Hit{}, false, AgentNone},
		{Clicked, Hit{Agent: firefox + " Barracuda"}, false, AgentBrowser}, // unverified, so off
	} {
		if machine, class := Classify(c.kind, c.hit); machine != c.machine || class != c.class {
			t.Errorf("%s by %+v: machine %v, %s; want %v, %s", c.kind, c.hit, machine, class, c.machine, c.class)
		}
	}
}

func TestAgentTable(t *testing.T) {
	for _, a := range agents {
		if a.word != strings.ToLower(a.word) || a.class == "" || a.source != "" && !strings.HasPrefix(a.source, "https://") {
			t.Errorf("row %+v", a)
		}
	}
}

func TestJudge(t *testing.T) {
	sent := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	click := Event{Kind: Clicked, Run: 1, Contact: 1, Agent: AgentBrowser}
	for _, c := range []struct {
		name    string
		e       Event
		after   time.Duration
		h       Handover
		known   bool
		machine bool
	}{
		{"at once", click, time.Second, Handover{sent}, true, true},
		{"in time", click, Early, Handover{sent}, true, false},
		{"not handed over yet", click, time.Hour, Handover{}, true, true},
		{"no delivery", click, 0, Handover{}, false, false},
		{"nobody", Event{Kind: Clicked, Run: 1}, 0, Handover{sent}, true, false},
		{"no hit", Event{Kind: Unsubscribed, Run: 1, Contact: 1}, 0, Handover{sent}, true, false},
	} {
		c.e.At = sent.Add(c.after)
		if got := Judge(c.e, c.h, c.known); got.Machine != c.machine {
			t.Errorf("%s: machine %v", c.name, got.Machine)
		}
	}
}

func TestBursts(t *testing.T) {
	type click struct {
		link int
		ms   int
	}
	for _, c := range []struct {
		name   string
		links  int
		clicks []click
		want   string // . a person's, b the pattern becomes clear, m within it
	}{
		{"one link twice", 9, []click{{1, 0}, {1, 300}, {1, 600}}, "..."},
		{"two of nine", 9, []click{{1, 0}, {2, 900}}, ".."},
		{"three of nine at once", 9, []click{{1, 0}, {2, 10}, {3, 20}, {4, 30}, {4, 1900}}, "..bmm"},
		{"three slowly", 9, []click{{1, 0}, {2, 3000}, {3, 6000}}, "..."},
		{"all of two", 2, []click{{0, 0}, {1, 40}}, ".b"},
		{"both of two slowly", 2, []click{{0, 0}, {1, 2500}}, ".."},
		{"over", 9, []click{{1, 0}, {2, 10}, {3, 20}, {5, 9000}}, "..b."},
		{"at the edge", 9, []click{{1, 0}, {2, 1900}, {3, 2100}, {4, 2200}}, "...b"},
	} {
		var tr trails
		start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		got := ""
		for _, k := range c.clicks {
			burst, during, _ := tr.add(Event{Kind: Clicked, Run: 1, Contact: 1, Link: k.link, Links: c.links, At: start.Add(time.Duration(k.ms) * time.Millisecond)})
			switch {
			case burst:
				got += "b"
			case during:
				got += "m"
			default:
				got += "."
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTrailsAreBounded(t *testing.T) {
	var tr trails
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for i := range 3 * maxTrails {
		tr.add(Event{Kind: Clicked, Run: 1, Contact: int64(i + 1), At: at})
		if len(tr.m) > maxTrails {
			t.Fatalf("%d messages are watched", len(tr.m))
		}
	}
}
