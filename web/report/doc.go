// Package report is the read-only page for operators: every recent run with
// its account by state and reason, how it went on, what came back, and which
// channels are held. The same as JSON is at report.json.
//
// It changes nothing, names no recipient, needs no script and keeps only the
// samples that its plots are drawn from.
package report
