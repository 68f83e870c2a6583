package app

import (
	"context"
	"net/url"

	"rapport"
	"rapport/channels"
)

// name is who writes, as people see it above the pages: the configured name,
// else the host they are on.
func (h *House) name() string {
	if h.Config.Name != "" {
		return h.Config.Name
	}
	if u, err := url.Parse(h.PublicURL()); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	return "Rapport"
}

// letterAgain renders the letter of a delivery once more, for the page that
// shows it in a browser.
func (h *House) letterAgain(ctx context.Context, runID, contact int64) (string, error) {
	run, err := h.Store.Run(ctx, runID)
	if err != nil {
		return "", err
	}
	d, err := h.Store.Delivered(ctx, runID, contact)
	if err != nil {
		return "", err
	}
	compose, err := h.open(ctx, run)
	if err != nil {
		return "", err
	}
	m, err := compose(ctx, d)
	if err != nil {
		return "", err
	}
	driver, err := h.Drivers.Driver(run.Driver)
	if err != nil {
		return "", err
	}
	for _, p := range driver.Parts {
		if p.Syntax == channels.HTML && m.Content[p.Name] != "" {
			return m.Content[p.Name], nil
		}
	}
	return "", rapport.NotFoundf("this message is none that a browser can show")
}
