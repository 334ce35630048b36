package tokenclient

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/clientsecret"
)

// outcome is a decision in words that can be compared.
type outcome struct {
	Cause                       cause
	Current, Previous, Answered string
	Ends, Next                  time.Time
}

func TestDecide(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	at := func(hours int) time.Time { return now.Truncate(time.Second).Add(time.Duration(hours) * time.Hour) }
	holds := func(current, previous string, ends time.Time, answered string) clientsecret.Content {
		return clientsecret.Content{
			Current: clientsecret.NewValue(current), Previous: clientsecret.NewValue(previous), PreviousExpiry: ends, Answered: answered,
		}
	}
	for sentence, c := range map[string]struct {
		given situation
		want  outcome
	}{
		"a client without a Secret gets one": {
			situation{request: "r"}, outcome{Cause: causeNew, Current: "new", Answered: "r"},
		},
		"a Secret that was there before is lost": {
			situation{known: true}, outcome{Cause: causeLost, Current: "new"},
		},
		"a Secret that holds no client secret gets one, and keeps the one before for its time": {
			situation{found: true, content: holds("", "old", at(1), "r"), request: "r"},
			outcome{Cause: causeUnusable, Current: "new", Previous: "old", Answered: "r", Ends: at(1), Next: at(1)},
		},
		"a good one stays": {
			situation{found: true, known: true, content: holds("a", "", time.Time{}, "")}, outcome{Current: "a"},
		},
		"a good one stays although the status does not know it": {
			situation{found: true, content: holds("a", "", time.Time{}, "r"), request: "r"}, outcome{Current: "a", Answered: "r"},
		},
		"a rotation that is asked for leaves the one before until its overlap is over, in whole seconds": {
			situation{found: true, content: holds("a", "", time.Time{}, "r"), request: "s", overlap: time.Hour},
			outcome{Cause: causeRotation, Current: "new", Previous: "a", Answered: "s", Ends: at(1).Add(time.Second), Next: at(1).Add(time.Second)},
		},
		"a rotation without overlap leaves nothing": {
			situation{found: true, content: holds("a", "", time.Time{}, "r"), request: "s"},
			outcome{Cause: causeRotation, Current: "new", Answered: "s"},
		},
		"a second rotation leaves two, not three": {
			situation{found: true, content: holds("b", "a", at(1), "r"), request: "s", overlap: 2 * time.Hour},
			outcome{Cause: causeRotation, Current: "new", Previous: "b", Answered: "s", Ends: at(2).Add(time.Second), Next: at(2).Add(time.Second)},
		},
		"a request that is taken back asks for nothing": {
			situation{found: true, content: holds("a", "", time.Time{}, "r")}, outcome{Current: "a", Answered: "r"},
		},
		"the one before stays a moment before its end": {
			situation{found: true, content: holds("b", "a", now.Add(time.Nanosecond), "r"), request: "r"},
			outcome{Current: "b", Previous: "a", Answered: "r", Ends: now.Add(time.Nanosecond), Next: now.Add(time.Nanosecond)},
		},
		"the one before goes at its end": {
			situation{found: true, content: holds("b", "a", now, "r"), request: "r"}, outcome{Current: "b", Answered: "r"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := decide(c.given, now, func() clientsecret.Value { return clientsecret.NewValue("new") })
			told := outcome{
				got.cause, got.content.Current.Reveal(), got.content.Previous.Reveal(), got.content.Answered, got.content.PreviousExpiry, got.next,
			}
			if diff := cmp.Diff(c.want, told); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
