// Package webhook is a real small receiver of signed webhooks on loopback: it
// checks every signature with code of its own, keeps a journal of what it took
// and shows it on a page. A script gives it moods, by recipient and by attempt:
// any status, Retry-After, slow or endless answers, redirects, lost replies.
//
// It serves the demo, tests and benchmarks and holds a bounded number of
// messages. It is no receiver for production: it stores nothing, forwards
// nothing, and anyone who reaches its page may read it.
package webhook
