// Package storetest is the examination that a store sits on every engine: what
// the rooms promise of their stores, asked of a real database through the
// rooms' own services.
//
// It imitates nothing and knows no engine; opening one is the caller's part.
package storetest
