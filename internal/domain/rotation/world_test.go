package rotation_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/rotation"
)

// The model world: an API server with one ring Secret and some copies of the published set, two operators that never
// learn of each other, and everybody who signs and verifies. Time is simulated and goes on in milliseconds.
//
// Verifiers and signers are not sampled. The world keeps, for every copy, everything that an honest verifier could hold
// at this instant, and for every key the latest expiry that an honest signer could have granted. Whatever the policy
// allows to happen therefore happens in every run, and a property speaks of all verifiers and all tokens at once.

// habits are what the world really does: as bad as the policy allows, never worse. Who shortens a duration changes the
// world first and the policy second; who lengthens one waits for an operator to have recorded it.
type habits struct {
	// cache is how long a verifier keeps a set, propagation how long a copy takes to reach it.
	cache, propagation time.Duration
	// skew is how far apart clocks are.
	skew time.Duration
	// staleness is how long a signer goes on with the ring it knows.
	staleness time.Duration
}

func habitsOf(p rotation.Policy) habits {
	return habits{
		cache: p.VerifierCache, propagation: p.Propagation, skew: p.Skew,
		// An application that mounts the private half hears of a retirement no sooner than its copy arrives.
		staleness: max(p.SignerStaleness, p.Propagation),
	}
}

func (h habits) atMost(o habits) habits {
	return habits{
		cache: min(h.cache, o.cache), propagation: min(h.propagation, o.propagation),
		skew: min(h.skew, o.skew), staleness: min(h.staleness, o.staleness),
	}
}

// world is the model world.
type world struct {
	t     *rapid.T
	now   time.Time
	watch property

	policy rotation.Policy
	// edits counts the changes of the policy.
	edits int
	// granted are the habits of the policy that an operator recorded last.
	granted habits
	// slow is the share of the skew, in thousandths, by which the slowest clock is behind; the fastest is ahead by the rest.
	slow int
	// moving says that the skew is what changes in this world, and not the waits.
	moving bool

	secret secret
	// past are all the Secrets that were stored, for whoever restores an older one.
	past []secret
	// status is the ring that was reported last, of which the status still tells when the Secret is lost.
	status    rotation.Ring
	copies    []*configMap
	operators []*operator

	minted int
	// keys are the keys that ever signed, oldest first.
	keys  []*keyFacts
	story []string
}

// secret is the ring Secret as the API server stores it.
type secret struct {
	// ring is as it reads back; nil if there is no Secret.
	ring    *rotation.Ring
	version int
	private map[string]bool
	// edits is how often the policy had been changed that was recorded here last.
	edits int
}

func epoch() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func newWorld(t *rapid.T, watch property) *world {
	w := &world{t: t, now: epoch(), watch: watch, policy: drawPolicy(t)}
	w.granted = habitsOf(w.policy)
	w.slow = drawShare(t, "slow clocks")
	w.moving = rapid.Bool().Draw(t, "the skew changes")
	for _, name := range []string{"east", "west"} {
		w.operators = append(w.operators, &operator{name: name, share: drawShare(t, name+" clock")})
	}
	for range rapid.IntRange(1, 3).Draw(t, "copies") {
		w.addCopy()
	}
	w.tell("policy %s", describe(w.policy))
	return w
}

func (w *world) addCopy() {
	w.copies = append(w.copies, &configMap{name: fmt.Sprintf("copy-%d", len(w.copies)+1)})
}

// real is what the world does now.
func (w *world) real() habits { return habitsOf(w.policy).atMost(w.granted) }

// clock is the time on a clock that has that share of the skew.
func (w *world) clock(share int) time.Time {
	return w.now.Add(w.real().skew * time.Duration(share-w.slow) / 1000)
}

func (w *world) slowest() time.Time { return w.clock(0) }
func (w *world) fastest() time.Time { return w.clock(1000) }

// elapse lets time pass while everybody fetches and signs.
func (w *world) elapse(d time.Duration) {
	until := w.now.Add(d)
	h := w.real()
	for _, c := range w.copies {
		c.read(until, h)
	}
	ahead := w.fastest().Sub(w.now)
	for _, k := range w.keys {
		k.sign(w.now, until, ahead, w.policy.LongestToken, h)
	}
	w.now = until
	w.check()
}

// stored is the ring that the API server holds; false if there is none.
func (s secret) stored() (rotation.Ring, bool) {
	if s.ring == nil {
		return rotation.Ring{}, false
	}
	return *s.ring, true
}

