// Package templates turns written text and a person's data into the parts a
// channel carries. It reads template folders, checks them with sentences a
// writer understands, keeps revisions, and compiles each revision once into a
// Letter that many goroutines render.
//
// Values are escaped for the place they stand in without the author asking:
// the syntax of the driver's part decides. Links are rewritten for tracking and
// the open pixel is added when a revision is compiled, never per message.
//
// It does not choose who gets a letter, sign a link, send anything or know a
// driver by name; it reads no clock, file system, environment or network while
// rendering. A template can reach the data of its View and nothing else, and
// every render ends within its limits.
package templates
