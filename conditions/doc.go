// Package conditions is the condition language of the house: the part of CEL
// (Common Expression Language) in which people say who belongs to a segment.
//
// [Check] parses a condition, checks its names and types against a [Schema]
// and answers with a [Condition] or with one sentence that points at the
// place. A condition has two readings made from the same checked tree:
//
//   - [Condition.Eval] runs it in memory over one [Person];
//   - [Condition.Tree] is the same condition as a small closed tree of plain
//     Go values ([Node]), from which the store writes SQL.
//
// # The three truth values
//
// A value that is missing (no such attribute, address or column, a division by
// zero, a number too large to calculate with) is an error to CEL and NULL to
// SQL. Both are the same third truth value: "no" && unknown is "no", "yes" ||
// unknown is "yes", everything else with unknown is unknown, the negation of
// unknown is unknown, and a person about whom the whole condition is unknown
// does not match. has(contact.x) is never unknown; nor are consent, opened,
// clicked and received, which are false before anything happened, and event,
// which is 0.
//
// # The language
//
//   - contact.<attribute>, contact.<address kind> (the primary address) and the
//     reserved contact.id, .external_id, .locale, .time_zone and .created_at.
//     A name that is no identifier stands in brackets: contact["Straße"].
//   - && || ! == != < <= > >= ?: in, has(), lists of plain values.
//   - Text: size(), contains, startsWith, endsWith, lowerAscii. Text is
//     compared by code point; size counts code points.
//   - Numbers are IEEE 754 doubles, whole ones too: + - * /.
//   - Moments: now, timestamp("2026-01-01T09:00:00Z"), duration("720h"),
//   - and - of them, in whole microseconds.
//   - Dates: date("2026-01-31"). Where a date meets a moment it counts as
//     midnight UTC of its day; two of the contact's own cannot meet like this.
//   - anniversary(contact.birthday) is true when today has the month and day
//     of that date; 29 February is celebrated on 28 February in a year without
//     one. days_until(contact.voucher_until) is the number of days from today,
//     negative when past. Today is the day in the contact's time zone, or in
//     the zone given as a second argument.
//   - consent("email", "offers"), opened("campaign"), clicked("campaign"),
//     received("campaign"), the last three optionally with a duration: within
//     that time before now, its first moment included. Opens and clicks are
//     those of people, not of machines.
//   - event("order.placed") is how many events of that name happened to the
//     contact up to now, with a duration within that time before now, its first
//     moment included: event("order.placed", duration("2160h")) >= 2.
//
// # Limits
//
// A source has at most 16 KiB, 500 parts and 40 levels, a list 1,000 values.
// In a calculation a number attribute larger than 2^53, or smaller than 2^-40
// but not zero, is missing, and a calculation that could leave the range of
// doubles even so is refused when it is checked: then no engine can overflow.
//
// # What it refuses
//
// It opens nothing and remembers nothing about people; who the person is and
// what the clock says are arguments. There are no loops, no maps, no regular
// expressions (engines differ about them) and no null. Structured (JSON)
// attributes can only be asked for with has(). What an event
// brought with it, its data, is not known to a condition of a segment.
package conditions
