// Package slack is the channel that writes to people and conversations of a
// Slack workspace over its Web API.
//
// An address is a user, by ID or by the e-mail address of the workspace, or a
// conversation, by ID. Users are looked up and direct conversations opened
// before permission is asked, and remembered within bounds. What Slack says no
// to is told in words. The package retries nothing, splits no message that is
// too long, and listens to nothing but the button that ends its messages, whose
// calls it believes only when they are signed, fresh and new.
package slack
