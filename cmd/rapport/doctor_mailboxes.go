package main

import (
	"context"

	"rapport/internal/app"
)

// mailboxes opens every mailbox that answers come back to, and reads nothing.
func (d *doctor) mailboxes(ctx context.Context, h *app.House) {
	for _, m := range h.Config.Mailboxes {
		check := "mailbox " + m.Name
		one, cancel := context.WithTimeout(ctx, patience)
		err := h.CheckMailbox(one, m)
		cancel()
		if err != nil {
			d.say(check, broken, "correct it under mailboxes in the configuration, or see whether its server runs", "%v", err)
			continue
		}
		d.say(check, fine, "", "can be opened (nothing was read)")
	}
}
