package store_test

import (
	"testing"

	"rapport/store/storetest"
)

func TestResponses(t *testing.T) {
	onEach(t, storetest.Responses)
}
