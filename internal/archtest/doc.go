// Package archtest holds the drawing of the house as a test: who may import
// whom, who keeps which dependency, where a driver may be called by its name,
// where the clock may be read, and that the pages which describe all this tell
// the truth. The tables are in table_test.go; a new package is one line there.
//
// It has no code of its own and nothing imports it.
package archtest
