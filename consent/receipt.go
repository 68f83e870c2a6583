package consent

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// Receipts is a proof for machines: one receipt for each "yes", with the field
// names of the Kantara consent receipt (version 1.1), and beside it the whole
// record in the sections of ISO/IEC TS 27560. What was not recorded is left
// out; nothing is made up to fill a field.
type Receipts struct {
	MadeAt   time.Time `json:"made_at"`
	MadeBy   string    `json:"made_by,omitempty"`
	Head     string    `json:"ledger_head,omitempty"`
	Receipts []Receipt `json:"receipts"`
}

// Receipt is the receipt of one "yes".
type Receipt struct {
	Version          string              `json:"version"`
	Jurisdiction     string              `json:"jurisdiction,omitempty"`
	ConsentTimestamp int64               `json:"consentTimestamp"` // seconds since 1970, UTC
	CollectionMethod string              `json:"collectionMethod,omitempty"`
	ConsentReceiptID string              `json:"consentReceiptID"`
	Language         string              `json:"language,omitempty"`
	PIIPrincipalID   string              `json:"piiPrincipalId"`
	PIIControllers   []ReceiptController `json:"piiControllers,omitempty"`
	Services         []ReceiptService    `json:"services"`
	Record           ReceiptRecord       `json:"record"`
}

// ReceiptController is who is responsible.
type ReceiptController struct {
	PIIController string `json:"piiController"`
}

// ReceiptService is what somebody said yes to.
type ReceiptService struct {
	Service  string           `json:"service"`
	Purposes []ReceiptPurpose `json:"purposes"`
}

// ReceiptPurpose is a purpose with how it was permitted.
type ReceiptPurpose struct {
	Purpose     string   `json:"purpose"`
	ConsentType string   `json:"consentType"` // EXPLICIT, or IMPLICIT where the ground is another than consent
	PIICategory []string `json:"piiCategory,omitempty"`
	Termination string   `json:"termination"`
}

// ReceiptRecord is the record behind a receipt.
type ReceiptRecord struct {
	Header     RecordHeader     `json:"header"`
	Processing RecordProcessing `json:"pii_processing"`
	Parties    []RecordParty    `json:"party_identification,omitempty"`
	Events     []RecordEvent    `json:"events"`
}

// RecordHeader says which record of whom it is.
type RecordHeader struct {
	SchemaVersion  int    `json:"schema_version"`
	RecordID       string `json:"record_id"`
	PIIPrincipalID string `json:"pii_principal_id"`
}

// RecordProcessing is what was agreed to, and the notice that said so.
type RecordProcessing struct {
	PrivacyNotice    *NoticeRef `json:"privacy_notice,omitempty"`
	NoticeText       string     `json:"notice_text,omitempty"`
	Language         string     `json:"language,omitempty"`
	Purpose          string     `json:"purpose"`
	LawfulBasis      Basis      `json:"lawful_basis"`
	Categories       []string   `json:"pii_categories,omitempty"`
	Channel          string     `json:"channel"`
	Address          string     `json:"address,omitempty"`
	AddressGiven     string     `json:"address_as_given,omitempty"`
	CollectionMethod Method     `json:"collection_method,omitempty"`
	CollectionPoint  []string   `json:"collection_point,omitempty"`
	Jurisdiction     string     `json:"jurisdiction,omitempty"`
}

// RecordParty is somebody who takes part.
type RecordParty struct {
	Name string `json:"party_name"`
	Role string `json:"party_role"`
}

// RecordEvent is one line of the ledger about the same purpose.
type RecordEvent struct {
	EventTime  time.Time `json:"event_time"`
	Recorded   time.Time `json:"recorded_at"`
	EventState State     `json:"event_state"`
	Until      time.Time `json:"valid_until,omitzero"`
	Entity     string    `json:"entity_id,omitempty"`
	Clock      string    `json:"clock,omitempty"`
	IP         string    `json:"ip,omitempty"`
	Agent      string    `json:"agent,omitempty"`
	MessageID  string    `json:"confirmation_message_id,omitempty"`
	MailedAt   time.Time `json:"confirmation_sent_at,omitzero"`
	Source     string    `json:"source,omitempty"`
	Reference  string    `json:"reference,omitempty"`
	Entry      int64     `json:"entry"`
	Commitment string    `json:"commitment"`
	Seal       string    `json:"seal,omitempty"`
}

