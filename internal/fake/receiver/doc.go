// Package receiver is what the fake receivers that speak HTTP have in common: a
// server on loopback with a journal, a bounded box of what it took, moods that
// say what happens to a request, and pages that show the box. A receiver brings
// its protocol: how a request is read, what an answer looks like and how one
// message is drawn.
//
// It also keeps the one style sheet and the guard of all fakes' pages. It
// understands no message and no protocol, stores nothing on disk and asks for
// no password: whoever reaches a page may read it.
package receiver
