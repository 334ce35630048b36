package rotation_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

// operator is one of two that look after the same ring. It knows nothing but what it reads, and its clock is its own.
type operator struct {
	name  string
	share int
	// last is what it read at its last pass, with which a pass that lags works again.
	last *view
	// unfinished is a pass that was interrupted after it had stored the ring.
	unfinished *pass
	// next is when the engine told it to look again.
	next time.Time
}

// view is what an operator has read of the API server, all at one instant.
type view struct {
	secret secret
	status rotation.Ring
	policy rotation.Policy
	edits  int
	copies []copyView
}

type copyView struct {
	exists     bool
	version    int
	generation int64
	set        []string
}

// faults are what goes wrong in a pass.
type faults struct {
	// stale decides on what was read at the pass before.
	stale bool
	// stop says where the pass ends before its time.
	stop stop
	// blocked are the copies that cannot be written, by index.
	blocked []int
}

type stop string

const (
	nowhere        stop = "nowhere"
	beforeStoring  stop = "before storing the ring"
	afterStoring   stop = "after storing the ring"
	afterFirstCopy stop = "after writing one copy"
	// pausedAfterStoring can be resumed.
	pausedAfterStoring stop = "for a while, after storing the ring"
)

// decision is what the engine was asked and what it answered.
type decision struct {
	before rotation.Ring
	policy rotation.Policy
	seen   rotation.Observation
	now    time.Time
	out    rotation.Outcome
}

func (d decision) has(c rotation.Change, id string) bool {
	return slices.ContainsFunc(d.out.Transitions, func(t rotation.Transition) bool { return t.Change == c && (id == "" || t.KeyID == id) })
}

// pass is one reconcile.
type pass struct {
	w    *world
	o    *operator
	f    faults
	view view
	ring rotation.Ring
	// recovered says that the ring was made up for and is not what is stored.
	recovered bool
	// found are the keys with which it was made up for.
	found   []string
	private map[string]bool
}

// pass reads, decides, stores and publishes, until acting has shown nothing new to decide on. It mirrors the controller.
func (o *operator) pass(w *world, f faults) {
	o.unfinished = nil
	if o.last == nil || !f.stale {
		seen := w.look()
		o.last = &seen
	}
	p := &pass{w: w, o: o, f: f, view: *o.last}
	p.view.copies = slices.Clone(p.view.copies)
	p.read()
	p.turn()
	w.check()
}

func (p *pass) turn() {
	for range 3 {
		if !p.advance() || !p.publish() {
			return
		}
		if !p.awaitsRecord() {
			break
		}
	}
	p.w.status = p.ring
}

// read takes the ring that was seen. One that is missing, or older than what is known, is made up for, but only after a
// second look.
func (p *pass) read() {
	if !p.hasRing() || p.ring.Generation < p.view.generation() {
		p.view = p.w.look()
		if !p.hasRing() {
			p.recover()
		}
	}
}

// hasRing reads the ring and says whether there is one, and none that is older than the status tells.
func (p *pass) hasRing() bool {
	ring, ok := p.view.secret.stored()
	p.ring, p.private = ring, p.view.secret.private
	return ok && ring.Generation >= p.view.status.Generation
}

// recover makes up for a ring from the keys that are found in the copies and in what there is of the ring, as far as the
// status vouches for them.
func (p *pass) recover() {
	w, status := p.w, p.view.status
	if len(w.past) == 0 {
		return
	}
	var sets []string
	for _, c := range p.view.copies {
		sets = append(sets, c.set...)
	}
	var found []rotation.Found
	for _, id := range append(sets, idsOf(p.ring)...) {
		if _, vouched := status.Key(id); vouched && !slices.Contains(p.view.policy.Revoked, id) {
			found, p.found = append(found, rotation.Found{ID: id, Algorithm: "any"}), append(p.found, id)
		}
	}
	for _, d := range status.Denied {
		if !p.ring.IsDenied(d.ID) {
			p.ring.Denied = append(p.ring.Denied, d)
		}
	}
	p.ring = p.ring.Recover(found, status.Generation, p.view.policy, w.longestKnown(p.view.policy), w.clock(p.o.share))
	p.recovered = true
}