// Receipts turns a proof into receipts. The events of each run from its
// request to what ended it.
func (p ProofSheet) Receipts() Receipts {
	out := Receipts{MadeAt: p.MadeAt, MadeBy: p.MadeBy, Head: p.Head.Hash, Receipts: []Receipt{}}
	for i, d := range p.Declarations {
		if d.State.Answer() == Yes {
			out.Receipts = append(out.Receipts, p.receipt(i))
		}
	}
	return out
}

func (p ProofSheet) receipt(i int) Receipt {
	d := p.Declarations[i]
	var ev Evidence
	if d.Evidence != nil {
		ev = *d.Evidence
	}
	id := strconv.FormatInt(d.Entry, 10)
	r := Receipt{
		Version: "KI-CR-v1.1.0", Jurisdiction: ev.Jurisdiction, ConsentTimestamp: d.At.Unix(), CollectionMethod: string(ev.Method),
		ConsentReceiptID: id + "-" + d.Commitment, PIIPrincipalID: p.Subject.ID,
	}
	kind := "EXPLICIT"
	if d.Basis != ByConsent {
		kind = "IMPLICIT"
	}
	r.Services = []ReceiptService{{Service: d.Driver, Purposes: []ReceiptPurpose{{
		Purpose: d.Topic, ConsentType: kind, PIICategory: ev.Categories, Termination: until(d.Expires),
	}}}}
	r.Record = ReceiptRecord{
		Header: RecordHeader{SchemaVersion: d.Schema, RecordID: id, PIIPrincipalID: p.Subject.ID},
		Processing: RecordProcessing{
			PrivacyNotice: ev.Notice, Purpose: d.Topic, LawfulBasis: d.Basis, Categories: ev.Categories,
			Channel: cmp.Or(ev.Channel, d.Driver), Address: ev.Address, AddressGiven: cmp.Or(ev.Given, ev.Address), CollectionMethod: ev.Method,
			CollectionPoint: slices.DeleteFunc([]string{ev.Form, ev.URL, ev.Reference}, func(s string) bool { return s == "" }),
			Jurisdiction:    ev.Jurisdiction,
		},
		Events: p.events(i),
	}
	if d.Text != nil {
		r.Language = d.Text.Locale
		r.Record.Processing.Language, r.Record.Processing.NoticeText = d.Text.Locale, d.Text.Text
	}
	if ev.Controller != "" {
		r.PIIControllers = []ReceiptController{{ev.Controller}}
		r.Record.Parties = []RecordParty{{ev.Controller, "PII controller"}}
	}
	return r
}

func until(end time.Time) string {
	if end.IsZero() {
		return "until it is withdrawn"
	}
	return "until it is withdrawn, at the latest " + end.Format(time.RFC3339)
}

// events are the lines from the request that a declaration answers to the one
// that came after it, of the same driver and topic.
func (p ProofSheet) events(i int) (out []RecordEvent) {
	d := p.Declarations[i]
	over := false
	for _, x := range p.Declarations {
		if x.Driver != d.Driver || x.Topic != d.Topic || over {
			continue
		}
		if x.Entry < d.Entry && x.Entry != d.Asked {
			continue
		}
		over = x.Entry > d.Entry
		var ev Evidence
		if x.Evidence != nil {
			ev = *x.Evidence
		}
		e := RecordEvent{
			EventTime: x.At, Recorded: x.RecordedAt, EventState: x.State, Until: x.Expires, Entity: ev.Actor, Clock: ev.Clock, IP: ev.IP, Agent: ev.Agent,
			MessageID: ev.MessageID, MailedAt: ev.MailedAt, Source: ev.Source, Reference: ev.Reference, Entry: x.Entry, Commitment: x.Commitment,
		}
		if x.Seal != nil {
			e.Seal = x.Seal.Hash
		}
		out = append(out, e)
	}
	return out
}
