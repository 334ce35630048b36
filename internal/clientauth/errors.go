package clientauth

import (
	"errors"
	"fmt"
	"time"
)

// ErrClient says that the client has not proved itself: invalid_client in RFC 6749 section 5.2. What an error adds to it is for the
// log of the operator, and not for the client.
var ErrClient = errors.New("the client has not proved itself")

// UnavailableError says that nobody can know now whether the client has proved itself: 503 with Retry-After.
type UnavailableError struct {
	// RetryAfter is when it makes sense to ask again: whole seconds, at least one.
	RetryAfter time.Duration
	cause      error
}

func (e *UnavailableError) Error() string {
	return "whether the client has proved itself cannot be known: " + e.cause.Error()
}

func (e *UnavailableError) Unwrap() error { return e.cause }

func refuse(why string) error { return fmt.Errorf("%w: %s", ErrClient, why) }

func refusef(format string, args ...any) error { return refuse(fmt.Sprintf(format, args...)) }

func unavailable(after time.Duration, cause error) error {
	return &UnavailableError{RetryAfter: max(after, time.Second), cause: cause}
}
