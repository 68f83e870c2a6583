package config_test

import (
	"slices"
	"testing"
	"time"

	"rapport/config"
)

func TestWarmupPlans(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		plan config.Warmup
		days []int64
	}{
		{config.Warmup{}, nil},
		{config.Warmup{Start: "2026-12-01", Days: []int64{50, 100}}, []int64{50, 100}},
		{config.Warmup{Start: "2026-12-01", First: 50, Factor: 2, Last: 500}, []int64{50, 100, 200, 400}},
		{config.Warmup{Start: "2026-12-01", First: 50, Factor: 1.5, Last: 120}, []int64{50, 75, 112}},
	} {
		start, days, err := test.plan.Plan(berlin)
		if err != nil || !slices.Equal(days, test.days) {
			t.Errorf("%+v: %v, %v", test.plan, days, err)
		}
		if len(days) > 0 && start.Format(time.RFC3339) != "2026-12-01T12:00:00+01:00" {
			t.Errorf("%+v begins %s", test.plan, start)
		}
	}
}
