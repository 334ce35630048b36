package rotation_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

// event is something that happens to the world.
type event interface{ happen(w *world) }

// wake lets time pass until an operator was told to look again by its own clock, and Late more or less, and lets it look.
type wake struct {
	Operator int
	Late     time.Duration
	Faults   faults
}

func (e wake) happen(w *world) {
	o := w.operators[e.Operator]
	if wait := o.next.Add(e.Late).Sub(w.clock(o.share)); !o.next.IsZero() && wait > 0 {
		w.elapse(wait)
	}
	o.pass(w, e.Faults)
}

// pause lets time pass.
type pause struct{ For time.Duration }

func (e pause) happen(w *world) { w.elapse(e.For) }

// resume goes on with a pass that was interrupted.
type resume struct{ Operator int }

func (e resume) happen(w *world) {
	o := w.operators[e.Operator]
	if o.unfinished == nil {
		return
	}
	w.tell("%s goes on", o.name)
	o.unfinished.publish()
	o.unfinished = nil
}

// edit changes fields of the policy.
type edit struct{ Fields []field }

type field struct {
	Name    string
	Seconds int
}

func (e edit) happen(w *world) {
	p := w.policy
	for _, f := range e.Fields {
		d := time.Duration(f.Seconds) * time.Second
		switch f.Name {
		case "algorithm":
			p.Algorithm = algorithms()[f.Seconds%len(algorithms())]
		case "period":
			p.Period = d
		case "cache":
			p.VerifierCache = d
		case "propagation":
			p.Propagation = d
		case "skew":
			p.Skew = d / 4
			p.Skew -= p.Skew % time.Second
		case "token":
			p.LongestToken = max(d, time.Second)
		case "staleness":
			p.SignerStaleness = d
		}
	}
	w.edit(admitted(w.unmixed(p)))
}

// unmixed takes back what the engine does not promise to survive: a change of the skew together with a change of other
// waits. It remembers sums of them, not each.
func (w *world) unmixed(p rotation.Policy) rotation.Policy {
	if w.moving {
		p.VerifierCache, p.Propagation, p.SignerStaleness = w.policy.VerifierCache, w.policy.Propagation, w.policy.SignerStaleness
		return p
	}
	p.Skew = w.policy.Skew
	return p
}

func (w *world) edit(p rotation.Policy) {
	w.policy = p
	w.edits++
	for _, c := range w.copies {
		c.hurry(w.now, w.real())
	}
	for _, k := range w.keys {
		k.hurry(w.now, w.real())
	}
	w.tell("the policy becomes %s", describe(p))
}

// admitted lengthens the period until admission lets the policy pass.
func admitted(p rotation.Policy) rotation.Policy {
	for p.Check() != nil {
		p.Period += time.Second
	}
	return p
}

func algorithms() []string { return []string{"ES256", "RS256", "EdDSA"} }

// request asks for an orderly rotation.
type request struct{}

func (request) happen(w *world) {
	p := w.policy
	p.RotateRequest = fmt.Sprintf("request-%d", w.edits)
	w.edit(p)
}

// revoke names keys of a state as compromised; "all" names every key, "unknown" none that exists.
type revoke struct{ Which string }

func (e revoke) happen(w *world) {
	p := w.policy
	p.Revoked = slices.Clone(p.Revoked)
	ring, _ := w.secret.stored()
	for _, k := range ring.Keys {
		if e.Which == "all" || e.Which == string(k.State) {
			p.Revoked = append(p.Revoked, k.ID)
		}
	}
	if e.Which == "unknown" {
		p.Revoked = append(p.Revoked, fmt.Sprintf("unknown-%d", w.edits))
	}
	w.edit(p)
}

// forgive takes every key off the list of revoked keys again.
type forgive struct{}

func (forgive) happen(w *world) {
	p := w.policy
	p.Revoked = nil
	w.edit(p)
}

// lose deletes the ring Secret.
type lose struct{}

func (lose) happen(w *world) {
	w.tell("the ring is lost")
	w.secret = secret{version: w.secret.version + 1}
	w.signing(false)
}

// rewind puts back a Secret that was stored some changes ago, under the policy of today, once. It is older than the one
// that the status tells of: an operator that crashes before it has reported leaves nothing to tell them by.
type rewind struct{ Back int }

func (e rewind) happen(w *world) {
	at := len(w.past) - 1 - e.Back
	if at < 0 || w.past[at].edits != w.edits || w.past[at].ring.Generation >= w.status.Generation {
		return
	}
	w.restore(w.past[at])
	ring, _ := w.secret.stored()
	w.tell("somebody restores %s", w.describe(ring))
	w.everybodyLooks()
	w.signing(true)
}

// rollBack puts a copy back to what it held before the next key was published.
type rollBack struct{ Copy int }

