// Package consent keeps who agreed to what: topics, an append-only ledger of
// entries with their evidence, the current answer derived from it, and the
// addresses nobody may write to.
//
// One pure function, Next, decides what an entry does to the current answer;
// another, Chain, ties the ledger together so that a changed line is found.
// Evidence stands apart from the lines and can be erased; a keyed hash in the
// line vouches for it while it exists.
//
// The package refuses to grant anything without a source, to let a grant
// overturn a "no", to change or delete a line, and to know contacts otherwise
// than by number. It sends nothing and plans nothing: the gate that reads the
// current answer stands in the outbox.
package consent
