package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/mail"
	"strings"

	"rapport/channels"
	"rapport/internal/app"
)

// sendingDomain is what a channel that writes e-mail shows to the world. Its
// keys are those that drivers of e-mail use.
type sendingDomain struct {
	From       string `json:"from"`
	ReturnPath string `json:"return_path"`
	DKIM       struct {
		Domain   string `json:"domain"`
		Selector string `json:"selector"`
	} `json:"dkim"`
}

// dns looks for the records that receivers of e-mail ask for.
func (d *doctor) dns(ctx context.Context, h *app.House) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen := map[string]bool{}
	for _, c := range h.Config.Channels {
		driver, err := h.Drivers.Driver(c.Driver)
		if err != nil || driver.Address.Kind != channels.Email.Kind {
			continue
		}
		var s sendingDomain
		if err := json.Unmarshal(c.Raw, &s); err != nil {
			continue // opening the channel has said so
		}
		from, err := mail.ParseAddress(s.From)
		if err != nil {
			continue // as above
		}
		domain := from.Address[strings.LastIndexByte(from.Address, '@')+1:]
		bounces := s.ReturnPath
		if bounces == "" {
			bounces = domain
		}
		key := strings.Join([]string{domain, bounces, s.DKIM.Domain, s.DKIM.Selector}, " ")
		if seen[key] || !d.public(domain) {
			continue
		}
		seen[key] = true
		d.spf(ctx, bounces)
		d.dkim(ctx, domain, s.DKIM.Domain, s.DKIM.Selector)
		d.dmarc(ctx, domain)
		d.mx(ctx, bounces)
	}
}

// public says whether a domain can have records at all.
func (d *doctor) public(domain string) bool {
	domain = strings.ToLower(domain)
	for _, own := range []string{"localhost", "test", "example", "invalid", "local", "internal"} { // RFC 6761, RFC 6762
		if domain == own || strings.HasSuffix(domain, "."+own) {
			d.say("dns "+domain, skipped, "", "the domain exists on no public server")
			return false
		}
	}
	if net.ParseIP(strings.Trim(domain, "[]")) != nil || !strings.Contains(domain, ".") {
		d.say("dns "+domain, skipped, "", "this is not a public domain")
		return false
	}
	return true
}

// texts asks for the TXT records of a name that begin in some way; ok is false
// when DNS gave no answer, which has been said then.
func (d *doctor) texts(ctx context.Context, check, name, begin string) (found []string, ok bool) {
	list, err := d.resolver.LookupTXT(ctx, name)
	if !d.answered(check, err) {
		return nil, false
	}
	for _, text := range list {
		if strings.HasPrefix(strings.ToLower(text), begin) {
			found = append(found, text)
		}
	}
	return found, true
}

// answered tells a name without records from a DNS that cannot be reached.
func (d *doctor) answered(check string, err error) bool {
	var dnsErr *net.DNSError
	if err == nil || errors.As(err, &dnsErr) && dnsErr.IsNotFound {
		return true
	}
	d.say(check, skipped, "ask again where DNS can be reached", "DNS gave no answer: %v", err)
	return false
}

// spf looks for the sender policy of the envelope's domain (RFC 7208).
func (d *doctor) spf(ctx context.Context, domain string) {
	check := "spf " + domain
	found, ok := d.texts(ctx, check, domain, "v=spf1")
	switch {
	case !ok:
	case len(found) == 0:
		d.say(check, warning, `publish a TXT record like "v=spf1 include:your-mail-server ~all"`, "no SPF record: many receivers refuse or sort out such mail")
	case len(found) > 1:
		d.say(check, broken, "join them into one", "%d SPF records, but only one is allowed", len(found))
	case strings.Contains(found[0], "+all") || strings.HasSuffix(strings.TrimSpace(found[0]), " all"):
		d.say(check, warning, "end it with ~all or -all", "it lets everybody send in this name: %s", found[0])
	default:
		d.say(check, fine, "", "%s", found[0])
	}
}

// dkim looks for the public key of the signature (RFC 6376).
func (d *doctor) dkim(ctx context.Context, from, domain, selector string) {
	if selector == "" {
		d.say("dkim "+from, note, "unless the mail server signs, set dkim on the channel", "letters are not signed here")
		return
	}
	name := selector + "._domainkey." + domain
	check := "dkim " + name
	found, ok := d.texts(ctx, check, name, "")
	switch {
	case !ok:
	case len(found) == 0:
		d.say(check, broken, "publish the public key of the key file there", "no key, so every signature fails")
	case !strings.Contains(strings.ReplaceAll(strings.Join(found, ""), " ", ""), "p="):
		d.say(check, broken, "publish it like v=DKIM1; k=rsa; p=…", "the record holds no key")
	default:
		d.say(check, fine, "", "a key is published")
	}
	if !strings.EqualFold(from, domain) && !strings.HasSuffix(strings.ToLower(from), "."+strings.ToLower(domain)) {
		d.say(check, warning, "sign with the domain of from", "the signature is of %s, the letters are from %s: DMARC does not count it", domain, from)
	}
}

// dmarc looks for the policy of the domain in From, or of the domain it
// belongs to (RFC 7489 section 6.6.3, without a list of public suffixes).
func (d *doctor) dmarc(ctx context.Context, domain string) {
	check := "dmarc " + domain
	for at := domain; strings.Contains(at, "."); _, at, _ = strings.Cut(at, ".") {
		found, ok := d.texts(ctx, check, "_dmarc."+at, "v=dmarc1")
		if !ok {
			return
		}
		if len(found) > 0 {
			d.say(check, fine, "", "%s", found[0])
			return
		}
	}
	d.say(check, warning, `publish a TXT record at _dmarc.`+domain+` like "v=DMARC1; p=none; rua=mailto:…"`, "no DMARC record: large receivers ask for one from whoever sends much")
}

// mx looks for who takes bounces.
func (d *doctor) mx(ctx context.Context, domain string) {
	check := "mx " + domain
	list, err := d.resolver.LookupMX(ctx, domain)
	switch {
	case !d.answered(check, err):
	case len(list) == 0:
		d.say(check, warning, "publish an MX record, or set return_path to a domain that has one", "nobody takes mail for it, so bounces never come back")
	default:
		d.say(check, fine, "", "%s", list[0].Host)
	}
}
