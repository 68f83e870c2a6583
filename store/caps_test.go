package store_test

import (
	"testing"

	"rapport/store/storetest"
)

func TestCaps(t *testing.T) {
	onEach(t, storetest.Caps)
}
