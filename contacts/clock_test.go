package contacts_test

import "time"

func now() time.Time { return time.Now() }