// longestKnown is the longest life of a token that was ever lawful, with what an earlier policy added to it: whoever
// recovers a ring is trusted to know.
func (w *world) longestKnown(p rotation.Policy) time.Duration {
	longest := p.LongestToken
	for _, k := range slices.Concat(w.status.Keys, w.past[len(w.past)-1].ring.Keys) {
		longest = max(longest, k.LongestToken+max(0, k.Margin-p.Margin()))
	}
	return longest
}

// advance decides and stores; false if the pass ends here.
func (p *pass) advance() bool {
	w := p.w
	seen := p.seen()
	if p.doubts(seen) {
		// A published key is missing: a cache that lags must not restart the wait.
		p.view.copies = w.look().copies
		seen = p.seen()
	}
	d := decision{before: p.ring, policy: p.view.policy, seen: seen, now: w.clock(p.o.share)}
	var err error
	if d.out, err = p.ring.Advance(d.policy, seen, d.now, w.mint); err != nil {
		w.t.Fatalf("advance: %v", err)
	}
	if w.watch.decided != nil {
		w.judge(w.watch.decided(w, d))
	}
	p.o.next = d.out.Next
	if p.f.stop == beforeStoring {
		w.tell("%s crashes %s", p.o.name, p.f.stop)
		return false
	}
	if (d.out.Changed || p.recovered) && !p.store(d) {
		return false
	}
	p.ring = d.out.Ring
	if p.view.edits == w.edits {
		w.grant()
	}
	return p.goesOn()
}

// goesOn says whether the pass survives having stored the ring.
func (p *pass) goesOn() bool {
	switch p.f.stop {
	case afterStoring:
		p.w.tell("%s crashes %s", p.o.name, p.f.stop)
		return false
	case pausedAfterStoring:
		p.w.tell("%s pauses %s", p.o.name, p.f.stop)
		p.o.unfinished = p
		return false
	default:
		return true
	}
}

// store writes the ring whole, with the private halves that may exist.
func (p *pass) store(d decision) bool {
	w := p.w
	private := map[string]bool{}
	for _, k := range d.out.Ring.Keys {
		if !k.NeedsPrivate() {
			continue
		}
		if !p.private[k.ID] && !d.has(rotation.Generated, k.ID) {
			w.judge(fmt.Sprintf("%s is %s again, but its private half was destroyed", k.ID, k.State))
		}
		private[k.ID] = true
	}
	if !w.replace(p.view.secret.version, d.out.Ring, private, p.view.edits) {
		w.tell("%s (clock %s) was too late to store a ring", p.o.name, w.at(d.now))
		return false
	}
	w.tell("%s (clock %s) stores %s", p.o.name, w.at(d.now), w.describe(d.out.Ring))
	p.view.secret, p.private = w.secret, private
	p.record(d)
	p.recovered = false
	if w.watch.stored != nil {
		w.judge(w.watch.stored(w, d))
	}
	w.signing(!d.has(rotation.RetiredNow, ""))
	return true
}

// record keeps what the world must know of keys that left the ring other than by time.
func (p *pass) record(d decision) {
	w := p.w
	for _, k := range w.keys {
		if d.has(rotation.Revoked, k.id) {
			k.revoked, k.skew = true, w.real().skew
		}
		_, kept := d.out.Ring.Key(k.id)
		k.excused = k.excused || p.recovered && k.revoked && !p.view.status.IsDenied(k.id)
		if p.recovered && !kept && !d.has(rotation.Removed, k.id) {
			k.lost = k.lost || !slices.Contains(p.found, k.id) || len(d.out.Ring.Keys) == rotation.MaxKeys
		}
	}
	if p.recovered {
		w.forgetLongerCaches()
	}
}