// readBack is a ring after it was stored: a copy, with every instant as metav1.Time would have written and read it.
func readBack(r rotation.Ring) rotation.Ring {
	r.Keys, r.Denied = slices.Clone(r.Keys), slices.Clone(r.Denied)
	instants := []*time.Time{&r.CachesUntil}
	for i := range r.Keys {
		k := &r.Keys[i]
		instants = append(instants, &k.CreatedAt, &k.PublishedAt, &k.ActivatedAt, &k.RetiredAt)
	}
	for i := range r.Denied {
		d := &r.Denied[i]
		instants = append(instants, &d.CreatedAt, &d.RevokedAt, &d.Until)
	}
	for _, at := range instants {
		back, err := time.Parse(time.RFC3339, at.UTC().Format(time.RFC3339))
		if err != nil {
			panic(err)
		}
		*at = back
	}
	return r
}

// replace stores a ring under the version that was read; false if somebody else was faster.
func (w *world) replace(version int, r rotation.Ring, private map[string]bool, edits int) bool {
	if w.secret.version != version {
		return false
	}
	back := readBack(r)
	w.secret = secret{ring: &back, version: version + 1, private: private, edits: edits}
	w.past = append(w.past, w.secret)
	return true
}

func (w *world) mint(string) (string, error) {
	w.minted++
	return nameOf(w.minted), nil
}

// nameOf names keys a, b, ... z, k27, k28, ...
func nameOf(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	if n <= len(letters) {
		return letters[n-1 : n]
	}
	return fmt.Sprintf("k%d", n)
}

// look is what an operator reads of the API server.
func (w *world) look() view {
	v := view{secret: w.secret, status: w.status, policy: w.policy, edits: w.edits}
	for _, c := range w.copies {
		v.copies = append(v.copies, c.look())
	}
	return v
}

// signing brings the facts of keys in line with the ring that is stored now. Emergency says that whoever signs newly
// does not wait for verifiers to know the key.
func (w *world) signing(emergency bool) {
	ring, _ := w.secret.stored()
	for _, k := range ring.Keys {
		if k.State == rotation.Active && w.facts(k.ID) == nil {
			w.keys = append(w.keys, &keyFacts{id: k.ID})
		}
	}
	for _, f := range w.keys {
		k, _ := ring.Key(f.id)
		switch {
		case k.State != rotation.Active:
			f.signing = false
			continue
		case !f.signing:
			f.start(w.copies, w.now, emergency)
		}
		f.longest = k.LongestToken
	}
	w.elapse(0)
}

func (w *world) facts(id string) *keyFacts {
	if i := slices.IndexFunc(w.keys, func(f *keyFacts) bool { return f.id == id }); i >= 0 {
		return w.keys[i]
	}
	return nil
}

// live says whether a token of that key may be unexpired on some clock.
func (w *world) live(k *keyFacts) bool {
	return !k.dead && w.slowest().Before(k.expiry)
}

// check marks keys whose last token has expired, and asks the property.
func (w *world) check() {
	if w.watch.always != nil {
		w.judge(w.watch.always(w))
	}
	for _, k := range w.keys {
		k.dead = k.dead || !w.live(k)
	}
}

// grant lets the world do what an operator has recorded.
func (w *world) grant() {
	w.granted = habitsOf(w.policy)
	for _, k := range w.keys {
		k.excused = k.excused || k.revoked && w.real().skew > k.skew
	}
}

// judge fails with the story of the world if there is a complaint.
func (w *world) judge(complaint string) {
	if complaint != "" {
		w.t.Fatalf("%s: %s\n\nwhat happened:\n%s", w.at(w.now), complaint, strings.Join(w.story, "\n"))
	}
}

func (w *world) tell(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf("%10s  ", w.at(w.now))+fmt.Sprintf(format, args...))
}

// at renders an instant as the time since the world began.
func (w *world) at(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return fmt.Sprintf("%+.3fs", t.Sub(epoch()).Seconds())
}

func describe(p rotation.Policy) string {
	return fmt.Sprintf("%s period=%s cache=%s propagation=%s skew=%s token=%s staleness=%s revoked=%v request=%q",
		p.Algorithm, p.Period, p.VerifierCache, p.Propagation, p.Skew, p.LongestToken, p.SignerStaleness, p.Revoked, p.RotateRequest)
}

func (w *world) describe(r rotation.Ring) string {
	var out strings.Builder
	fmt.Fprintf(&out, "ring %d:", r.Generation)
	for _, k := range r.Keys {
		fmt.Fprintf(&out, " %s %s", k.ID, k.State)
		switch k.State {
		case rotation.Pending:
			fmt.Fprintf(&out, " (published %s)", w.at(k.PublishedAt))
		case rotation.Retired:
			fmt.Fprintf(&out, " (until %s)", w.at(k.RemoveAfter()))
		case rotation.Active:
			fmt.Fprintf(&out, " (tokens of %s)", k.LongestToken)
		}
	}
	for _, d := range r.Denied {
		fmt.Fprintf(&out, " %s denied (until %s)", d.ID, w.at(d.Until))
	}
	return out.String()
}
