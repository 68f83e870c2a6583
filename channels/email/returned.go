package email

import (
	"regexp"
	"strconv"
	"strings"

	"rapport/channels"
)

var (
	codePattern     = regexp.MustCompile(`(?:^|[^\d.])([45]\d\d)(?:[^\d.]|$)`)
	enhancedPattern = regexp.MustCompile(`(?:^|[^\d.])([245]\.\d{1,3}\.\d{1,3})(?:[^\d.]|$)`)
)

// maxDiagnostic bounds the text of a report that is looked at.
const maxDiagnostic = 2 << 10

// returned judges a report of non-delivery (RFC 3464): by the same table as
// what a server says during the conversation, because it is what a server
// further on has said. What the report calls failed after many tries has a
// status of class 4, and proves nothing against the address.
func returned(status, diagnostic string) channels.Failure {
	text := diagnostic[:min(len(diagnostic), maxDiagnostic)]
	if kind, rest, ok := strings.Cut(text, ";"); ok && !strings.ContainsAny(strings.TrimSpace(kind), " .<") {
		text = rest // "smtp; 550 …"
	}
	text = publicText(strings.TrimSpace(text))
	r := reply{text: text}
	if m := enhancedPattern.FindStringSubmatch(text); m != nil {
		r.enhanced = m[1]
	}
	if s := enhancedPattern.FindStringSubmatch(status); s != nil && (r.enhanced == "" || strings.HasSuffix(r.enhanced, ".0.0")) {
		r.enhanced = s[1]
	}
	if m := codePattern.FindStringSubmatch(text); m != nil {
		r.code, _ = strconv.Atoi(m[1]) // three digits
	}
	if r.code == 0 {
		r.code = 550
		if strings.HasPrefix(r.enhanced, "4.") {
			r.code = 450
		}
	}
	if r.code/100 == 5 && strings.HasPrefix(status, "4.") {
		r.code = 450 // the report itself says that this may pass
		r.enhanced = strings.Replace(r.enhanced, "5.", "4.", 1)
	}
	if _, rest, ok := strings.Cut(text, strconv.Itoa(r.code)); ok {
		r.text = strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(rest, " -#"), r.enhanced), " :")
	}
	at := atRcpt
	if len(r.enhanced) > 3 && (r.enhanced[2] == '6' || r.enhanced[2] == '7') {
		at = atDot
	}
	f := judge(at, r)
	if f.Verdict == channels.Uncertain {
		f.Verdict = channels.Temporary // a report is no doubt
	}
	return f
}
