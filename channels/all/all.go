package all

import (
	"rapport/channels"
	"rapport/channels/email"
	"rapport/channels/slack"
	"rapport/channels/webhook"
)

// Drivers is every channel this binary can speak.
func Drivers() []channels.Driver {
	return []channels.Driver{
		email.Driver,
		slack.Driver,
		webhook.Driver,
	}
}
