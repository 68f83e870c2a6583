package slack

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"rapport/internal/secret"
)

// Settings is what the configuration says about a Slack channel.
type Settings struct {
	Token  secret.String `json:"token" need:"yes" help:"bot token of the app (xoxb-…) with the scopes chat:write, im:write, users:read and users:read.email"`
	APIURL string        `json:"api_url" help:"address of the Web API, https://slack.com/api/ when not set"`
	Sender string        `json:"sender" help:"name to show instead of the app's own; needs the scope chat:write.customize"`
	Icon   string        `json:"icon" help:"picture to show instead of the app's own: an emoji like :tada: or an https address; needs the scope chat:write.customize"`

	SigningSecret secret.String `json:"signing_secret" help:"signing secret of the app: marketing messages then carry a button that ends them; the app's interactivity request URL must be PUBLIC_URL/in/slack/CHANNEL"`
	StopLabel     string        `json:"stop_label" help:"words on that button, at most 75 characters; default: Stop these messages"`
	StopAnswer    string        `json:"stop_answer" help:"what the person who pressed it is told; default: You will get no more of these messages."`
	AnswerHosts   []string      `json:"answer_hosts" help:"hosts that may be told that a button has worked; default: hooks.slack.com"`
}

var emojiName = regexp.MustCompile(`^:[^:\s]+:$`)

const (
	maxSender = 80
	maxLabel  = 75 // limit of a button's text
)

// Validate says what is wrong with the settings, each complaint with its key.
func (s Settings) Validate() error {
	var errs []error
	if text := s.Token.Reveal(); strings.IndexFunc(text, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsSpace(r) || unicode.IsControl(r) }) >= 0 {
		errs = append(errs, errors.New("token: a token has no blanks and no special characters; it looks like xoxb-…"))
	}
	if s.APIURL != "" && !isURL(s.APIURL, "https", "http") {
		errs = append(errs, errors.New("api_url: write a whole address like https://slack.com/api/"))
	}
	if len(s.Sender) > maxSender || strings.IndexFunc(s.Sender, unicode.IsControl) >= 0 {
		errs = append(errs, errors.New("sender: a name of one line, at most 80 octets"))
	}
	if s.Icon != "" && !emojiName.MatchString(s.Icon) && !isURL(s.Icon, "https") {
		errs = append(errs, errors.New("icon: write an emoji like :tada: or an https address"))
	}
	if text := s.SigningSecret.Reveal(); strings.IndexFunc(text, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsSpace(r) || unicode.IsControl(r) }) >= 0 {
		errs = append(errs, errors.New("signing_secret: has no blanks and no special characters; it stands on the app's page of basic information"))
	}
	if utf8.RuneCountInString(s.StopLabel) > maxLabel || strings.IndexFunc(s.StopLabel, unicode.IsControl) >= 0 {
		errs = append(errs, errors.New("stop_label: a text of one line, at most 75 characters"))
	}
	for i, h := range s.AnswerHosts {
		if u, err := url.Parse("https://" + h); err != nil || h == "" || u.Host != h || u.Port() != "" && !isLoopback(u.Hostname()) {
			errs = append(errs, fmt.Errorf("answer_hosts[%d]: write a host like hooks.slack.com", i))
		}
	}
	return errors.Join(errs...)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func isURL(text string, schemes ...string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	return slices.Contains(schemes, u.Scheme)
}

// endpoint returns the Web API's address with the slash the library expects.
func (s Settings) endpoint() string {
	if s.APIURL == "" {
		return "https://slack.com/api/"
	}
	return strings.TrimSuffix(s.APIURL, "/") + "/"
}
