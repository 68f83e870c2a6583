// Package campaigns is what people do: they write a campaign down in a file,
// aim it at an audience, check it, start it now or at its time, watch it,
// pause it, and read what came of it. Sending one message to one person is a
// run of one.
//
// A run freezes what it was started with: conditions, template revision, reply
// address, window. It is planned in pages, each one transaction, and goes on
// where it stood after a crash. Two schedulers that race make one run.
//
// Times of day are wall-clock times of a zone. One that does not exist on the
// day (clocks go forward) is the first moment after the gap; one that exists
// twice (clocks go back) is the first, once. A recurring campaign that missed
// its time runs the newest missed one if that is less than half a period old,
// else it waits for the next. A one-time campaign that is late runs once if
// what it sends would not have expired. A run that comes due while another of
// the same campaign is going is skipped with a note.
//
// With zone: recipient a run begins when its wall time first comes in a time
// zone that contacts have when it is put on the calendar, and each delivery
// waits for that time of its own. Whoever turns up later with a zone further
// east, or whose time was over at the start, is late: written to at once, or
// with late: skip not at all if it is over by more than five minutes.
//
// The package opens no connection, renders nothing by itself, touches no
// queue, decides no fate of a delivery (outbox does) and reads no clock.
package campaigns
