package consent

import (
	"slices"
	"time"
)

// ownersOnly are the reasons that only the owner of the address can take back.
func ownersOnly() []string { return []string{Complaint, Unsubscribed, Gone} }

// Releases says whether this entry takes a suppression of its address back: it
// must be a dated act of the person that is newer than the suppression.
//
//   - Confirmed from the mailbox takes back what the person had said, what an
//     operator had decided and an erasure; and, when a letter of ours was sent
//     there before, also that the address does not work: it just did.
//   - Granted anew over a "no" takes back what the person had said and what an
//     operator had decided.
//   - What a file says takes back only what a file said.
//
// What the law or a contract forbids, and the addresses of tasks, are nobody's
// to release but an operator's.
func (e Entry) Releases(x Suppression) bool {
	if e.Undated || e.Basis != ByConsent || !e.At.After(x.At) || !slices.Contains(e.releasable(), x.Reason) {
		return false
	}
	return e.Method != ByImport || x.Reference != "" && e.State == Confirmed
}

func (e Entry) releasable() []string {
	said := []string{Complaint, Unsubscribed, Manual}
	switch {
	case e.State == Confirmed && (e.MessageID != "" || !e.MailedAt.IsZero() || e.Method == ByImport):
		return append(said, Gone, HardBounce, Strike)
	case e.State == Confirmed:
		return append(said, Gone)
	case e.State == Granted && e.Resubscribe:
		return said
	}
	return nil
}

// MayRelease says whether an entry could release any suppression at all, so
// that nobody looks for some otherwise.
func (e Entry) MayRelease() bool { return !e.Undated && len(e.releasable()) > 0 }

// agreed says whether a line is an act by which its person agreed to be
// written to at an address: dated, and no claim of a file.
func (r Record) agreed(value string) bool {
	ev, ok := r.Proof()
	return ok && r.State.Answer() == Yes && r.Basis == ByConsent && ev.Address == value &&
		ev.Clock != FileClock && ev.Method != ByImport
}

// Dated says whether a line tells when the person said so, and not when a file
// was read. Lines of before such times were told apart count as dated when
// they were written down more than a day later.
func (r Record) Dated() bool {
	ev, ok := r.Proof()
	switch {
	case ok && ev.Clock != "":
		return ev.Clock != FileClock
	case r.State == Confirmed:
		return true
	}
	return r.RecordedAt.Sub(r.At) > 24*time.Hour
}
