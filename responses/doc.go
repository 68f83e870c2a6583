// Package responses is what comes back: it signs the links of a message (Tokens,
// Links), takes the hits on them (Recorder), tells people from machines
// (Classify, Judge), ends a permission when somebody asks for it
// (Unsubscriber), and counts (Summary).
//
// It serves no page, opens no connection and reads no clock. It stores neither
// network addresses nor the user agent a hit came with, only the class of
// agent. It never guesses: a hit whose token is not signed by this
// installation is nobody's and is not recorded.
package responses
