package outbox

import "rapport/channels"

// Returned is what a report of non-delivery, which came back after a server had
// taken the message, does to the address: the same as the same words would have
// done during the conversation. A wrong address is suppressed at once; another
// refusal is a strike, and the second within a week suppresses; what may heal
// (a full mailbox, a time-out) or is not about the address (policy, reputation)
// does nothing to it.
func Returned(f channels.Failure) (suppress, strike bool) {
	switch f.Verdict {
	case channels.Rejected:
		return true, false
	case channels.Malformed:
		return false, f.Strike
	case channels.Temporary, channels.Throttled, channels.Broken, channels.Uncertain:
	}
	return false, false
}
