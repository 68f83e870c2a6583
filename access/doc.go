// Package access keeps who looked at, exported or changed personal data: one
// line for each act, added and never changed.
//
// A line holds who acted, when, what was done, and to whom or what by number or
// public ID. So it survives the erasure of the person it is about and still
// says nothing about them.
//
// The package refuses to hold values: an address, a name or an attribute never
// stands in a line, only numbers, counts and names of fields. Reading or
// changing the data themselves is for other rooms.
package access
