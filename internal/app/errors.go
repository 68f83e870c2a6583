package app

import "rapport"

// unavailable says that something the house stands on cannot be used.
func unavailable(err error, what string) error {
	return rapport.Unavailablef(err, "%s cannot be used: %v", what, err)
}
