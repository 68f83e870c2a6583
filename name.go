package rapport

import (
	"regexp"
	"strings"
)

// namePattern is the one rule for names of topics, channels, templates,
// campaigns and segments.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// CheckName refuses a name that could not be used wherever an ID is. The
// field names the input in the complaint.
func CheckName(field, name string) error {
	if namePattern.MatchString(name) {
		return nil
	}
	return Invalidf(field, "%q is not a name: use 1 to 64 lower-case letters, digits, - or _, beginning with a letter or digit", name)
}

// Unknown is the NotFound error for a name that does not exist; it lists the
// known ones, so that a slip of the pen is seen at once.
func Unknown(what, name string, known []string) *Error {
	if len(known) == 0 {
		return NotFoundf("there is no %s %q, and none exists yet", what, name)
	}
	const most = 20
	list := known
	more := ""
	if len(list) > most {
		list, more = list[:most], ", …"
	}
	return NotFoundf("there is no %s %q; known: %s%s", what, name, strings.Join(list, ", "), more)
}
