package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"rapport/channels"
	"rapport/internal/secret"
)

// Settings is what the configuration says about a webhook channel.
type Settings struct {
	URL      string                   `json:"url" need:"yes" help:"address of the endpoint, https://shop.example.com/hooks/rapport"`
	Secret   secret.String            `json:"secret" need:"yes" help:"signing secret shared with the receiver: whsec_ and base64, or plain text of 16 to 512 octets"`
	Previous secret.String            `json:"previous_secret" help:"the secret before, while the receiver changes over: messages are signed with both"`
	Timeout  channels.Duration        `json:"timeout" help:"how long one attempt may take, 20s when not set, at most 5m"`
	Headers  map[string]secret.String `json:"headers" help:"further request headers, for example Authorization; their values are never shown"`
}

const (
	defaultTimeout = channels.Duration(20 * time.Second)
	maxTimeout     = channels.Duration(5 * time.Minute)
	minKey         = 16
	maxKey         = 512
	maxHeaders     = 20
	maxHeaderValue = 4 << 10
)

// Validate says what is wrong with the settings, each complaint with its key.
func (s Settings) Validate() error {
	var errs []error
	u, err := url.Parse(s.URL)
	switch {
	case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "http":
		// Not the parser's own words: they repeat the URL, which may be a secret.
		errs = append(errs, errors.New("url: write a whole address like https://shop.example.com/hooks/rapport"))
	case u.Fragment != "":
		errs = append(errs, errors.New("url: leave out what follows the #; it never reaches the server"))
	}
	if _, err := keyOf(s.Secret); err != nil {
		errs = append(errs, fmt.Errorf("secret: %w", err))
	}
	if _, err := keyOf(s.Previous); !s.Previous.Empty() && err != nil {
		errs = append(errs, fmt.Errorf("previous_secret: %w", err))
	}
	if s.Timeout < 0 || s.Timeout > maxTimeout {
		errs = append(errs, errors.New("timeout: write a time up to 5m"))
	}
	return errors.Join(append(errs, checkHeaders(s.Headers)...)...)
}

// ours lists the headers that the channel itself writes.
func ours() []string {
	return []string{
		"content-type", "content-length", "host", "user-agent", "connection", "transfer-encoding",
		"webhook-id", "webhook-timestamp", "webhook-signature", "idempotency-key", "te", "trailer", "upgrade", "expect",
	}
}

func checkHeaders(headers map[string]secret.String) []error {
	var errs []error
	if len(headers) > maxHeaders {
		errs = append(errs, fmt.Errorf("headers: at most %d are possible", maxHeaders))
	}
	for name, value := range headers {
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			errs = append(errs, fmt.Errorf("headers: %q is not the name of a header", name))
		case slices.Contains(ours(), strings.ToLower(name)):
			errs = append(errs, fmt.Errorf("headers: %s is written by the channel itself", name))
		case !httpguts.ValidHeaderFieldValue(value.Reveal()), len(value.Reveal()) > maxHeaderValue:
			errs = append(errs, fmt.Errorf("headers: the value of %s has a line break or is longer than %d octets", name, maxHeaderValue))
		}
	}
	return errs
}

// keyOf returns the signing key: what whsec_ encodes, or else the text itself.
func keyOf(s secret.String) ([]byte, error) {
	key := []byte(s.Reveal())
	if encoded, ok := strings.CutPrefix(s.Reveal(), "whsec_"); ok {
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, errors.New("what follows whsec_ is not base64")
		}
		key = decoded
	}
	if len(key) < minKey || len(key) > maxKey {
		return nil, fmt.Errorf("must be %d to %d octets", minKey, maxKey)
	}
	return key, nil
}
