package inbox

import "strings"

// Report is what a machine tells about a mail of ours.
type Report struct {
	Failed    []Failed
	Other     bool   // delayed, relayed, expanded or delivered: nothing failed
	Feedback  string // type of a complaint (RFC 5965), like abuse; empty: none
	Addresses []string
	// Original is what is known of the header of the mail it is about.
	Original header
}

// Failed is one recipient a mail could not be delivered to.
type Failed struct {
	Status     string // RFC 3463, like 5.1.1
	Diagnostic string // what the server said
}

// report reads what the parts have told; nil when the mail is no report.
func (w *walker) report() *Report {
	if w.status == "" || w.kind == "disposition-notification" {
		return nil
	}
	r := &Report{Original: w.original}
	groups := w.groups()
	if w.feedback {
		for _, g := range groups {
			if v := g.get("feedback-type"); v != "" && r.Feedback == "" {
				r.Feedback = strings.ToLower(v)
			}
			for _, name := range []string{"original-mail-from", "original-rcpt-to", "removal-recipient"} {
				for _, v := range g.all(name) {
					r.Addresses = append(r.Addresses, addresses(v)...)
				}
			}
		}
		if r.Feedback == "" {
			r.Feedback = "other"
		}
		return r
	}
	for _, g := range groups {
		action := strings.ToLower(g.get("action"))
		action, _, _ = strings.Cut(action, " ")
		status := g.get("status")
		switch {
		case action == "failed" || action == "" && strings.HasPrefix(status, "5"):
			if len(r.Failed) < maxAddress {
				r.Failed = append(r.Failed, Failed{Status: status, Diagnostic: g.get("diagnostic-code")})
			}
		case action != "":
			r.Other = true
		}
	}
	return r
}

// groups are the groups of fields of a status part (RFC 3464 section 2.1).
func (w *walker) groups() []header {
	var out []header
	rest := []byte(w.status)
	for len(rest) > 0 && len(out) < maxParts {
		var h header
		h, rest = splitHeader(rest)
		if len(h) > 0 {
			out = append(out, h)
		}
	}
	return out
}
