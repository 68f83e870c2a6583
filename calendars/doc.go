// Package calendars knows days off: which dates are holidays where, by rules in
// data files, and which weekdays rest. A file is YAML; each calendar and each
// day of those that come with the program names the public law it rests on and
// where it was read. What nobody has checked is marked, and off until somebody
// puts in a file of their own.
//
// It answers for dates, not for moments: time zones are the caller's. It reads
// no clock, opens no file and knows nobody who is written to.
package calendars
