package store_test

import (
	"testing"

	"rapport/internal/testkit"
	"rapport/store"
	"rapport/store/storetest"
)

func TestCampaigns(t *testing.T) {
	onEach(t, storetest.Campaigns)
}

// TestPlanningGoesOnAfterACrash: the process ends between two pages, again and
// again, and everybody is planned once.
func TestPlanningGoesOnAfterACrash(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, o store.Options) {
		storetest.Interrupted(t, func() (*store.Store, error) { return store.Open(t.Context(), o) })
	})
}
