// Package throttle counts how often something may happen to each of many: so
// many at once, then one in so long. A Limit is kept in memory and bounded; it
// guards against floods and is no account of anything, which a restart forgets.
//
// It waits for nobody, and it does not judge who is who: Network only says
// which network an address belongs to.
package throttle
