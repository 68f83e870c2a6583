// Package channeltest is the examination every channel sits. A driver's own
// test brings a Harness, which is the driver, its settings and a running
// provider that can be put into moods, and Run asks the questions that the
// rest of the house relies on: whether what was given is what arrived, whether
// permission is asked at the right moment, whether each kind of failure is
// judged with the right word, and whether anything is left behind.
//
// It examines behaviour only. It knows no driver and no provider, starts no
// server of its own, and does not measure speed. The examination replaces the
// default logger while it runs, so a test that calls Run is not parallel.
package channeltest
