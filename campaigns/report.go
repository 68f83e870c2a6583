package campaigns

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"rapport/outbox"
)

// Filter chooses deliveries; what is empty does not narrow.
type Filter struct {
	Campaign string // name or UID
	Run      string // UID
	Contact  int64
	Kind     string // of address, with Address
	Address  string // canonical
	State    outbox.State
	Reason   outbox.Reason
	Running  int64 // number of a run
	After    int64 // delivery number: the next page
	Limit    int
}

// Delivery is a delivery as people see it.
type Delivery struct {
	Number     int64         `json:"-"`
	ID         string        `json:"id"`
	Campaign   string        `json:"campaign"`
	Run        string        `json:"run"`
	Channel    string        `json:"channel"`
	Topic      string        `json:"topic"`
	Contact    string        `json:"contact"` // ID; empty: erased
	ContactNo  int64         `json:"-"`
	ExternalID string        `json:"external_id,omitempty"`
	Address    string        `json:"address,omitempty"`
	State      outbox.State  `json:"state"`
	Reason     outbox.Reason `json:"reason,omitempty"`
	Attempts   int           `json:"attempts"`
	NotBefore  *time.Time    `json:"not_before"`
	ExpiresAt  *time.Time    `json:"expires_at"`
	Code       string        `json:"code,omitempty"` // provider's
	ProviderID string        `json:"provider_id,omitempty"`
	Server     string        `json:"server,omitempty"`
	Entry      int64         `json:"consent_entry,omitempty"` // of the ledger, that the gate relied on last; 0: it never passed
	UpdatedAt  time.Time     `json:"updated_at"`
}

// Attempt is one try that ended otherwise than sent at the first.
type Attempt struct {
	At      time.Time     `json:"at"`
	Verdict string        `json:"verdict"`
	Reason  outbox.Reason `json:"reason,omitempty"`
	Code    string        `json:"code,omitempty"`
	Detail  string        `json:"detail,omitempty"`
	Server  string        `json:"server,omitempty"`
}

// Reaction is what came back from a person.
type Reaction struct {
	Kind    string    `json:"kind"`
	Link    int64     `json:"link,omitempty"`
	Machine bool      `json:"machine,omitempty"`
	N       int64     `json:"n"`
	First   time.Time `json:"first"`
}

// Detail is one delivery with its story.
type Detail struct {
	Delivery
	Revision  int64      `json:"revision"` // number of the template's revision
	Tries     []Attempt  `json:"tries"`
	Reactions []Reaction `json:"responses"`
}

// NotPlanned is a person of an audience who was not planned.
type NotPlanned struct {
	Number     int64         `json:"-"`
	Contact    string        `json:"contact"`
	ExternalID string        `json:"external_id,omitempty"`
	Reason     outbox.Reason `json:"reason"`
}

// Responded counts one kind of response to a run.
type Responded struct {
	Kind    string `json:"kind"`
	Link    int64  `json:"link,omitempty"` // number, of clicks
	URL     string `json:"url,omitempty"`
	Machine bool   `json:"machine"`
	N       int64  `json:"n"`
	People  int64  `json:"people"`
}

// Report is what came of a run.
type Report struct {
	Account   outbox.Account `json:"account"`
	Responses []Responded    `json:"responses"` // without links
	Links     []Responded    `json:"links"`
	Tracking  Tracked        `json:"tracking"`
}

