// Package channels says what it means to reach a person: a Channel carries a
// Message to one address and answers with a Receipt or a Failure; a Driver is
// the code of a kind of channel, described as data, and a Registry is the set
// of drivers in this binary.
//
// It opens no connection and knows no driver by name. A driver is a folder of
// its own that every other room reads as data, so adding one touches only its
// folder and the list in channels/all.
package channels
