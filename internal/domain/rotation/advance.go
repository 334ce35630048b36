package rotation

import (
	"fmt"
	"slices"
	"time"
)

// Presence is what was seen of one key in the copies of the published set.
type Presence int

// What can be seen of a key.
const (
	// Unknown means that some copy could not be read or written yet.
	Unknown Presence = iota
	// Everywhere means that every copy was read back, or written and acknowledged, with the key in it.
	Everywhere
	// Missing means that a copy that readers can see was found without the key.
	Missing
)

// Observation says, by key ID, what was seen of the published set.
type Observation map[string]Presence

// Mint makes a new key pair for an algorithm and returns its ID. It is called only when the key is used.
type Mint func(algorithm string) (id string, err error)

// Change is what happened to a key.
type Change string

// The changes of a key.
const (
	Generated Change = "Generated"
	Published Change = "Published"
	// Unpublished says that a copy without the key was seen: the wait begins again.
	Unpublished Change = "Unpublished"
	Activated   Change = "Activated"
	RetiredNow  Change = "Retired"
	Revoked     Change = "Revoked"
	Removed     Change = "Removed"
	// Discarded says that a Pending key gave way to one of another algorithm.
	Discarded Change = "Discarded"
)

// Changes are all changes.
func Changes() []Change {
	return []Change{Generated, Published, Unpublished, Activated, RetiredNow, Revoked, Removed, Discarded}
}

// Transition is one change of one key.
type Transition struct {
	Change    Change
	KeyID     string
	Algorithm string
}

// Outcome is what was decided.
type Outcome struct {
	// Ring is the ring from now on. Its Generation is one more than before if anything in it changed.
	Ring Ring
	// Changed says whether the ring must be stored.
	Changed bool
	// Transitions are the changes of keys, in order.
	Transitions []Transition
	// Next is when to look again if nothing else happens; zero if only an observation can move the ring.
	Next time.Time
	// Crowded says that a rotation is due and waits until a Retired key leaves, because the set is full.
	Crowded bool
}

// Advance decides what becomes of the ring at the instant now. An empty ring gets its first key, which signs at once:
// nobody can have cached an older set. Advance fails only if mint does.
func (r Ring) Advance(p Policy, seen Observation, now time.Time, mint Mint) (Outcome, error) {
	a := &advance{ring: r.clone(), policy: p, now: now, mint: mint}
	a.recordPolicy()
	a.revoke()
	a.forget()
	a.observe(seen)
	if err := a.ensureActive(); err != nil {
		return Outcome{}, err
	}
	if err := a.prepareNext(); err != nil {
		return Outcome{}, err
	}
	a.handOver()
	a.out.Changed = !a.ring.Equal(r)
	if a.out.Changed {
		a.ring.Generation++
	}
	a.out.Ring = a.ring
	a.out.Next = a.next()
	return a.out, nil
}

type advance struct {
	ring   Ring
	policy Policy
	now    time.Time
	mint   Mint
	out    Outcome
}

// floor and ceil are now in whole seconds. An instant from which something waits is rounded up: it would otherwise lie
// before what it records, and the wait would be short by the fraction.
func (a *advance) floor() time.Time { return a.now.UTC().Truncate(time.Second) }

func (a *advance) ceil() time.Time {
	if f := a.floor(); !f.Equal(a.now) {
		return f.Add(time.Second)
	}
	return a.floor()
}

func (a *advance) note(c Change, k Key) {
	a.out.Transitions = append(a.out.Transitions, Transition{Change: c, KeyID: k.ID, Algorithm: k.Algorithm})
}

// recordPolicy keeps the high-water marks: what was promised under an earlier policy is still owed under a later one.
func (a *advance) recordPolicy() {
	lead := a.policy.Lead()
	if lead < a.ring.Lead {
		if until := a.ceil().Add(a.ring.Lead); until.After(a.ring.CachesUntil) {
			a.ring.CachesUntil = until
		}
	}
	a.ring.Lead = lead
	request := a.policy.RotateRequest
	asked := request != "" && request != a.ring.RotateRequest
	if asked {
		a.ring.RotateRequest = request
	}
	for i := range a.ring.Keys {
		k := &a.ring.Keys[i]
		if k.State == Pending {
			continue
		}
		k.Margin = max(k.Margin, a.policy.Margin())
		if k.State == Active {
			k.LongestToken = max(k.LongestToken, a.policy.LongestToken)
			k.Superseded = k.Superseded || asked
		}
	}
}

// revoke takes compromised keys out of the ring, whatever their state.
func (a *advance) revoke() {
	a.ring.Keys = slices.DeleteFunc(a.ring.Keys, func(k Key) bool {
		if a.ring.IsDenied(k.ID) {
			return true // It came back with a ring that was restored.
		}
		if !slices.Contains(a.policy.Revoked, k.ID) {
			return false
		}
		a.note(Revoked, k)
		a.ring.Denied = slices.Insert(a.ring.Denied, 0, Denial{
			ID: k.ID, Algorithm: k.Algorithm, CreatedAt: k.CreatedAt, RevokedAt: a.ceil(), Until: a.deniedUntil(k),
		})
		return true
	})
	// The list is bounded: whoever revokes that often keeps the newest, and the policy itself names as many again.
	a.ring.Denied = a.ring.Denied[:min(len(a.ring.Denied), maxDenials)]
}

