package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"rapport/internal/lifecycle"
	"rapport/responses"
	"rapport/web"
	"rapport/web/public"
)

// Addresses is where a running house listens.
type Addresses struct {
	Public string // host:port
	Admin  string // host:port; empty: off
}

// Serve runs the public pages, the scheduler and the workers in this process
// until ctx is done, then stops in order: no new requests, no new deliveries,
// what is on the wire ends, outcomes are written. ready, if not nil, is told
// when everything is up.
func (h *House) Serve(ctx context.Context, ready func(Addresses)) error {
	return h.run(ctx, ready, true)
}

// Work runs the workers only, as many processes as wanted on one PostgreSQL
// and Redis.
func (h *House) Work(ctx context.Context, ready func(Addresses)) error {
	if err := h.grown(); err != nil {
		return err
	}
	return h.run(ctx, ready, false)
}

func (h *House) run(ctx context.Context, ready func(Addresses), pages bool) error {
	meters := newMeters()
	e, err := h.newEngine(ctx, meters)
	if err != nil {
		return err
	}
	recorder := responses.NewRecorder(h.Store, h.Log)
	if err := web.ObserveResponses(meters, recorder.Stats); err != nil {
		return errors.Join(err, e.close())
	}
	var at Addresses
	var started bool
	err = lifecycle.Run(ctx, func(_ context.Context, fail lifecycle.Fail) []lifecycle.Part {
		started = true
		parts := []lifecycle.Part{{Name: "recorder", Start: recorder.Start, Stop: recorder.Stop}}
		parts = append(parts, e.parts()...)
		if pages {
			in := &calls{}
			parts = append(append(parts, h.mailboxes(recorder, meters)...), h.calling(recorder, in))
			parts = append(parts, listener("public pages", h.Config.Listen, &at.Public, h.Log, fail, func() (http.Handler, error) {
				return h.site(recorder, meters, in.handler)
			}))
		}
		if h.Config.Admin != "" && h.Config.Admin != "off" {
			parts = append(parts, listener("admin", h.Config.Admin, &at.Admin, h.Log, fail, func() (http.Handler, error) {
				return h.admin(meters)
			}))
		}
		parts = append(parts, lifecycle.Part{Name: "ready", Start: func(ctx context.Context) error {
			h.Log.InfoContext(ctx, "up", slog.String("public", at.Public), slog.String("admin", at.Admin), slog.String("database", h.Store.Engine()))
			if ready != nil {
				ready(at)
			}
			return nil
		}})
		return parts
	})
	if !started {
		err = errors.Join(err, e.close())
	}
	return err
}

// listener is a part that answers HTTP on an address.
func listener(name, address string, at *string, log *slog.Logger, fail lifecycle.Fail, handler func() (http.Handler, error)) lifecycle.Part {
	var server *web.Server
	return lifecycle.Part{
		Name: name,
		Start: func(ctx context.Context) error {
			h, err := handler()
			if err != nil {
				return err
			}
			if server, err = web.Listen(ctx, address, h, log); err != nil {
				return err
			}
			*at = server.Addr()
			server.Start(func(err error) { fail(err) })
			return nil
		},
		Stop: func(ctx context.Context) error { return server.Stop(ctx) },
	}
}

func newMeters() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// site is the public listener.
func (h *House) site(sink responses.Sink, meters *prometheus.Registry, in http.Handler) (http.Handler, error) {
	look, err := theme(h.Config.Pages)
	if err != nil {
		return nil, err
	}
	doors, err := h.doors(context.Background())
	if err != nil {
		return nil, err
	}
	centre, err := h.centre(sink)
	if err != nil {
		return nil, err
	}
	pages, err := public.New(public.Options{
		Doors: doors,
		Name:  h.name(), Locale: h.Config.Locale, Tokens: h.tokens, Sink: sink,
		Leaver: responses.NewUnsubscriber(h.withdraw, sink, h.now, h.Log),
		Centre: centre, Theme: look, Texts: textsFolder(h.Config), PublicURL: h.PublicURL(),
		Links: h.Store.RunLinks, Render: h.letterAgain, Now: h.now, Log: h.Log,
	})
	if err != nil {
		return nil, err
	}
	if err := h.putPageWordings(context.Background(), pages); err != nil {
		return nil, err
	}
	return web.Site(web.Options{
		Name: "Rapport", Version: h.Version, HTTPS: strings.HasPrefix(h.PublicURL(), "https://"),
		Pages: pages, Inbound: in, Checks: []web.Check{h.database()}, Registry: meters, Random: h.random, Now: h.now, Log: h.Log,
	})
}

// database is all that the public pages need: people can unsubscribe while the
// queue is away.
func (h *House) database() web.Check { return web.Check{Name: "database", Ask: h.Store.Ping} }

// checks is what operators are told of this process.
func (h *House) checks() []web.Check {
	checks := []web.Check{h.database(), {Name: "restore", Ask: h.restored}, {Name: "disk", Ask: h.disk}}
	if w := h.worker.Load(); w != nil {
		checks = append(checks, web.Check{Name: "queue", Ask: w.Ready}, web.Check{Name: "writes", Ask: w.Writes})
	}
	return append(checks, h.read()...)
}

// followEvery is how often a command that waits looks again.
const followEvery = 200 * time.Millisecond

// Follow waits until done says so. When nobody is sending from an embedded
// database this process sends meanwhile; otherwise it only looks.
func (h *House) Follow(ctx context.Context, done func(ctx context.Context) (bool, error)) error {
	if h.Store.Engine() != "sqlite" {
		return follow(ctx, done)
	}
	taken, err := h.Store.Sender()
	if err != nil || taken {
		return errors.Join(err, follow(ctx, done))
	}
	e, err := h.newEngine(ctx, nil)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	started, ended := false, make(chan error, 1)
	err = lifecycle.Run(ctx, func(running context.Context, _ lifecycle.Fail) []lifecycle.Part {
		return append(e.parts(), lifecycle.Part{Name: "command", Start: func(context.Context) error {
			started = true
			go func() {
				ended <- follow(running, done)
				stop()
			}()
			return nil
		}})
	})
	if started { // it ends at the latest with what Run was given
		err = errors.Join(<-ended, err)
	}
	return err
}

func follow(ctx context.Context, done func(ctx context.Context) (bool, error)) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if ok, err := done(ctx); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
