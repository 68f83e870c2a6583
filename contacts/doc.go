// Package contacts keeps people: their addresses of several kinds, typed
// attributes, locale and time zone; it brings them in from CSV files, lets
// them out again, and keeps the segments that say who belongs together.
//
// An import streams: it reads a file of any size in a bounded amount of memory,
// goes on where it was broken off, lists bad rows with line and reason while
// the rest goes in, and changes nothing when the same file comes twice. Book
// is the pure heart of it: what a row means, given what is there.
//
// The package refuses to guess who somebody is (an address belongs to one
// contact), to decide about consent (rows carry what a file says about it, the
// ledger judges), to know a kind of address by name, and to send anything.
package contacts
