package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"rapport/channels"
	"rapport/internal/secret"
	"rapport/internal/strictyaml"
)

// What stands for a secret that is printed; in a URL it must be one that a
// URL may hold.
const (
	hidden      = "[secret]"
	hiddenInURL = "xxxxx"
)

// secretWord finds the keys and query parameters that hold secrets where no
// driver says so.
var secretWord = regexp.MustCompile(`(?i)pass|secret|token|key|credential|auth|sig`)

// Address is the URL of a server. Printed as JSON or YAML it shows everything
// but the secrets in it, otherwise nothing; Reveal returns it whole.
type Address struct{ secret.String }

// MarshalJSON writes the address without its secrets.
func (a Address) MarshalJSON() ([]byte, error) {
	return json.Marshal(withoutSecrets(a.Reveal()))
}

// withoutSecrets hides the password and telling parameters of a URL; a text
// that only looks like one is hidden altogether.
func withoutSecrets(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return hidden
	}
	query := u.Query()
	for name, values := range query {
		if secretWord.MatchString(name) {
			for i := range values {
				values[i] = hiddenInURL
			}
		}
	}
	plain := u.RawQuery
	if len(query) > 0 && query.Encode() != u.Query().Encode() {
		plain = query.Encode()
	}
	u.RawQuery = plain
	if _, set := u.User.Password(); set {
		u.User = url.UserPassword(u.User.Username(), hiddenInURL)
	}
	return u.String()
}

// printed is the shape of the printed configuration.
type printed struct {
	Config
	Channels []members `json:"channels"`
}

// members is an object that keeps the order of its keys.
type members []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes the object in its order.
func (m members) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, one := range m {
		value, err := json.Marshal(one.value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, quoted(one.key)...), ':'), value...)
	}
	return append(b, '}'), nil
}

// Print writes the effective configuration as YAML, with every secret hidden:
// those the drivers name, passwords inside addresses, and keys that sound like
// secrets. Drivers that are not known (nil) name none.
func Print(c Config, drivers *channels.Registry) ([]byte, error) {
	out := printed{Config: c}
	for _, ch := range c.Channels {
		shown, err := printChannel(ch, drivers)
		if err != nil {
			return nil, fmt.Errorf("print channel %s: %w", ch.Name, err)
		}
		out.Channels = append(out.Channels, shown)
	}
	return strictyaml.Encode(out)
}

// printChannel lists what the house reads, as far as it is set, and then what
// the driver reads.
func printChannel(c Channel, drivers *channels.Registry) (members, error) {
	var out members
	for _, s := range leaves(reflect.ValueOf(&c).Elem(), "") {
		if !s.value.IsZero() {
			out = append(out, member{s.path, s.value.Interface()})
		}
	}
	settings := map[string]any{}
	if len(c.Raw) > 0 {
		if err := json.Unmarshal(c.Raw, &settings); err != nil {
			return nil, err
		}
	}
	secrets := secretFields(c.Driver, drivers)
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		value := hide(key, settings[key])
		if secrets[key] {
			value = hidden
		}
		out = append(out, member{key, value})
	}
	return out, nil
}

func secretFields(driver string, drivers *channels.Registry) map[string]bool {
	out := map[string]bool{}
	if drivers == nil {
		return out
	}
	d, err := drivers.Driver(driver)
	if err != nil {
		return out // an unknown driver is config check's complaint, not a reason to print nothing
	}
	for _, f := range d.Fields {
		out[f.Name] = f.Secret
	}
	return out
}

// hide goes through a value and hides what its key or its form gives away.
func hide(key string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k, inner := range v {
			v[k] = hide(k, inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = hide(key, inner)
		}
	case string:
		if v != "" && secretWord.MatchString(key) && !strings.HasSuffix(key, "_file") {
			return hidden
		}
		return withoutSecrets(v)
	}
	return value
}
