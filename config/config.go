package config

import (
	"encoding/json"
	"slices"
	"time"

	"rapport/channels"
)

// Config is the whole configuration. The tags are the only list of settings:
// names, defaults and the reference in docs/settings.md are read from them.
type Config struct {
	Listen          string            `json:"listen" default:"127.0.0.1:8080" help:"Address of the API and the public pages, host:port; an empty host listens everywhere"`
	Admin           string            `json:"admin" default:"127.0.0.1:9090" help:"Address of metrics, profiles and the read-only report page; keep it private; off for none"`
	PublicURL       string            `json:"public_url" default:"" help:"Where recipients reach the public pages, https (http only on this machine); empty: the listen address when it is on this machine"`
	Name            string            `json:"name" default:"" help:"Who writes, as people know them; stands on the public pages; empty: the host of public_url"`
	Data            string            `json:"data" default:"./data" help:"Folder of the SQLite file, the keys and the spool"`
	Database        Address           `json:"database" default:"" help:"postgres:// address of the database; empty: SQLite in the data folder"`
	DatabaseFile    string            `json:"database_file,omitempty" default:"" help:"File that holds the address of the database"`
	Redis           Address           `json:"redis" default:"" help:"redis:// rediss:// redis-sentinel:// or redis-cluster:// address of the queue; empty: inside the process"`
	RedisFile       string            `json:"redis_file,omitempty" default:"" help:"File that holds the address of the queue"`
	SecretKeyFile   string            `json:"secret_key_file,omitempty" default:"" help:"File of the key that signs links; empty: made in the data folder at the first start, mode 0600"`
	Zone            string            `json:"zone" default:"UTC" help:"IANA time zone for people and schedules that name none"`
	Locale          string            `json:"locale" default:"en" help:"Language for people whose own is not known, like en or de-AT"`
	Tracking        string            `json:"tracking" default:"person" need:"person|aggregate|off" help:"Opens and clicks: person (by delivery), aggregate (counted, nobody named) or off"`
	TrackingBasis   string            `json:"tracking_basis" default:"consent" need:"consent|contract|soft_opt_in|legitimate_interest|legal_duty" help:"Ground of tracking: person: consent (only who said yes to the topic tracking), or a ground that is stated for everybody who has not said no"`
	TrackingReason  string            `json:"tracking_reason" default:"" help:"Why a ground other than consent holds, in words; stands in reports and in what people are given of their data"`
	TrackingWithout string            `json:"tracking_without" default:"aggregate" need:"aggregate|off" help:"Links of everybody whom tracking: person does not cover: aggregate (counted, nobody named) or off (as you wrote them)"`
	IP              string            `json:"ip" default:"short" need:"full|short|none" help:"What evidence of sign-ups and unsubscribes keeps of the network address: full, short (the network: /24, /48) or none; opens and clicks keep none"`
	Pages           Pages             `json:"pages"`
	Log             Log               `json:"log"`
	Retry           Retry             `json:"retry"`
	Stop            channels.Duration `json:"stop" default:"60s" help:"How long a stop waits for messages that are on the wire"`
	Limits          Limits            `json:"limits"`
	Topics          []Topic           `json:"topics"`
	Channels        []Channel         `json:"-"`
	Notify          []Notice          `json:"notify"`
	Requests        Requests          `json:"requests"`
	Consent         Consent           `json:"consent"`
	Forms           []Form            `json:"forms,omitempty"`
	Retention       Retention         `json:"retention"`
	Quiet           Quiet             `json:"quiet" help:"When people are left alone: {from: 21:00, to: 08:00, zone: recipient, all_day: [sun], calendar: recipient, spread: 10m, mode: shadow, channels: {NAME: off}, transactional: {...}}; holds marketing, and topics with quiet: on (docs/calendars.md)"`
	Caps            Caps              `json:"caps" help:"How many messages may reach one person: [{topics: marketing, most: 3, in: 7d, channels: all, over: hold}], or {mode: shadow, rules: [...]}; transactional messages are never held (docs/calendars.md)"`
	Calendars       Calendars         `json:"calendars"`
	Mailboxes       []Mailbox         `json:"mailboxes,omitempty"`
}

// Log is how the program talks to its operators.
type Log struct {
	Level  string `json:"level" default:"info" need:"debug|info|warn|error" help:"The least that is logged: debug, info, warn or error"`
	Format string `json:"format" default:"text" need:"text|json" help:"How a line looks: text or json"`
}

