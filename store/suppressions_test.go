package store_test

import (
	"testing"

	"rapport/store/storetest"
)

func TestSuppressions(t *testing.T) {
	onEach(t, storetest.Suppressions)
}
