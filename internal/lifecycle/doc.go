// Package lifecycle starts the parts of a program in order and stops them in
// reverse, only those that had started, each within its own grace.
//
// It restarts nothing, knows no part, catches no signal and reads no clock
// but that of contexts. A part that ends by itself says so through Fail.
package lifecycle
