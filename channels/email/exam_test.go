package email

import (
	"strings"
	"sync/atomic"
	"testing"

	"rapport/channels/channeltest"
	"rapport/internal/fake/smtpd"
)

// TestChannel sits the examination of all channels, over TLS and with a
// password, against a server that can be put into every mood.
func TestChannel(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Harness {
		var mood atomic.Uint32
		moods := map[channeltest.Mood]smtpd.Script{
			channeltest.Throttle:    smtpd.Reply(421, "4.7.28", "too many letters, try again in 5 minutes").At(smtpd.Mail),
			channeltest.Refuse:      smtpd.Reply(550, "5.1.1", "no such user").At(smtpd.Rcpt),
			channeltest.Spoil:       smtpd.Reply(554, "5.6.0", "this letter is not acceptable").At(smtpd.Dot),
			channeltest.Break:       smtpd.Reply(535, "5.7.8", "credentials not valid").At(smtpd.Auth, smtpd.Mail),
			channeltest.Unavailable: smtpd.Reply(451, "4.3.0", "not now").At(smtpd.Mail),
			channeltest.LoseReply:   smtpd.AcceptThenClose().At(smtpd.Dot),
			channeltest.Stall:       smtpd.Stall().At(smtpd.Dot),
		}
		srv := start(t, smtpd.Options{
			TLS: smtpd.StartTLS, Users: map[string]string{"shop": "s3cret-word"}, AuthRequired: true, AuthAfterTLS: true,
			Script: func(step smtpd.Step) smtpd.Action {
				if script := moods[channeltest.Mood(mood.Load())]; script != nil {
					return script(step)
				}
				return smtpd.Action{}
			},
		})
		s := settings(srv)
		s.CAFile = caFile(t, srv)
		return channeltest.Harness{
			Driver:    Driver,
			Settings:  raw(t, s, "smtp://shop:s3cret-word@"+srv.Addr()),
			To:        "anna@example.com",
			Content:   map[string]string{"subject": "For you: " + channeltest.Text, "html": "<p>" + channeltest.Text + "</p>", "text": channeltest.Text},
			Set:       func(m channeltest.Mood) { mood.Store(uint32(m)) },
			Got:       func() []channeltest.Received { return received(t, srv) },
			Secrets:   []string{"s3cret-word"},
			TellsWhen: true,
		}
	})
}

func received(t *testing.T, srv *smtpd.Server) []channeltest.Received {
	t.Helper()
	var out []channeltest.Received
	for _, m := range srv.Messages() {
		env := parse(t, m.Source)
		key, _, _ := strings.Cut(strings.Trim(m.MessageID, "<>"), "@")
		out = append(out, channeltest.Received{
			Key: key, To: m.EnvelopeTo[0], Raw: m.Source,
			Content: map[string]string{"subject": env.GetHeader("Subject"), "html": env.HTML, "text": env.Text},
		})
	}
	return out
}
