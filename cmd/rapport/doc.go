// Command rapport is the command line of the house: each command reads its
// flags, calls the same service that the other doors call, in this process, and
// prints what came back, as a table for people or as JSON.
//
// It decides nothing about people or messages, keeps no state between two
// calls, and talks to no running server except where a command says so.
package main
