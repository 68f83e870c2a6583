package app

import (
	"context"
	"errors"
	"net/http"

	"rapport/channels"
	"rapport/internal/lifecycle"
	"rapport/responses"
	"rapport/web/inbound"
)

// calls are the channels of the configuration whose providers call us.
type calls struct {
	open    []channels.Channel
	by      map[[2]string]channels.Listener // driver, channel
	handler http.Handler
}

// calling is the part that opens what listens, into c. A house without such
// channels has no door for calls.
func (h *House) calling(sink responses.Sink, c *calls) lifecycle.Part {
	return lifecycle.Part{
		Name:  "calls of providers",
		Start: func(ctx context.Context) error { return h.listen(ctx, sink, c) },
		Stop:  func(context.Context) error { return c.close() },
	}
}

func (h *House) listen(ctx context.Context, sink responses.Sink, c *calls) error {
	c.by = map[[2]string]channels.Listener{}
	for _, conf := range h.Config.Channels {
		if driver, err := h.Drivers.Driver(conf.Driver); err != nil || !driver.Calls {
			continue
		}
		ch, _, err := h.OpenChannel(ctx, conf.Name)
		if err != nil {
			return errors.Join(err, c.close())
		}
		c.open = append(c.open, ch)
		if l, ok := ch.(channels.Listener); ok && l.Listens() {
			c.by[[2]string{conf.Driver, conf.Name}] = l
		}
	}
	if len(c.by) == 0 {
		return nil
	}
	c.handler = inbound.New(inbound.Options{
		Channel: func(driver, channel string) (channels.Listener, bool) {
			l, ok := c.by[[2]string{driver, channel}]
			return l, ok
		},
		Tokens: h.tokens, Leaver: responses.NewUnsubscriber(h.withdraw, sink, h.now, h.Log), Log: h.Log,
	})
	return nil
}

func (c *calls) close() error {
	var errs []error
	for _, ch := range c.open {
		errs = append(errs, ch.Close())
	}
	return errors.Join(errs...)
}
