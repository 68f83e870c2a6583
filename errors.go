package rapport

import (
	"errors"
	"fmt"
)

// Kind says what class of trouble an error is, so that every door can answer
// in its own way: a status, a page or an exit code.
type Kind uint8

// The kinds of error. Internal is the zero value: whatever nobody classified.
const (
	Internal Kind = iota
	Invalid
	NotFound
	Conflict
	Denied
	Unavailable
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Internal:
		return "internal"
	case Invalid:
		return "invalid"
	case NotFound:
		return "not_found"
	case Conflict:
		return "conflict"
	case Denied:
		return "denied"
	case Unavailable:
		return "unavailable"
	}
	return "internal"
}

// ExitCode is the process exit code for the kind, as documented for the
// command line: 1 internal, 2 invalid, 3 not found, 4 conflict, 5 denied,
// 6 unavailable.
func (k Kind) ExitCode() int { return int(k) + 1 }

// Error is an error a person may see. Msg is one sentence that says what is
// wrong, where, and what to do. Field names the input it is about, when there
// is one. Err, when set, is the cause, for the log only.
type Error struct {
	Kind  Kind
	Field string
	Msg   string
	Err   error
}

// Error returns the sentence, with the field before it.
func (e *Error) Error() string {
	if e.Field != "" {
		return e.Field + ": " + e.Msg
	}
	return e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf reads the kind out of any error; an unclassified one is Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Invalidf is an Invalid error about a field (which may be empty).
func Invalidf(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Field: field, Msg: fmt.Sprintf(format, args...)}
}

// NotFoundf is a NotFound error.
func NotFoundf(format string, args ...any) *Error {
	return &Error{Kind: NotFound, Msg: fmt.Sprintf(format, args...)}
}

// Conflictf is a Conflict error.
func Conflictf(format string, args ...any) *Error {
	return &Error{Kind: Conflict, Msg: fmt.Sprintf(format, args...)}
}

// Unavailablef is an Unavailable error with its cause.
func Unavailablef(cause error, format string, args ...any) *Error {
	return &Error{Kind: Unavailable, Msg: fmt.Sprintf(format, args...), Err: cause}
}
