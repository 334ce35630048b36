package webhookcert

import (
	"slices"
	"time"
)

// Plan is what is to be generated next, and why; in words for the operator's log.
type Plan struct {
	// RenewCA puts a new authority before the others, whose keys are destroyed while they stay trusted.
	RenewCA bool
	// IssueServing signs a new serving certificate by the newest authority.
	IssueServing bool
	// KeepNames leaves the names of the present serving certificate in the next one.
	KeepNames bool
	// Reason is empty when nothing is to be generated.
	Reason string
	// Next is when to decide again unless something changes: now after something was generated, later than now otherwise.
	Next time.Time
}

func (p Plan) generates() bool { return p.RenewCA || p.IssueServing }

// Decide says what to generate at now. It never lets a new authority sign while a present certificate can be served and the
// bundle with that authority has not been seen for want.Propagation: API servers that do not know it yet would refuse the call.
// Only where nothing can be served any more does it not wait, because nothing can break.
func Decide(have Material, seen Sightings, want Options, now time.Time) Plan {
	switch {
	case !have.canSign(now):
		return Plan{RenewCA: true, IssueServing: !have.canServe(now), Reason: "no CA that can sign", Next: now}
	case !have.canServe(now):
		return Plan{IssueServing: true, Reason: "no certificate that can be served", Next: now}
	case !now.Before(renewal(have.authorities[0])):
		return Plan{RenewCA: true, Reason: "the CA has lived two thirds of its life", Next: now}
	}
	due := judgeServing(have, want, now)
	switch trusted := signsFrom(have, seen, want); {
	case due.Reason == "":
		due.Next = earliest(renewal(have.serving.Leaf), renewal(have.authorities[0]))
	case trusted.IsZero():
		due = Plan{Next: earliest(expiry(have.serving.Leaf), renewal(have.authorities[0]))}
	case now.Before(trusted):
		due = Plan{Next: earliest(trusted, expiry(have.serving.Leaf), renewal(have.authorities[0]))}
	}
	return due
}

func earliest(first time.Time, others ...time.Time) time.Time {
	return slices.MinFunc(append(others, first), time.Time.Compare)
}
