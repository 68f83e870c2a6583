// Package web is the front door: the HTTP server with its limits, the guard
// that every request passes, the answers to errors, the status page, health,
// readiness and metrics. What is behind the door stands in packages of its own:
// web/public for recipients, web/report for operators.
//
// It writes no SQL and decides nothing about people. Metrics, profiles, the
// report and the details of readiness are on the admin listener only; the
// public one tells strangers whether it lives, and nothing else.
package web
