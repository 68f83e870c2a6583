// Package webhook is the channel that posts signed JSON to one endpoint, by
// the rules of Standard Webhooks: an id that is the same on every attempt, a
// timestamp and an HMAC signature in the headers, two hundreds mean taken,
// redirects are mistakes, and Retry-After is honoured.
//
// The endpoint belongs to the channel; a contact's address of this kind is an
// opaque key inside the body, so no answer of the endpoint condemns an
// address. The package does not retry, does not receive, and reaches private
// networks only where the configuration allows it.
package webhook
