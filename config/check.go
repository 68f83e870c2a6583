package config

import (
	"fmt"
	"maps"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"rapport"
)

// localePattern is what we use of BCP 47 (RFC 5646): language, script, region.
var localePattern = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$`)

// hostPattern is a host name (RFC 1123 section 2.1).
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// nameBytes is how long the name of who writes may be.
const nameBytes = 200

// topics fills in what topics leave out.
func (l *loader) topics() {
	for i := range l.file.Topics {
		if l.file.Topics[i].Priority == "" {
			l.file.Topics[i].Priority = "normal"
		}
		if l.file.Topics[i].Quiet == "" {
			l.file.Topics[i].Quiet = "auto"
		}
	}
}

func (l *loader) check() {
	c := l.file.Config
	l.words("", reflect.ValueOf(&c).Elem())
	l.address("listen", c.Listen)
	if c.Admin != "" {
		l.address("admin", c.Admin)
	}
	l.publicURL(c.PublicURL)
	if len(c.Name) > nameBytes || strings.ContainsFunc(c.Name, unicode.IsControl) {
		l.complain("name", "is longer than %d bytes or has more than one line; write a name like Example Shop", nameBytes)
	}
	if c.Data == "" {
		l.complain("data", "names no folder; write one, like ./data")
	}
	l.scheme("database", c.Database.Reveal(), "postgres", "postgresql")
	l.scheme("redis", c.Redis.Reveal(), "redis", "rediss", "redis-sentinel", "redis-cluster")
	if _, err := time.LoadLocation(c.Zone); err != nil || c.Zone == "" || c.Zone == "Local" {
		l.complain("zone", "%q is not an IANA time zone; they look like Europe/Berlin", c.Zone)
	}
	if !localePattern.MatchString(c.Locale) {
		l.complain("locale", "%q is not a language; write it like en or de-AT", c.Locale)
	}
	l.numbers(c)
	l.checkTracking(c)
	l.checkTopics(c.Topics)
	l.checkConsent(c)
	l.checkChannels(c.Channels)
	l.checkNotify(c)
	l.checkForms(c)
	l.checkMailboxes(c)
	l.checkPages(c.Pages)
	l.checkQuiet(c)
	l.checkRetention(c)
}

// words checks every setting whose tag lists the words it may be.
func (l *loader) words(at string, v reflect.Value) {
	for _, s := range leaves(v, "") {
		allowed := s.tag.Get("need")
		if allowed == "" || s.value.Kind() != reflect.String {
			continue
		}
		list := strings.Split(allowed, "|")
		if !slices.Contains(list, s.value.String()) {
			l.complain(at+s.path, "%q is not one of %s", s.value.String(), strings.Join(list, ", "))
		}
	}
}

func (l *loader) numbers(c Config) {
	if c.Stop <= 0 {
		l.complain("stop", "must be longer than nothing, like 60s")
	}
	if c.Retry.First <= 0 {
		l.complain("retry.first", "must be longer than nothing, like 1m")
	}
	if c.Retry.Longest < c.Retry.First {
		l.complain("retry.longest", "is shorter than retry.first; the wait grows from the one to the other")
	}
	if c.Retry.Attempts < 1 || c.Retry.Attempts > 1000 {
		l.complain("retry.attempts", "%d is not between 1 and 1000", c.Retry.Attempts)
	}
	for path, size := range map[string]Size{
		"limits.message_bytes": c.Limits.Message, "limits.template_bytes": c.Limits.Template, "limits.contact_bytes": c.Limits.Contact,
	} {
		if size < 1 {
			l.complain(path, "must be larger than nothing")
		}
	}
}

// address checks host:port to listen at.
func (l *loader) address(path, text string) {
	host, port, err := net.SplitHostPort(text)
	n, badPort := strconv.Atoi(port)
	if err != nil || badPort != nil || n < 0 || n > 65535 {
		l.complain(path, "%q is not an address to listen at; write host:port, like 127.0.0.1:8080 or :8080", text)
		return
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostPattern.MatchString(host) {
		l.complain(path, "%q is not a host", host)
	}
}

// publicURL wants https, because links in messages carry rights; on the
// machine itself http is enough.
func (l *loader) publicURL(text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		l.complain("public_url", "%q is not an absolute address; write it like https://news.example.com", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		l.complain("public_url", "may hold a host and a path only, no user, query or fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		l.complain("public_url", "must begin with https:// because links in messages carry rights; http:// is for this machine only")
	case u.Scheme != "https" && u.Scheme != "http":
		l.complain("public_url", "must begin with https://")
	}
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// loopbackPort reads a listening address on this machine.
func loopbackPort(listen string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || !isLoopback(host) {
		return "", "", false
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host, port, true
}

// scheme checks the address of a server without ever repeating it: it may
// hold a password.
func (l *loader) scheme(path, text string, schemes ...string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		l.complain(path, "is not an address; write it like %s://user:password@host/name (percent-encode special characters in the password)", schemes[0])
		return
	}
	if !slices.Contains(schemes, u.Scheme) {
		l.complain(path, "begins with %s://, which is not understood; known: %s://", u.Scheme, strings.Join(schemes, "://, "))
		return
	}
	// PostgreSQL may be reached by a socket: postgres:///name?host=/run/postgresql.
	if u.Host == "" && u.Query().Get("host") == "" {
		l.complain(path, "names no host")
	}
}

func (l *loader) checkTopics(topics []Topic) {
	names := map[string]string{}
	for i, t := range topics {
		l.name(listPath("topics", i, "name"), t.Name, names)
		l.words(strings.TrimSuffix(listPath("topics", i, "x"), "x"), reflect.ValueOf(&t).Elem())
		for locale := range t.Title {
			if !localePattern.MatchString(locale) {
				l.complain(listPath("topics", i, "title."+locale), "%q is not a language; write it like en or de-AT", locale)
			}
		}
	}
}

// name checks a unique name; two whose variables would be the same are
// refused as well.
func (l *loader) name(path, name string, seen map[string]string) {
	if name == "" {
		l.complain(path, "is required")
		return
	}
	if err := rapport.CheckName("", name); err != nil {
		l.complain(path, "%s", err.Error())
		return
	}
	switch other, taken := seen[variable(name)]; {
	case taken && other == name:
		l.complain(path, "%s is there already; names are unique", name)
	case taken:
		l.complain(path, "%s and %s would share their environment variables; change one", name, other)
	}
	seen[variable(name)] = name
}

func (l *loader) checkChannels(list []Channel) {
	names := map[string]string{}
	for i, c := range list {
		l.name(listPath("channels", i, "name"), c.Name, names)
		if c.Driver == "" {
			l.complain(listPath("channels", i, "driver"), "is required")
		}
		if c.Concurrency < 0 || c.Concurrency > 1000 {
			l.complain(listPath("channels", i, "concurrency"), "%d is not between 0 and 1000", c.Concurrency)
		}
		if _, err := mail.ParseAddress(c.ReplyTo); c.ReplyTo != "" && err != nil {
			l.complain(listPath("channels", i, "reply_to"), "%q is not an e-mail address; they look like anna@example.com", c.ReplyTo)
		}
		l.checkPace(i, c)
		for j, p := range c.Private {
			if !isNetwork(p) {
				l.complain(listPath("channels", i, fmt.Sprintf("private[%d]", j)), "%q is neither a host nor a network; write it like crm.internal or 10.1.0.0/16", p)
			}
		}
	}
}

// checkPace looks at what a channel says about domains and days.
func (l *loader) checkPace(i int, c Channel) {
	for _, domain := range slices.Sorted(maps.Keys(c.Domains)) {
		path := listPath("channels", i, "domains."+domain)
		switch {
		case !hostPattern.MatchString(domain) || domain != strings.ToLower(domain):
			l.complain(path, "%q is not a domain in lower case", domain)
		case c.Domains[domain].IsZero():
			l.complain(path, "needs a rate, like 100/m")
		}
	}
	if _, _, err := c.Warmup.Plan(time.UTC); err != nil {
		key, msg, _ := strings.Cut(err.Error(), ": ")
		l.complain(listPath("channels", i, "warmup."+key), "%s", msg)
	}
}

func isNetwork(text string) bool {
	if _, err := netip.ParsePrefix(text); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	return hostPattern.MatchString(text)
}

func (l *loader) checkNotify(c Config) {
	var known []string
	for _, ch := range c.Channels {
		known = append(known, ch.Name)
	}
	for i, n := range c.Notify {
		if !slices.Contains(known, n.Channel) {
			l.complain(listPath("notify", i, "channel"), "%s", rapport.Unknown("channel", n.Channel, known).Error())
		}
		if n.To == "" {
			l.complain(listPath("notify", i, "to"), "is required")
		}
		for j, e := range n.Events {
			if !slices.Contains(Events(), e) {
				l.complain(listPath("notify", i, fmt.Sprintf("events[%d]", j)), "%q is not one of %s", e, strings.Join(Events(), ", "))
			}
		}
	}
}
