package inbound

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"rapport/channels"
	"rapport/responses"
)

// Path is what the addresses of the calls begin with; the driver's name and
// the channel's follow.
const Path = "/in/"

// Leaver ends permissions; *responses.Unsubscriber does.
type Leaver interface {
	Leave(ctx context.Context, w responses.Withdrawal) error
}

// Options is what the door is made of.
type Options struct {
	// Channel finds a listening channel by its driver's name and its own.
	Channel func(driver, channel string) (channels.Listener, bool)
	Tokens  *responses.Tokens
	Leaver  Leaver
	Log     *slog.Logger
}

const (
	maxBody       = 256 << 10        // octets of a call
	leavePatience = 10 * time.Second // a withdrawal
	tellPatience  = 1500 * time.Millisecond
)

// New makes the handler of all calls.
func New(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path+"{driver}/{channel}", func(w http.ResponseWriter, r *http.Request) { o.hear(w, r) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w) })
	return mux
}

// refuse is the answer to everything that is not a call of a provider of ours.
func refuse(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusUnauthorized)
}

func (o Options) hear(w http.ResponseWriter, r *http.Request) {
	// Read first: how long a stranger's body is waited for tells nothing either.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	ch, ok := o.Channel(r.PathValue("driver"), r.PathValue("channel"))
	if err != nil || !ok {
		refuse(w)
		return
	}
	pressed, err := ch.Hear(r.Header, body)
	if err != nil {
		if !errors.Is(err, channels.ErrForeign) {
			o.Log.WarnContext(r.Context(), "a call could not be read", slog.String("channel", r.PathValue("channel")), slog.Any("error", err))
		}
		refuse(w)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if pressed.Zero() {
		return
	}
	if !o.end(r.Context(), r.PathValue("driver"), pressed) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable) // the person sees that it has not worked
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), tellPatience)
	defer cancel()
	if err := ch.Confirm(ctx, pressed); err != nil {
		// The end stands; only the person was not told.
		o.Log.WarnContext(ctx, "somebody who pressed a button could not be told that it has worked", slog.String("channel", r.PathValue("channel")), slog.Any("error", err))
	}
}

// end ends what the button's token names. Whoever presses a button with a token
// that is not ours is told the same.
func (o Options) end(ctx context.Context, driver string, p channels.Pressed) bool {
	s, err := o.Tokens.Read(responses.ForUnsubscribe, p.Token)
	if err != nil || s.Driver != driver {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leavePatience)
	defer cancel()
	const most = 100
	err = o.Leaver.Leave(ctx, responses.Withdrawal{Subject: s, Source: "button", Method: "chat", Reference: p.By[:min(len(p.By), most)]})
	if err != nil {
		o.Log.WarnContext(ctx, "an end could not be written down", slog.Any("error", err))
	}
	return err == nil
}