func (a *advance) deniedUntil(k Key) time.Time {
	if k.State == Retired {
		return k.RemoveAfter()
	}
	return a.ceil().Add(max(k.LongestToken, a.policy.LongestToken) + max(k.Margin, a.policy.Margin()))
}

// forget removes what no live token can need any more.
func (a *advance) forget() {
	a.ring.Keys = slices.DeleteFunc(a.ring.Keys, func(k Key) bool {
		gone := k.State == Retired && !a.now.Before(k.RemoveAfter())
		if gone {
			a.note(Removed, k)
		}
		return gone
	})
	a.ring.Denied = slices.DeleteFunc(a.ring.Denied, func(d Denial) bool { return !a.now.Before(d.Until) })
}

// observe records since when a Pending key is published without a break.
func (a *advance) observe(seen Observation) {
	for i := range a.ring.Keys {
		k := &a.ring.Keys[i]
		if k.State != Pending {
			continue
		}
		switch presence := seen[k.ID]; {
		case presence == Everywhere && k.PublishedAt.IsZero():
			k.PublishedAt = a.ceil()
			a.note(Published, *k)
		case presence == Missing && !k.PublishedAt.IsZero():
			k.PublishedAt = time.Time{}
			a.note(Unpublished, *k)
		}
	}
}

// ensureActive gives the ring a key that signs, at once: there is none in a new ring, or it was revoked.
func (a *advance) ensureActive() error {
	if _, ok := a.ring.ActiveKey(); ok {
		return nil
	}
	i := a.pending()
	if i < 0 {
		if err := a.generate(); err != nil {
			return err
		}
		i = 0
	}
	a.activate(&a.ring.Keys[i])
	return nil
}

// prepareNext generates the key that will follow, a lead before it is needed.
func (a *advance) prepareNext() error {
	i := a.pending()
	if i >= 0 && a.ring.Keys[i].Algorithm != a.policy.Algorithm {
		// It has signed nothing, so nobody needs it.
		a.note(Discarded, a.ring.Keys[i])
		a.ring.Keys = slices.Delete(a.ring.Keys, i, i+1)
		i = -1
	}
	if i >= 0 || a.now.Before(a.generationDue()) {
		return nil
	}
	if len(a.ring.Keys) >= maxRoutineKeys {
		a.out.Crowded = true
		return nil
	}
	return a.generate()
}

// handOver lets the Pending key sign, and retires the Active one, when every verifier has the new key.
func (a *advance) handOver() {
	i := a.pending()
	if i < 0 {
		return
	}
	due, known := a.handOverDue(a.ring.Keys[i])
	if !known || a.now.Before(due) {
		return
	}
	for j := range a.ring.Keys {
		if k := &a.ring.Keys[j]; k.State == Active {
			k.State, k.RetiredAt, k.Superseded = Retired, a.ceil(), false
			a.note(RetiredNow, *k)
		}
	}
	a.activate(&a.ring.Keys[i])
}

func (a *advance) generate() error {
	id, err := a.mint(a.policy.Algorithm)
	if err != nil {
		return fmt.Errorf("generate %s key: %w", a.policy.Algorithm, err)
	}
	k := Key{ID: id, Algorithm: a.policy.Algorithm, State: Pending, CreatedAt: a.floor()}
	a.ring.Keys = slices.Insert(a.ring.Keys, 0, k)
	a.note(Generated, k)
	return nil
}

func (a *advance) activate(k *Key) {
	k.State, k.ActivatedAt = Active, a.floor()
	k.LongestToken, k.Margin = a.policy.LongestToken, a.policy.Margin()
	a.note(Activated, *k)
}

// pending returns the index of the Pending key, or -1.
func (a *advance) pending() int {
	return slices.IndexFunc(a.ring.Keys, func(k Key) bool { return k.State == Pending })
}

// hasty says that the Active key shall give way as soon as its successor may sign.
func (a *advance) hasty(active Key) bool {
	return active.Superseded || active.Algorithm != a.policy.Algorithm
}

// generationDue is when the next key must be generated.
func (a *advance) generationDue() time.Time {
	active, _ := a.ring.ActiveKey()
	if a.hasty(active) {
		return active.ActivatedAt
	}
	return active.ActivatedAt.Add(a.policy.Period - a.policy.Lead())
}

// handOverDue is when the Pending key becomes Active. The second result is false while its publication is unseen.
func (a *advance) handOverDue(pending Key) (time.Time, bool) {
	if pending.PublishedAt.IsZero() {
		return time.Time{}, false
	}
	due := later(pending.PublishedAt.Add(a.policy.Lead()), a.ring.CachesUntil)
	if active, _ := a.ring.ActiveKey(); !a.hasty(active) {
		due = later(due, active.ActivatedAt.Add(a.policy.Period))
	}
	return due, true
}

// next is the earliest instant at which time alone changes the ring.
func (a *advance) next() time.Time {
	var due []time.Time
	if i := a.pending(); i < 0 {
		if !a.out.Crowded {
			due = append(due, a.generationDue())
		}
	} else if t, known := a.handOverDue(a.ring.Keys[i]); known {
		due = append(due, t)
	}
	for _, k := range a.ring.Keys {
		if k.State == Retired {
			due = append(due, k.RemoveAfter())
		}
	}
	for _, d := range a.ring.Denied {
		due = append(due, d.Until)
	}
	if len(due) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(due, time.Time.Compare)
}

func later(x, y time.Time) time.Time {
	if y.After(x) {
		return y
	}
	return x
}
