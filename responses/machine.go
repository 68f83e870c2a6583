package responses

import (
	"strings"
	"time"
)

// Hit is what an HTTP request tells about who made it.
type Hit struct {
	Head  bool   // asked by HEAD
	Agent string // User-Agent
	// Purpose holds the values of Sec-Purpose, Purpose and X-Moz.
	Purpose []string
}

// Classes of agents that are stored and shown beside the names in the table.
const (
	AgentBrowser  = "browser"
	AgentNone     = "none" // no User-Agent at all
	AgentHead     = "head"
	AgentPrefetch = "prefetch"
	AgentEarly    = "early" // came before a person could have
	AgentBurst    = "burst" // several links at once
)

// agent is a row of the table: who is recognised by what, and where that is
// written down.
type agent struct {
	class   string
	word    string // part of the User-Agent, in lower case
	exact   bool   // the whole of it
	machine bool
	kind    Kind   // only hits of this kind; empty: all
	source  string // public; "" keeps the row off
}

const crawlers = "https://github.com/monperrus/crawler-user-agents"

// agents is read from the top; the first row that fits decides. Proxies that
// fetch an image when a person opens the letter are people. Rows without a
// source are unverified and off.
var agents = []agent{
	{class: "gmail_proxy", word: "googleimageproxy", kind: Opened, source: "https://www.scientiamobile.com/what-is-google-image-proxy/"},
	{class: "yahoo_proxy", word: "yahoomailproxy", kind: Opened, source: "https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"},
	{class: "apple_proxy", word: "mozilla/5.0", exact: true, machine: true, kind: Opened, source: "https://github.com/ua-parser/uap-core/issues/509"},
	{class: "gmail_scan", word: "chrome/42.0.2311.135 safari/537.36 edge/12.246 mozilla/5.0", machine: true, source: "https://github.com/mautic/mautic/pull/10245"},
	{class: "link_preview", word: "slackbot", machine: true, source: "https://api.slack.com/robots"},
	{class: "link_preview", word: "facebookexternalhit", machine: true, source: crawlers},
	{class: "link_preview", word: "twitterbot", machine: true, source: crawlers},
	{class: "link_preview", word: "linkedinbot", machine: true, source: crawlers},
	{class: "link_preview", word: "whatsapp", machine: true, source: crawlers},
	{class: "link_preview", word: "telegrambot", machine: true, source: crawlers},
	{class: "link_preview", word: "discordbot", machine: true, source: crawlers},
	{class: "link_preview", word: "skypeuripreview", machine: true, source: crawlers},
	{class: "link_preview", word: "bingpreview", machine: true, source: crawlers},
	{class: "link_preview", word: "microsoftpreview", machine: true, source: crawlers},
	{class: "crawler", word: "googlebot", machine: true, source: crawlers},
	{class: "crawler", word: "bingbot", machine: true, source: crawlers},
	{class: "crawler", word: "yandexbot", machine: true, source: crawlers},
	{class: "crawler", word: "applebot", machine: true, source: crawlers},
	{class: "library", word: "curl/", machine: true, source: crawlers},
	{class: "library", word: "wget/", machine: true, source: crawlers},
	{class: "library", word: "python-requests", machine: true, source: crawlers},
	{class: "library", word: "python-urllib", machine: true, source: crawlers},
	{class: "library", word: "aiohttp", machine: true, source: crawlers},
	{class: "library", word: "go-http-client", machine: true, source: crawlers},
	{class: "library", word: "apache-httpclient", machine: true, source: crawlers},
	{class: "library", word: "libwww-perl", machine: true, source: crawlers},
	{class: "browser_robot", word: "headlesschrome", machine: true, source: crawlers},
	{class: "browser_robot", word: "phantomjs", machine: true, source: crawlers},
	// Gateways that follow links. Sources contradict each other on whether they
	// name themselves, so only their behaviour gives them away (Judge, bursts).
	{class: "gateway", word: "barracuda", machine: true},
	{class: "gateway", word: "proofpoint", machine: true},
	{class: "gateway", word: "mimecast", machine: true},
}

