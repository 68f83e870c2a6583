package store_test

import (
	"testing"

	"rapport/store/storetest"
)

func TestInbox(t *testing.T) {
	onEach(t, storetest.Inbox)
}
