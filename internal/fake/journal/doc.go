// Package journal is the receiver's own record of what it took: the oracle of
// the tests. The real little servers of internal/fake (mail, Slack, webhook)
// write one entry for each recipient of each message, and a test compares these
// entries with what the product says it has sent.
//
// It counts exactly for the whole life of a journal, even when it keeps only
// the latest entries in memory. It can also write every entry as one JSON line
// to a file, so that the record outlives the process.
//
// It refuses to judge: it knows nothing of campaigns, holds no bodies (only
// their SHA-256), never changes or removes an entry from its file, and does not
// load an older file into its counts (Read does that, apart).
package journal
