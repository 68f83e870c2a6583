// Package requests keeps what people ask for through a public door and confirm
// from their own mailbox: to be subscribed, to be written to at another
// address, to see their data, to be erased.
//
// Asking changes nothing but a row that ends by itself; the answer is the same
// for everybody, so nobody learns who is known here. A link goes to the mailbox
// the request is about, at most once a day for each address and kind, and only
// the button behind it (a POST) makes the request true, once. What it then does
// is a handler's matter, one for each kind.
//
// The package refuses to act on a GET, to tell a known address from an unknown
// one, to put advertising into its letters, and to write to an address that
// its owner cannot free (see ADR 0027).
package requests