func (e rollBack) happen(w *world) {
	c := w.copies[e.Copy%len(w.copies)]
	ring, _ := w.secret.stored()
	older := slices.DeleteFunc(slices.Clone(c.set()), func(id string) bool {
		k, _ := ring.Key(id)
		return k.State == rotation.Pending && w.facts(id) == nil
	})
	if len(older) == len(c.set()) {
		return
	}
	w.tell("somebody rolls %s back to %v", c.name, older)
	w.write(c, older, c.generation)
	c.rolledBack = true
	w.everybodyLooks()
}

// remove deletes a copy, unless it hides what it held.
type remove struct{ Copy int }

func (e remove) happen(w *world) {
	c := w.copies[e.Copy%len(w.copies)]
	if !c.exists || c.rolledBack {
		return
	}
	w.tell("somebody deletes %s", c.name)
	c.remove(w.now, w.real())
	w.everybodyLooks()
}

// everybodyLooks makes operators see what was done behind their backs: nobody can guard against what happens between
// reading and writing.
func (w *world) everybodyLooks() {
	for _, o := range w.operators {
		o.last, o.unfinished = nil, nil
	}
}

// choose adds a namespace that shall hold a copy.
type choose struct{}

func (choose) happen(w *world) {
	if len(w.copies) < 4 {
		w.addCopy()
		w.tell("%s is asked for", w.copies[len(w.copies)-1].name)
	}
}

func drawShare(t *rapid.T, label string) int {
	return rapid.SampledFrom([]int{0, 1000, 500, 333}).Draw(t, label)
}

// drawPolicy draws durations of seconds, so that everything meets everything else.
func drawPolicy(t *rapid.T) rotation.Policy {
	seconds := func(label string, least, most int) time.Duration {
		return time.Duration(rapid.IntRange(least, most).Draw(t, label)) * time.Second
	}
	return admitted(rotation.Policy{
		Algorithm:       "ES256",
		Period:          seconds("period", 1, 20),
		VerifierCache:   seconds("cache", 0, 9),
		Propagation:     seconds("propagation", 0, 5),
		Skew:            seconds("skew", 0, 3),
		LongestToken:    seconds("token", 1, 20),
		SignerStaleness: seconds("staleness", 0, 6),
	})
}

func drawFaults() *rapid.Generator[faults] {
	return rapid.Custom(func(t *rapid.T) faults {
		f := faults{stop: nowhere}
		if rapid.IntRange(0, 2).Draw(t, "all goes well") < 2 {
			return f
		}
		f.stale = rapid.Bool().Draw(t, "stale")
		f.stop = rapid.SampledFrom([]stop{nowhere, beforeStoring, afterStoring, afterFirstCopy, pausedAfterStoring}).Draw(t, "stop")
		f.blocked = rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 0, 2, rapid.ID[int]).Draw(t, "blocked")
		return f
	})
}

// drawEvent draws what happens next: mostly an operator that wakes.
func drawEvent() *rapid.Generator[event] {
	lates := []time.Duration{0, 0, 0, time.Millisecond, -time.Millisecond, 400 * time.Millisecond, 999 * time.Millisecond, 3 * time.Second, -2 * time.Second}
	wakes := rapid.Custom(func(t *rapid.T) event {
		return wake{
			Operator: rapid.IntRange(0, 1).Draw(t, "operator"),
			Late:     rapid.SampledFrom(lates).Draw(t, "late"),
			Faults:   drawFaults().Draw(t, "faults"),
		}
	})
	pauses := rapid.Map(rapid.SampledFrom([]int{1, 250, 999, 1000, 1001, 2000, 4500, 9000, 30000}), func(ms int) event {
		return pause{For: time.Duration(ms) * time.Millisecond}
	})
	names := []string{"algorithm", "period", "cache", "cache", "propagation", "skew", "skew", "token", "staleness"}
	fields := rapid.Custom(func(t *rapid.T) field {
		return field{Name: rapid.SampledFrom(names).Draw(t, "field"), Seconds: rapid.IntRange(0, 12).Draw(t, "seconds")}
	})
	edits := rapid.Map(rapid.SliceOfN(fields, 1, 3), func(f []field) event { return edit{Fields: f} })
	others := rapid.Custom(func(t *rapid.T) event {
		n := rapid.IntRange(0, 3).Draw(t, "which")
		return rapid.SampledFrom([]event{
			request{},
			request{},
			resume{n % 2},
			resume{n % 2},
			choose{},
			remove{n},
			rollBack{n},
			lose{},
			rewind{n + 1},
			forgive{},
			revoke{"Active"},
			revoke{"Pending"},
			revoke{"Retired"},
			revoke{"all"},
			revoke{"unknown"},
		}).Draw(t, "other")
	})
	return rapid.OneOf(wakes, wakes, wakes, wakes, pauses, edits, others)
}