// forgetLongerCaches drops the sets that were fetched under a longer cache than today's: whoever loses the ring loses the
// memory of them.
func (w *world) forgetLongerCaches() {
	for _, c := range w.copies {
		for _, s := range c.held {
			if bound := s.read.Add(w.real().cache); bound.Before(s.kept) {
				s.kept = bound
			}
		}
	}
}

// publish writes the copies that are not what they shall be; false if the pass ends here.
func (p *pass) publish() bool {
	w, want := p.w, idsOf(p.ring)
	goesOn := true
	for i := range p.view.copies {
		seen, c := &p.view.copies[i], w.copies[i]
		if seen.exists && slices.Equal(seen.set, want) {
			continue
		}
		switch {
		case slices.Contains(p.f.blocked, i):
			w.tell("%s cannot write %s", p.o.name, c.name)
			continue
		case c.version != seen.version, !c.exists && w.secret.version != p.view.secret.version:
			// Whoever creates a copy has just read the ring: there is nothing yet whose version would guard it.
			w.tell("%s was too late to write %s", p.o.name, c.name)
			goesOn = false
			continue
		}
		w.write(c, want, p.ring.Generation)
		*seen = c.look()
		w.tell("%s writes %s: %v", p.o.name, c.name, want)
		if p.f.stop == afterFirstCopy {
			w.tell("%s crashes %s", p.o.name, p.f.stop)
			return false
		}
	}
	return goesOn
}

// write replaces what a copy holds.
func (w *world) write(c *configMap, set []string, generation int64) {
	c.write(set, generation, w.now, w.real())
	for _, k := range w.keys {
		k.arrive(c, w.now)
	}
}

func idsOf(r rotation.Ring) []string {
	var ids []string
	for _, k := range r.Keys {
		ids = append(ids, k.ID)
	}
	return ids
}

// seen is what the copies show of each key of the ring.
func (p *pass) seen() rotation.Observation {
	seen := rotation.Observation{}
	for _, k := range p.ring.Keys {
		seen[k.ID] = p.view.presence(k.ID)
	}
	return seen
}

func (v view) presence(id string) rotation.Presence {
	presence := rotation.Everywhere
	for _, c := range v.copies {
		switch {
		case c.exists && !slices.Contains(c.set, id):
			return rotation.Missing
		case !c.exists:
			presence = rotation.Unknown
		}
	}
	return presence
}

// generation is that of the newest ring that a copy was made from.
func (v view) generation() int64 {
	var newest int64
	for _, c := range v.copies {
		if c.exists {
			newest = max(newest, c.generation)
		}
	}
	return newest
}

// doubts says whether a key that was published is missing from a copy.
func (p *pass) doubts(seen rotation.Observation) bool {
	return slices.ContainsFunc(p.ring.Keys, func(k rotation.Key) bool {
		return k.State == rotation.Pending && !k.PublishedAt.IsZero() && seen[k.ID] == rotation.Missing
	})
}

// awaitsRecord says whether every copy now holds a key whose publication the ring has not recorded.
func (p *pass) awaitsRecord() bool {
	return slices.ContainsFunc(p.ring.Keys, func(k rotation.Key) bool {
		return k.State == rotation.Pending && k.PublishedAt.IsZero() && p.view.presence(k.ID) == rotation.Everywhere
	})
}

// restore puts an older Secret in the place of the one that is stored. A key that is neither in it nor published, or that
// the status does not know yet, is lost.
func (w *world) restore(s secret) {
	s.version = w.secret.version + 1
	s.private = maps.Clone(s.private)
	w.secret = s
	ring, _ := s.stored()
	for _, k := range w.keys {
		_, known := ring.Key(k.id)
		_, vouched := w.status.Key(k.id)
		published := slices.ContainsFunc(w.copies, func(c *configMap) bool { return slices.Contains(c.set(), k.id) })
		k.lost = k.lost || !known && (!vouched || !published)
	}
	for i := range w.past {
		w.past[i].edits = -1
	}
}