// Classify tells from the request alone whether a machine made a hit of that
// kind, and the class of its agent.
func Classify(kind Kind, h Hit) (machine bool, class string) {
	name := strings.ToLower(strings.TrimSpace(h.Agent))
	class = AgentBrowser
	if name == "" {
		machine, class = kind == Clicked, AgentNone
	}
	for _, a := range agents {
		if a.source == "" || a.kind != "" && a.kind != kind {
			continue
		}
		if a.exact && name == a.word || !a.exact && strings.Contains(name, a.word) {
			machine, class = a.machine, a.class
			break
		}
	}
	for _, p := range h.Purpose {
		if strings.Contains(strings.ToLower(p), AgentPrefetch) {
			return true, AgentPrefetch
		}
	}
	if h.Head {
		return true, AgentHead
	}
	return machine, class
}

// Early is how soon after its hand-over nobody has read a message yet.
const Early = 2 * time.Second

// Judge marks a hit that came before its message could have been read: less
// than Early after the hand-over, or before that was written down. What names
// nobody, or has no delivery (known false), is left as it is.
func Judge(e Event, h Handover, known bool) Event {
	if !known || e.Contact == 0 || !e.Kind.hit() || e.Machine {
		return e
	}
	if h.At.IsZero() || e.At.Before(h.At.Add(Early)) {
		e.Machine, e.Agent = true, AgentEarly
	}
	return e
}

const (
	burstTime  = 2 * time.Second
	burstLinks = 3
	// maxTrails bounds how many messages are watched for bursts at once.
	maxTrails = 20_000
)

// trails watches the clicks on each message for the pattern of a scanner: many
// or all of its links within a moment.
type trails struct{ m map[delivery]*trail }

type delivery struct{ run, contact int64 }

type trail struct {
	hits    []linkHit // of the last moment
	machine bool
}

type linkHit struct {
	link int
	at   time.Time
}

// add notes a click. burst is set when the pattern has just become clear; from
// is where it began. during says that the click belongs to a pattern known
// already.
func (t *trails) add(e Event) (burst, during bool, from time.Time) {
	if e.Kind != Clicked || e.Contact == 0 {
		return false, false, from
	}
	if t.m == nil || len(t.m) >= maxTrails {
		t.prune(e.At)
	}
	key := delivery{e.Run, e.Contact}
	l := t.m[key]
	if l == nil {
		l = &trail{}
		t.m[key] = l
	}
	l.forget(e.At)
	fresh := true
	for _, h := range l.hits {
		fresh = fresh && h.link != e.Link
	}
	if fresh && len(l.hits) < burstLinks*10 {
		l.hits = append(l.hits, linkHit{e.Link, e.At})
	} else if n := len(l.hits); n > 0 {
		l.hits[n-1].at = e.At // goes on
	}
	if l.machine {
		return false, true, l.hits[0].at
	}
	n := len(l.hits)
	l.machine = n >= burstLinks || n >= 2 && n == e.Links
	return l.machine, false, l.hits[0].at
}

func (l *trail) forget(now time.Time) {
	keep := l.hits[:0]
	for _, h := range l.hits {
		if now.Sub(h.at) <= burstTime {
			keep = append(keep, h)
		}
	}
	l.hits = keep
	l.machine = l.machine && len(keep) > 0
}

// prune forgets what is over; when all of it is going on, everything, so that
// memory stays bounded.
func (t *trails) prune(now time.Time) {
	if t.m == nil {
		t.m = map[delivery]*trail{}
		return
	}
	for k, l := range t.m {
		if l.forget(now); len(l.hits) == 0 {
			delete(t.m, k)
		}
	}
	if len(t.m) >= maxTrails {
		clear(t.m)
	}
}
