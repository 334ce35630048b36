package token_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/domain/token"
)

// shop is an operator that turns a ring, and a signer that hears of it late. Both clocks are off.
type shop struct {
	now              time.Time
	operator, signer time.Duration // ahead of the true time
	policy           rotation.Policy
	ring             rotation.Ring
	next             time.Time // when the ring changes

	known   rotation.Ring
	heard   time.Time
	patient time.Duration // how long the signer goes on without hearing anything

	minted int
	// expiry is the latest exp that was granted, by key ID.
	expiry map[string]time.Time
}

func newShop(t *rapid.T) *shop {
	p := rotation.Policy{
		Algorithm: "A", Skew: drawSeconds(t, "skew", 0, 5),
		VerifierCache: drawSeconds(t, "cache", 0, 5), Propagation: drawSeconds(t, "propagation", 0, 10), SignerStaleness: drawSeconds(t, "staleness", 1, 10),
		LongestToken: drawSeconds(t, "longest token", 1, 60),
	}
	p.Period = p.Lead() + drawSeconds(t, "period beyond the lead", 1, 30)
	s := &shop{
		now: at(0), policy: p, patient: max(p.SignerStaleness, p.Propagation), expiry: map[string]time.Time{},
		operator: drawPart(t, "operator's clock", p.Skew), signer: drawPart(t, "signer's clock", p.Skew),
	}
	s.turn(t)
	s.hear(t)
	return s
}

func drawPart(t *rapid.T, name string, whole time.Duration) time.Duration {
	return rapid.SampledFrom([]time.Duration{0, whole, time.Duration(rapid.Int64Range(0, int64(whole)).Draw(t, name))}).Draw(t, name)
}

// change edits the policy, and the operator sees it.
func (s *shop) change(t *rapid.T) {
	switch rapid.SampledFrom([]string{"durations", "algorithm", "request", "revocation"}).Draw(t, "change") {
	case "durations":
		s.policy.Period = s.policy.Lead() + drawSeconds(t, "period beyond the lead", 1, 30)
		s.policy.LongestToken = drawSeconds(t, "longest token", 1, 60)
	case "algorithm":
		s.policy.Algorithm += "'"
	case "request":
		s.policy.RotateRequest += "again "
	case "revocation":
		active, _ := s.ring.ActiveKey()
		s.policy.Revoked = append(s.policy.Revoked, active.ID)
	}
	s.turn(t)
}

// wait lets time pass while the operator wakes when it shall: any, or up to the instants that matter, just before the ring
// changes and the last at which the signer signs without having heard anything.
func (s *shop) wait(t *rapid.T) {
	until := rapid.SampledFrom([]time.Time{
		s.now.Add(drawPart(t, "wait", 20*time.Second)), s.wakes().Add(-1), s.heard.Add(s.patient),
	}).Draw(t, "until")
	for !s.next.IsZero() && !s.wakes().After(until) {
		s.now = later(s.now, s.wakes())
		s.turn(t)
	}
	s.now = later(s.now, until)
}

// wakes is when the operator's clock shows the instant at which the ring changes.
func (s *shop) wakes() time.Time { return s.next.Add(-s.operator) }

func later(x, y time.Time) time.Time {
	if y.After(x) {
		return y
	}
	return x
}

func (s *shop) hear(*rapid.T) { s.known, s.heard = s.ring, s.now }

// turn is one pass of the operator; every copy shows every key at once.
func (s *shop) turn(t *rapid.T) {
	for range 3 {
		seen := rotation.Observation{}
		for _, k := range s.ring.Keys {
			seen[k.ID] = rotation.Everywhere
		}
		out, err := s.ring.Advance(s.policy, seen, s.now.Add(s.operator), s.mint)
		if err != nil {
			t.Fatal(err)
		}
		s.ring, s.next = out.Ring, out.Next
		for _, change := range out.Transitions {
			if expiry := s.expiry[change.KeyID]; change.Change == rotation.Removed && expiry.After(s.now) {
				t.Fatalf("at %s key %s leaves, a token of it lives until %s", s.now, change.KeyID, expiry)
			}
		}
	}
}

func (s *shop) mint(string) (string, error) {
	s.minted++
	return fmt.Sprint("key-", s.minted), nil
}

// sign issues what is lawful by what the signer knows.
func (s *shop) sign(t *rapid.T) {
	if s.now.Sub(s.heard) > s.patient {
		s.hear(t)
	}
	active, _ := s.known.ActiveKey()
	longest := token.Request{Duration: active.LongestToken}
	r := rapid.OneOf(rapid.Just(longest), rapid.Just(longest), rapid.Custom(drawTerms)).Draw(t, "request")
	terms, err := token.Lawful(r, token.Keys{Ring: s.known, Revoked: s.policy.Revoked}, s.now.Add(s.signer))
	if err != nil {
		return
	}
	if !terms.Expiry.After(s.now.Add(s.signer)) {
		t.Fatalf("at %s a token is issued that expires at %s", s.now.Add(s.signer), terms.Expiry)
	}
	if terms.Expiry.After(s.expiry[terms.KeyID]) {
		s.expiry[terms.KeyID] = terms.Expiry
	}
}

func drawTerms(t *rapid.T) token.Request {
	r := token.Request{Duration: drawSeconds(t, "duration", 1, 60)}
	if rapid.Bool().Draw(t, "ends") {
		r.ExpiresAt = at(drawSeconds(t, "end", 0, 600))
	}
	return r
}

// check finds a token that lives longer than its key is published.
func (s *shop) check(t *rapid.T) {
	for id, expiry := range s.expiry {
		key, ok := s.ring.Key(id)
		switch {
		case slices.Contains(s.policy.Revoked, id):
		case !ok && expiry.After(s.now):
			t.Fatalf("key %s is gone and a token of it lives until %s", id, expiry)
		case ok && key.State == rotation.Retired && expiry.After(key.RemoveAfter()):
			t.Fatalf("key %s leaves at %s and a token of it lives until %s", id, key.RemoveAfter(), expiry)
		}
	}
}

// TestNoTokenOutlivesItsKeyHoweverTheRingGoesOn is invariant 3 for whoever signs by a ring that is as old as allowed. It
// fails when Lawful grants more than the ring has recorded, and when the ring forgets what it granted.
func TestNoTokenOutlivesItsKeyHoweverTheRingGoesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShop(t)
		t.Repeat(map[string]func(*rapid.T){
			"wait": s.wait, "wait on": s.wait, "hear": s.hear, "sign": s.sign, "sign on": s.sign, "change": s.change, "": s.check,
		})
	})
}
