// Command testreport runs go test and tells the result so that the last lines
// say what was not run and why. Its arguments are those of go test.
//
// With RAPPORT_TEST_STRICT=1 a test that was skipped for want of something
// fails the whole, because there everything is at hand. Tests that say they do
// not apply ("does not apply: …") are none of those.
//
// It judges no test and hides no output of one that failed.
package main
