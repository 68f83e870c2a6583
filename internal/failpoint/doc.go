// Package failpoint names the moments of a message's walk at which a test
// build can be killed: after_plan, after_enqueue, after_claim, after_intent,
// after_rcpt, after_data_sent, after_accept_before_settle, after_settle, and
// "in_render ADDRESS" while the message to one address is written; in_prune and
// after_prune when what is old goes. And it holds the clock that a test build can
// be given.
//
// In an ordinary build At does nothing and Clock is the clock it was given.
// Built with the tag failpoints, the process ends by SIGKILL at the n-th
// passage of the moment that RAPPORT_FAILPOINT=name[:n] names, and its clock is
// ahead of the machine's by what the file says that RAPPORT_CLOCK names. It
// decides nothing else and no room may behave differently because of it.
package failpoint
