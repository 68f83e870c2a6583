// Package testkit opens what tests need for real: a store on SQLite in the
// test's own folder, and one on PostgreSQL in a schema of its own when
// RAPPORT_TEST_POSTGRES names a server.
//
// It imitates nothing, keeps nothing between two tests, and is imported by
// tests only.
package testkit
