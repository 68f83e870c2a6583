package responses

import (
	"strconv"
	"strings"
)

// Paths of the public pages; a token follows, and for a click "/" and the
// number of the link.
const (
	PathClick       = "/c/"
	PathOpen        = "/o/"
	PathUnsubscribe = "/u/"
	PathPreferences = "/p/"
	PathView        = "/v/"
	PathRequest     = "/r/"
	PathForm        = "/f/" // the name of the form follows
	OpenSuffix      = ".gif"
)

// Linker makes the addresses that stand in messages.
type Linker struct {
	tokens *Tokens
	base   string
}

// NewLinker makes links below the public address of the installation, for
// example https://news.example.com, with or without a path.
func NewLinker(t *Tokens, publicURL string) *Linker {
	return &Linker{tokens: t, base: strings.TrimRight(publicURL, "/")}
}

// For returns the links of one message. With anonymous set, clicks and opens
// are counted for the run and name nobody.
func (l *Linker) For(s Subject, anonymous bool) *Links {
	return &Links{l: l, s: s, anonymous: anonymous}
}

// Return is the signed token for the return path of a message: at most 56
// letters and digits that survive a change of case.
func (l *Linker) Return(run, contact int64) string {
	return l.tokens.Sign(ForReturn, Subject{Run: run, Contact: contact})
}

// Reply is the signed token that a letter names for those who ask for an end
// by mail; it survives a change of case and works without end.
func (l *Linker) Reply(s Subject) string { return l.tokens.Sign(ForReply, s) }

// Page is a public page by its path.
func (l *Linker) Page(path string) string { return l.base + path }

// Links are the addresses of one message; each token is signed when it is
// first asked for. One goroutine may use it at a time.
type Links struct {
	l         *Linker
	s         Subject
	anonymous bool
	made      [6]string // by place, see once
}

// The places in Links.made.
const (
	madeClick = iota
	madeOpen
	madeUnsubscribe
	madePreferences
	madeView
	madeRenew
)

// once makes an address when it is first asked for.
func (l *Links) once(place int, path string, p Purpose, s Subject, suffix string) string {
	if l.made[place] == "" {
		var space [512]byte
		b := append(append(space[:0], l.l.base...), path...)
		b = l.l.tokens.append(b, p, s)
		l.made[place] = string(append(b, suffix...))
	}
	return l.made[place]
}

// Click is the address that leads to link number n of the revision.
func (l *Links) Click(n int) string { return l.ClickPrefix() + strconv.Itoa(n) }

// ClickPrefix is what all click links of the message begin with; the number of
// the link follows.
func (l *Links) ClickPrefix() string { return l.once(madeClick, PathClick, ForClick, l.hit(), "/") }

// Open is the address of the open pixel.
func (l *Links) Open() string { return l.once(madeOpen, PathOpen, ForOpen, l.hit(), OpenSuffix) }

// Unsubscribe is the page to end the topic, and the one-click address of RFC
// 8058. It works without end.
func (l *Links) Unsubscribe() string {
	return l.once(madeUnsubscribe, PathUnsubscribe, ForUnsubscribe, l.s, "")
}

// Preferences is the preference centre of the person. It works without end.
func (l *Links) Preferences() string {
	return l.once(madePreferences, PathPreferences, ForPreferences, l.s, "")
}

// View is the letter in a browser.
func (l *Links) View() string {
	return l.once(madeView, PathView, ForView, Subject{Run: l.s.Run, Contact: l.s.Contact}, "")
}

// Renew is the page to say again what the message is sent for, before it
// expires.
func (l *Links) Renew() string { return l.once(madeRenew, PathRequest, ForRenewal, l.s, "") }

func (l *Links) hit() Subject {
	if l.anonymous {
		return Subject{Run: l.s.Run}
	}
	return Subject{Run: l.s.Run, Contact: l.s.Contact}
}
