package store_test

import (
	"testing"

	"rapport/store"
	"rapport/store/storetest"
)

func TestRequests(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *store.Store) { storetest.Requests(t, open(t)) })
}
