package tokenclient

import (
	"time"

	"github.com/keyturn/keyturn/internal/clientsecret"
)

// cause is why a client secret is generated; empty if none is. It is also a label of a metric.
type cause string

const (
	causeNew      cause = "New"      // There never was one.
	causeLost     cause = "Lost"     // Its Secret is gone.
	causeUnusable cause = "Unusable" // Its Secret does not hold one that can be used.
	causeRotation cause = "Rotation" // Somebody has asked for another.
)

func causes() []cause { return []cause{causeNew, causeLost, causeUnusable, causeRotation} }

// words are what an event says of a cause.
func (c cause) words() string {
	switch c {
	case causeNew:
		return "a client secret was generated"
	case causeLost:
		return "the Secret was lost, and another client secret was generated: whoever has the one before has to read it anew"
	case causeUnusable:
		return "the Secret held no client secret that can be used, and another was generated: whoever has the one before has to read it anew"
	case causeRotation:
		return "the client secret was rotated as requested"
	default:
		return string(c)
	}
}

// isLoss says whether a client secret that somebody may have stopped being valid without anybody asking.
func (c cause) isLoss() bool { return c == causeLost || c == causeUnusable }

// situation is what the decision about a client secret is made from. Only the Secret's own content counts, so that a restart
// decides nothing anew.
type situation struct {
	// found says whether there is a Secret of Keyturn's making, and content is what it holds.
	found   bool
	content clientsecret.Content
	// known says that the status speaks of such a Secret.
	known bool
	// request is the rotation that is asked for, and overlap for how long the client secret before stays valid after it.
	request string
	overlap time.Duration
}

// decision is what the Secret shall hold.
type decision struct {
	cause   cause
	content clientsecret.Content
	// next is when the client secret before the last rotation has to go; zero if there is none.
	next time.Time
}

// decide says what the Secret shall hold from now on; generate is called if that is another client secret.
func decide(s situation, now time.Time, generate func() clientsecret.Value) decision {
	d := decision{content: s.content, cause: s.cause()}
	if d.cause != "" {
		d.content = clientsecret.Content{Current: generate(), Answered: s.request}
		d.content.Previous, d.content.PreviousExpiry = s.previous(d.cause, now)
	}
	if !d.content.IsPreviousValid(now) {
		d.content.Previous, d.content.PreviousExpiry = clientsecret.Value{}, time.Time{}
	}
	d.next = d.content.PreviousExpiry
	return d
}

func (s situation) cause() cause {
	switch {
	case !s.found && s.known:
		return causeLost
	case !s.found:
		return causeNew
	case s.content.Current.IsZero():
		return causeUnusable
	case s.request != "" && s.request != s.content.Answered:
		return causeRotation
	default:
		return ""
	}
}

// previous is the client secret that stays valid beside a new one: the one that a rotation replaces, or the one that was there
// already for such a reason, if the current one is not there to replace.
func (s situation) previous(c cause, now time.Time) (clientsecret.Value, time.Time) {
	if c != causeRotation {
		return s.content.Previous, s.content.PreviousExpiry
	}
	if s.overlap <= 0 {
		return clientsecret.Value{}, time.Time{}
	}
	// Whole seconds, rounded to the side that waits longer.
	return s.content.Current, now.Add(s.overlap + time.Second - 1).Truncate(time.Second)
}
