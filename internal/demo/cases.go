package demo

import "math/rand/v2"

// thousand is how many people share one pattern of special cases: every
// thousand has exactly the numbers below, scattered over it.
const thousand = 1000

// How many of a thousand people are special, by what they are special in. The
// cases of one group exclude each other.
const (
	// Permission to write, for each of the three channels on its own.
	sharePending   = 30
	shareWithdrawn = 40
	shareNoConsent = 80
	shareUntracked = 300 // of those who want mails: not to be watched reading them

	// The mailbox.
	shareNoEmail    = 15
	shareSuppressed = 20 // hard bounces, complaints and notes of a person
	shareGreylisted = 30 // refused at the first try
	shareUnknown    = 12 // refused for ever
	shareLostReply  = 3  // taken, and the connection cut before the answer
	shareCut        = 2  // the connection cut before the letter was taken
	shareUTF8       = 10 // a mailbox name that is not ASCII
	shareIDN        = 10 // a domain that is not ASCII

	// The chat.
	shareChat        = 250 // who is in the workspace at all
	shareChatUnknown = 12  // the workspace has not heard of them
	shareChatLost    = 2
	shareChatSlow    = 3 // of the first thousand only: each holds the whole channel for a second

	// The shop's endpoint.
	shareHookLater   = 20 // 500 at the first try
	shareHookInvalid = 8  // 400 for ever
	shareHookLost    = 2

	// The person.
	shareNoFirstName = 50
	shareEmoji       = 20
	shareLongName    = 10
	shareNoLocale    = 20
)

// Marks stand in the addresses of special people, so that the little servers
// know them and a reader of the pages sees why.
const (
	markLater   = "+later"
	markUnknown = "+unknown"
	markLost    = "+lost"
	markCut     = "+cut"
	markSlow    = "+slow"
	markInvalid = "+invalid"
)

// Orders, in each of which a thousand people stand in a line of its own; a group
// of cases that exclude each other takes its shares from the front of one.
const (
	orderMail = iota
	orderMailConsent
	orderChat
	orderChatConsent
	orderHook
	orderHookConsent
	orderName
	orderLocale
	orderTracking
	orders
)

// lines shuffles the orders. Each is a permutation, so shares are exact.
func lines(seed uint64) (out [orders][]int) {
	for i := range out {
		out[i] = rand.New(rand.NewPCG(seed, uint64(i))).Perm(thousand) //nolint:gosec // invention needs no secrecy
	}
	return out
}

// place is where person i stands in an order.
func (c *Crowd) place(i, order int) int { return c.lines[order][i%thousand] }

// pick says which of the shares a place falls into, -1 for none.
func pick(place int, shares ...int) int {
	for i, s := range shares {
		if place < s {
			return i
		}
		place -= s
	}
	return -1
}

// consentOf is the answer of somebody at a place.
func consentOf(place int) string {
	switch pick(place, sharePending, shareWithdrawn, shareNoConsent) {
	case 0:
		return "pending"
	case 1:
		return "withdrawn"
	case 2:
		return ""
	}
	return "granted"
}
