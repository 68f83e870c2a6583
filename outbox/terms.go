package outbox

import (
	"encoding/json"
	"fmt"
	"time"
)

// Terms is what a run lays down for all its deliveries, frozen at its start.
type Terms struct {
	ReplyTo  string      `json:"reply_to,omitempty"`
	Tracking string      `json:"tracking,omitempty"`        // "person", "aggregate", "off"; empty: the configured one
	Basis    string      `json:"tracking_basis,omitempty"`  // of "person", as it was when the run began
	Reason   string      `json:"tracking_reason,omitempty"` // why a basis other than consent held
	Window   *WindowSpec `json:"window,omitempty"`
	Test     bool        `json:"test,omitempty"` // a marked copy outside every account
}

// WindowSpec is a send window as people write it.
type WindowSpec struct {
	Days []string `json:"days,omitempty" yaml:"days"` // "mon", "mon-fri"; none: every day
	From string   `json:"from" yaml:"from"`           // "09:00"
	To   string   `json:"to" yaml:"to"`               // "18:00", later than From
	Zone string   `json:"zone,omitempty" yaml:"zone"` // IANA name; "recipient" or empty: each one's own

	Calendar string `json:"calendar,omitempty" yaml:"calendar"` // on whose days off it stays shut
}

// Parse checks the window and makes it ready to be asked.
func (w WindowSpec) Parse() (*Window, error) {
	days, err := ParseDays(w.Days)
	if err != nil {
		return nil, fmt.Errorf("days: %w", err)
	}
	out := &Window{Days: days, Calendar: w.Calendar}
	if out.From, err = clock(w.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if out.To, err = clock(w.To); err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	if out.To <= out.From {
		return nil, fmt.Errorf("the window closes at %s, which is not after %s when it opens", w.To, w.From)
	}
	if w.Zone != "" && w.Zone != "recipient" {
		if out.Zone, err = time.LoadLocation(w.Zone); err != nil {
			return nil, fmt.Errorf("zone: %q is not a time zone; write one like Europe/Berlin, or recipient", w.Zone)
		}
	}
	return out, nil
}

func clock(text string) (time.Duration, error) {
	if text == "24:00" {
		return 24 * time.Hour, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time of day; write it like 09:00", text)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// ReadTerms decodes what a run row holds, with its window ready to be asked.
func ReadTerms(text string) (Terms, *Window, error) {
	var t Terms
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return t, nil, fmt.Errorf("read the terms of a run: %w", err)
	}
	if t.Window == nil {
		return t, nil, nil
	}
	w, err := t.Window.Parse()
	if err != nil {
		return t, nil, fmt.Errorf("read the window of a run: %w", err)
	}
	return t, w, nil
}
