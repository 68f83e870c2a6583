package app

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"rapport/web"
	"rapport/web/report"
)

// reportRuns is how many runs the report page shows.
const reportRuns = 20

// admin is the listener for operators.
func (h *House) admin(meters *prometheus.Registry) (http.Handler, error) {
	page, err := report.New(report.Options{Name: "Rapport", Data: h.reportData, Log: h.Log})
	if err != nil {
		return nil, err
	}
	return web.Admin(web.AdminOptions{
		Report: page, Checks: h.checks(), Gather: meters, Random: h.random, Now: h.now, Log: h.Log,
	})
}

// reportData reads what the report page shows.
func (h *House) reportData(ctx context.Context) (report.Data, error) {
	data := report.Data{At: h.now()}
	var err error
	if data.Holds, err = h.Store.Holds(ctx, data.At); err != nil {
		return data, err
	}
	if data.Slow, err = h.Store.Slows(ctx); err != nil {
		return data, err
	}
	runs, err := h.Store.RecentRuns(ctx, reportRuns)
	if err != nil {
		return data, err
	}
	for _, r := range runs {
		run := report.Run{Account: r.Account, Title: r.Title}
		if run.Back, err = h.Store.ResponseSummary(ctx, r.ID); err != nil {
			return data, err
		}
		if run.Targets, err = h.Store.RunLinks(ctx, r.ID); err != nil {
			return data, err
		}
		if run.Tracking, err = h.trackedIn(ctx, r.Account); err != nil {
			return data, err
		}
		data.Runs = append(data.Runs, run)
	}
	return data, nil
}
