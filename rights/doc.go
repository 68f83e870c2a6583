// Package rights keeps what the law gives to people: to see what is kept and
// take it along, to have it corrected, to object, to be restricted, to be
// forgotten, and that nothing is kept for longer than it is needed.
//
// An archive is written while it is read and lies nowhere. An erasure ends with
// a certificate of numbers. Retention removes by age and leaves every account
// as exact as it was.
//
// The package refuses to keep a value of somebody who is erased, to write
// values into the audit log, to remove anything of a person who is restricted,
// and to undo an objection without an act of the person.
package rights