// Deliveries lists deliveries by number.
func (s *Service) Deliveries(ctx context.Context, f Filter) ([]Delivery, error) {
	f.Limit = page(f.Limit)
	list, err := s.reports.Deliveries(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return list, nil
}

// NotPlanned lists people who were not planned in a run (the newest, or the
// one that is named), by number after the given one.
func (s *Service) NotPlanned(ctx context.Context, ref, run string, reason outbox.Reason, after int64, limit int) ([]NotPlanned, error) {
	r, err := s.newest(ctx, ref, run)
	if err != nil {
		return nil, err
	}
	list, err := s.reports.NotPlanned(ctx, r.ID, reason, after, page(limit))
	if err != nil {
		return nil, fmt.Errorf("list who was not planned: %w", err)
	}
	return list, nil
}

// Report says what came of a run (the newest, or the one that is named).
func (s *Service) Report(ctx context.Context, ref, run string) (Report, error) {
	r, err := s.newest(ctx, ref, run)
	if err != nil {
		return Report{}, err
	}
	out := Report{Responses: []Responded{}, Links: []Responded{}}
	if out.Account, err = s.reports.Account(ctx, r.UID); err != nil {
		return out, err
	}
	if out.Tracking, err = s.Tracked(ctx, r); err != nil {
		return out, err
	}
	list, err := s.reports.Responses(ctx, r.ID)
	if err != nil {
		return out, fmt.Errorf("count the responses to %s: %w", r.Name, err)
	}
	rev, err := s.reports.Revision(ctx, r.Revision)
	if err != nil {
		return out, err
	}
	for _, x := range list {
		if x.Kind != clicked {
			out.Responses = append(out.Responses, x)
			continue
		}
		x.URL, _ = rev.Link(int(x.Link))
		out.Links = append(out.Links, x)
	}
	return out, nil
}

// Kinds of responses that reports know by name.
const (
	opened  = "opened"
	clicked = "clicked"
)

// WritePeople writes one row a person of a run as CSV: those with a delivery,
// then those who were not planned. It returns how many rows.
func (s *Service) WritePeople(ctx context.Context, w io.Writer, ref, run string) (int, error) {
	r, err := s.newest(ctx, ref, run)
	if err != nil {
		return 0, err
	}
	out := csv.NewWriter(w)
	rows := 0
	write := func(cells ...string) error {
		for i := range cells {
			cells[i] = safe(cells[i])
		}
		rows++
		return out.Write(cells)
	}
	err = out.Write([]string{"delivery", "contact", "external_id", "address", "state", "reason", "attempts", "code", "updated_at", "opened", "clicked", "opened_by_machine", "clicked_by_machine", "other"})
	if err != nil {
		return 0, fmt.Errorf("write the report: %w", err)
	}
	if err := s.peopleRows(ctx, r.ID, write); err != nil {
		return rows, err
	}
	for after := int64(0); ; {
		list, err := s.reports.NotPlanned(ctx, r.ID, "", after, maxPage)
		if err != nil {
			return rows, fmt.Errorf("list who was not planned: %w", err)
		}
		for _, p := range list {
			after = p.Number
			if err := write("", p.Contact, p.ExternalID, "", "not_planned", string(p.Reason), "", "", "", "", "", "", "", ""); err != nil {
				return rows, fmt.Errorf("write the report: %w", err)
			}
		}
		if len(list) < maxPage {
			break
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return rows, fmt.Errorf("write the report: %w", err)
	}
	return rows, nil
}

func (s *Service) peopleRows(ctx context.Context, run int64, write func(...string) error) error {
	for after := int64(0); ; {
		list, err := s.reports.Deliveries(ctx, Filter{Running: run, After: after, Limit: maxPage})
		if err != nil {
			return fmt.Errorf("list deliveries: %w", err)
		}
		ids := make([]int64, len(list))
		for i, d := range list {
			ids[i], after = d.ContactNo, d.Number
		}
		back, err := s.reports.Reactions(ctx, run, ids)
		if err != nil {
			return fmt.Errorf("read responses: %w", err)
		}
		for _, d := range list {
			cells := []string{d.ID, d.Contact, d.ExternalID, d.Address, string(d.State), string(d.Reason), strconv.Itoa(d.Attempts), d.Code, d.UpdatedAt.Format(time.RFC3339)}
			if err := write(append(cells, reactions(back[d.ContactNo])...)...); err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
		}
		if len(list) < maxPage {
			return nil
		}
	}
}

// reactions are the last cells of a person's row.
func reactions(list []Reaction) []string {
	var opens, clicks, machineOpens, machineClicks int64
	var other []string
	for _, r := range list {
		switch {
		case r.Kind == opened && r.Machine:
			machineOpens += r.N
		case r.Kind == opened:
			opens += r.N
		case r.Kind == clicked && r.Machine:
			machineClicks += r.N
		case r.Kind == clicked:
			clicks += r.N
		default:
			other = append(other, r.Kind)
		}
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{number(opens), number(clicks), number(machineOpens), number(machineClicks), strings.Join(other, " ")}
}

// WriteLinks writes one row a link of a run as CSV. It returns how many rows.
func (s *Service) WriteLinks(ctx context.Context, w io.Writer, ref, run string) (int, error) {
	r, err := s.Report(ctx, ref, run)
	if err != nil {
		return 0, err
	}
	out := csv.NewWriter(w)
	if err := out.Write([]string{"link", "url", "by", "clicks", "people"}); err != nil {
		return 0, fmt.Errorf("write the report: %w", err)
	}
	for _, l := range r.Links {
		by := "human"
		if l.Machine {
			by = "machine"
		}
		if err := out.Write([]string{strconv.FormatInt(l.Link, 10), safe(l.URL), by, strconv.FormatInt(l.N, 10), strconv.FormatInt(l.People, 10)}); err != nil {
			return 0, fmt.Errorf("write the report: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return 0, fmt.Errorf("write the report: %w", err)
	}
	return len(r.Links), nil
}

// safe keeps a spreadsheet from taking a cell for a formula.
func safe(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// Finished lists runs that ended and nobody was told about; each is handed to
// one caller only.
func (s *Service) Finished(ctx context.Context) ([]outbox.Account, error) {
	list, err := s.notes.UntoldRuns(ctx, maxPage)
	if err != nil {
		return nil, fmt.Errorf("look for finished runs: %w", err)
	}
	var out []outbox.Account
	for _, r := range list {
		mine, err := s.notes.TellRun(ctx, r.ID, s.moment())
		if err != nil {
			return out, fmt.Errorf("note that somebody is told: %w", err)
		}
		if !mine {
			continue
		}
		a, err := s.reports.Account(ctx, r.UID)
		if err != nil {
			return out, err
		}
		out = append(out, a)
	}
	return out, nil
}

// Held lists holds that nobody was told about; each is handed to one caller
// only.
func (s *Service) Held(ctx context.Context) ([]outbox.Hold, error) {
	list, err := s.notes.UntoldHolds(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for held channels: %w", err)
	}
	var out []outbox.Hold
	for _, h := range list {
		mine, err := s.notes.TellHold(ctx, h, s.moment())
		if err != nil {
			return out, fmt.Errorf("note that somebody is told: %w", err)
		}
		if mine {
			out = append(out, h)
		}
	}
	return out, nil
}
