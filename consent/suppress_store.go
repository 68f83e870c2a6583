package consent

import (
	"context"
	"time"
)

// SuppressionStore keeps the addresses nobody may write to.
type SuppressionStore interface {
	// Suppress adds suppressions and returns how many are new. What is
	// suppressed already keeps its first reason, unless the new one is harder
	// to take back; of two alike the later time counts. It waits for whoever is
	// just asking the gate about the person with that address.
	Suppress(ctx context.Context, list []Suppression) (int, error)
	// Unsuppress takes off a suppression that was read; false when it is gone,
	// or has become another one.
	Unsuppress(ctx context.Context, x Suppression) (bool, error)
	// Suppressions lists at most limit suppressions after the given kind and
	// hash, in that order.
	Suppressions(ctx context.Context, kind, hash string, limit int) ([]Suppression, error)
	// Suppressed finds one suppression.
	Suppressed(ctx context.Context, kind, hash string) (Suppression, bool, error)
	// ActsSince returns the lines of the ledger, with evidence, about whoever
	// has an address now, of acts after a moment.
	ActsSince(ctx context.Context, kind, value string, after time.Time) ([]Record, error)
}

// DomainStore keeps the receiving domains nobody may write to.
type DomainStore interface {
	// SuppressDomains adds domains and returns how many are new. One that is
	// there already keeps its reason and is widened only: to what is below it,
	// and to the later end (no end is the latest). It waits for whoever is just
	// asking the gate, so that nothing leaves for them when it returns.
	SuppressDomains(ctx context.Context, list []SuppressedDomain) (int, error)
	// UnsuppressDomain takes a domain off; false when it was not suppressed.
	UnsuppressDomain(ctx context.Context, kind, domain string) (bool, error)
	// SuppressedDomains lists at most limit domains after the given kind and
	// domain, in that order.
	SuppressedDomains(ctx context.Context, kind, domain string, limit int) ([]SuppressedDomain, error)
	// DomainOf finds what forbids the domain of a canonical address, exactly
	// as the gate does: the domain itself before one above it.
	DomainOf(ctx context.Context, kind, value string) (SuppressedDomain, bool, error)
	// EndDomains takes off what has come to its end and returns how many.
	EndDomains(ctx context.Context, now time.Time) (int, error)
}

// DomainSeparator stands before the domain in every kind of address that has
// one. The gate's statements know no other.
const DomainSeparator = "@"

// Suppression is an address nobody may write to. Value may be empty while the
// keyed Hash stays.
type Suppression struct {
	Kind   string    `json:"kind"`
	Hash   string    `json:"hash"`
	Value  string    `json:"value,omitempty"`
	Reason string    `json:"reason"`
	Detail string    `json:"detail,omitempty"`
	Actor  string    `json:"actor,omitempty"`
	At     time.Time `json:"at"` // when it happened
	// Reference is the file and line it came from; empty: it is our own.
	Reference string `json:"reference,omitempty"`
	// RecordedAt is when it was written down.
	RecordedAt time.Time `json:"recorded_at"`
}

// SuppressedDomain is a receiving domain nobody may write to. It names no
// person and stands in plain words.
type SuppressedDomain struct {
	Kind       string    `json:"kind"`
	Domain     string    `json:"domain"`     // canonical, as addresses have it
	Subdomains bool      `json:"subdomains"` // everything below it too
	Reason     string    `json:"reason"`
	Detail     string    `json:"detail,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	At         time.Time `json:"at"`
	Expires    time.Time `json:"expires,omitzero"` // zero: it has no end
}

// The reasons of suppressions. The list is closed: reports count by it.
const (
	HardBounce   = "hard_bounce"      // the address does not exist
	Strike       = "strike"           // refused twice within a week
	Complaint    = "complaint"        // its owner called us spam
	Unsubscribed = "unsubscribed_all" // its owner wants nothing at all
	Manual       = "manual"           // a person of ours decided so
	Legal        = "legal"            // a court, an authority or a contract says so
	RoleAccount  = "role_account"     // it belongs to a task and not to a person, like postmaster@
	Gone         = "erased"           // its owner was erased
)

// Reasons lists the reasons of suppressions.
func Reasons() []string {
	return []string{HardBounce, Strike, Complaint, Unsubscribed, Manual, Legal, RoleAccount, Gone}
}

// PersonalReasons lists the reasons that lie in what a person said or in what
// was decided about them, and not in how one address works: such a suppression
// goes with the person to a new address.
func PersonalReasons() []string { return []string{Complaint, Unsubscribed, Manual, Legal} }
