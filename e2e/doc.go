// Package e2e examines the whole: the real binary, started, killed and stopped
// as processes, with real databases, a real Redis and real receivers whose own
// record is the judge.
//
// The rig (rig_*_test.go) builds the binary once, writes a configuration, makes
// up a crowd of people from a seed and runs commands; the oracle compares whom
// the receivers took a message for with what the program says. A test that
// waits, waits for a signal or asks the program; no result depends on how fast
// the machine is.
//
// It imports no room of the house and calls no service: what cannot be done
// through a command, a page or SQL is not examined here. Everything it starts
// listens on loopback and is ended by its process number.
//
// The runs for the record are behind the build tag load; see load_test.go.
package e2e