// Retry is how a message that could not be delivered for now is tried again:
// after First, then twice as long each time up to Longest, until Attempts are
// used up or the message expires.
type Retry struct {
	First    channels.Duration `json:"first" default:"1m" help:"Wait before the second try"`
	Longest  channels.Duration `json:"longest" default:"4h" help:"The wait doubles up to this"`
	Attempts int               `json:"attempts" default:"30" help:"Tries at most; expiry usually comes first"`
}

// Limits is how large things may be; what is larger is refused with a
// sentence.
type Limits struct {
	Message  Size `json:"message_bytes" default:"10MB" help:"One message with its attachments"`
	Template Size `json:"template_bytes" default:"1MB" help:"One template, all parts of one language"`
	Contact  Size `json:"contact_bytes" default:"64KB" help:"One contact with its attributes"`
}

// Topic is a purpose to write for; it is created or updated at start.
type Topic struct {
	Name     string            `json:"name" help:"Unique name"`
	Kind     string            `json:"kind" need:"marketing|transactional" help:"marketing (by permission) or transactional (belongs to a case of the person)"`
	Title    map[string]string `json:"title,omitempty" help:"What people read, by language"`
	Priority string            `json:"priority" default:"normal" need:"high|normal|low" help:"high, normal or low; for order and caps"`
	Quiet    string            `json:"quiet" default:"auto" need:"auto|on|off" help:"Whether quiet hours hold it: auto (marketing: yes, transactional: no), on or off"`
}

// Channel is a configured way to reach people.
type Channel struct {
	Name         string          `json:"name" help:"Unique name"`
	Driver       string          `json:"driver" help:"Kind of channel; rapport channels list shows them"`
	Rate         Rate            `json:"rate" help:"Messages in a time over all processes, like 50/s or 600/m; empty: as fast as the driver likes"`
	Domains      map[string]Rate `json:"domains" help:"Rates to receiving domains over all processes, like {example.com: 100/m}"`
	Warmup       Warmup          `json:"warmup" help:"How many messages may leave on each day of a sender that is new: {start: 2026-12-01, days: [50, 100, 500]} or {start, first, factor, last}; what one person waits for is counted and never waits"`
	Concurrency  int             `json:"concurrency" help:"Messages at once in a process; 0: as many as the driver likes"`
	DropsRepeats bool            `json:"drops_repeats" help:"The receiver drops a message whose key it has seen, so a doubtful one may be repeated"`
	ReplyTo      string          `json:"reply_to" help:"Where answers go"`
	Private      []string        `json:"private" help:"Internal hosts or networks this channel may reach, like 10.1.0.0/16"`

	// Raw is what the driver reads: its own settings, with the environment and
	// secret files already in. It holds secrets: never print it.
	Raw json.RawMessage `json:"-"`
}

// Notice says who of the operators is told what.
type Notice struct {
	Channel string   `json:"channel" help:"Name of the channel that carries it"`
	To      string   `json:"to" help:"Address to write to, as the channel's driver spells it"`
	Events  []string `json:"events,omitempty" help:"run_finished, run_held, channel_broken, complaints; empty: all"`
}

// Events lists what operators can be told: a run is over, a run was paused
// because it cannot go on, a channel waits for a person, many people call a
// run spam.
func Events() []string {
	return []string{"run_finished", "run_held", "channel_broken", "complaints"}
}

// Wants says whether the notice is for an event.
func (n Notice) Wants(event string) bool {
	return len(n.Events) == 0 || slices.Contains(n.Events, event)
}

// Env is what the house lends the channel when it is opened; now is the clock.
func (c Channel) Env(now func() time.Time) channels.Env {
	return channels.Env{Name: c.Name, ReplyTo: c.ReplyTo, Private: c.Private, Now: now}
}

// Workers is how many messages may be on their way at once, by the setting or
// else the driver's wish; at least one.
func (c Channel) Workers(d channels.Driver) int {
	if c.Concurrency > 0 {
		return c.Concurrency
	}
	return max(d.Traits.Concurrency, 1)
}

// Find returns the channel of that name.
func (c Config) Find(channel string) (Channel, bool) {
	for _, ch := range c.Channels {
		if ch.Name == channel {
			return ch, true
		}
	}
	return Channel{}, false
}

// Patience is how long a stop waits for messages on the wire.
func (c Config) Patience() time.Duration { return time.Duration(c.Stop) }
