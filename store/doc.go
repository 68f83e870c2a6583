// Package store keeps everything in SQLite or PostgreSQL with one set of
// statements. Each room that asks for something declares an interface; the
// methods here are facts in one transaction ("claim up to n of this batch"),
// so no transaction ever crosses an interface.
//
// It makes no decision: where a row's fate depends on what it reads, it asks a
// pure function of the room (outbox.Admit, consent.Next …). The few true
// differences between the engines are one struct, dialect.
//
// A word in double braces inside a statement is spelt per engine:
//
//	{{id}}          an integer primary key that counts by itself
//	{{ever id}}     such a key whose numbers are never given out twice
//	{{json}}        the type of a JSON column
//	{{json $1}}     a parameter that becomes JSON
//	{{text c.x}}    a JSON column as text
//	{{each $1}}     the elements of a JSON array parameter as rows e(value)
//	{{skip locked}} row locks that step over what others hold
//	{{share k}}     row locks that let others read and nobody write
//	{{keep c}}      row locks that only keep rows from being removed
//	{{lock d}}      row locks that keep everybody else from writing
//	{{least a, b}}  the smaller of two values
package store
