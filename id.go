package rapport

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// NewUID makes a UUIDv7 (RFC 9562) from the given source of randomness: the
// public ID of contacts, campaigns, runs and templates. Inside the house rows
// are known by integers.
func NewUID(random io.Reader) (string, error) {
	id, err := uuid.NewV7FromReader(random)
	if err != nil {
		return "", fmt.Errorf("make an ID: %w", err)
	}
	return id.String(), nil
}

// DeliveryID is the public ID of the delivery of a run to a contact, made of
// their two numbers. It is stable over every attempt and is what goes out as
// Message-ID, webhook-id or client reference.
func DeliveryID(run, contact int64) string {
	return "d" + strconv.FormatInt(run, 36) + "-" + strconv.FormatInt(contact, 36)
}

// ParseDeliveryID reads back what DeliveryID wrote.
func ParseDeliveryID(id string) (run, contact int64, err error) {
	rest, ok := strings.CutPrefix(id, "d")
	a, b, found := strings.Cut(rest, "-")
	if !ok || !found {
		return 0, 0, Invalidf("delivery", "%q is not a delivery ID; they look like d1a-2b", id)
	}
	run, errA := strconv.ParseInt(a, 36, 64)
	contact, errB := strconv.ParseInt(b, 36, 64)
	if errors.Join(errA, errB) != nil || run < 0 || contact < 0 {
		return 0, 0, Invalidf("delivery", "%q is not a delivery ID; they look like d1a-2b", id)
	}
	return run, contact, nil
}
