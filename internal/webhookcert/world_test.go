package webhookcert

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
)

// A world is one API server's objects and two replicas that run the real passes over them. Nobody tells a replica of a change:
// each acts on what it read last until its own next instant, or later, or for no reason earlier. At every API call of a pass
// the call may fail before or after its effect, time may go by, and the other replica may run whole passes.
type world struct {
	*rapid.T
	options  Options
	clock    *clocktesting.FakeClock
	store    *store
	replicas []*replica
	// bundles are what API servers and clients were given, in the order in which they replaced each other.
	bundles  [2][]bundleSince
	accepted map[verified]window
	writes   int
	// calm worlds neither fail nor interrupt a call.
	calm bool
	// lost counts the CA keys that somebody deleted.
	lost int
}

type (
	verified struct {
		certificate [sha256.Size]byte
		caller      int
		bundle      int
	}
	window struct{ from, until time.Time }
)

type bundleSince struct {
	from   time.Time
	bundle []byte
}

type replica struct {
	*Manager
	due time.Time
	// latest is when it has run at the latest: an error is retried without delay.
	latest time.Time
	// inPass keeps a replica from running inside its own pass: it has one goroutine.
	inPass bool
}

// lateness is how long a replica may sleep over its instant: less than the sixth of a certificate's life that is left when no
// overlap is waited for any more.
const lateness = 4 * day

func newWorld(t *rapid.T) *world {
	w := &world{
		T: t, options: testOptions(),
		clock:    clocktesting.NewFakeClock(testStart()),
		accepted: map[verified]window{},
	}
	w.options.Backdate = time.Hour
	w.options.CALifetime = 120 * day
	w.options.Overlap = 5 * day
	w.store = &store{around: w.call, configuration: testConfiguration()}
	w.store.configuration.ResourceVersion = w.store.next()
	for range 2 {
		w.replicas = append(w.replicas, &replica{due: testStart(), latest: testStart()})
		w.restart(w.replicas[len(w.replicas)-1])
	}
	return w
}

func testConfiguration() *admissionregistrationv1.ValidatingWebhookConfiguration {
	url := "https://127.0.0.1/validate"
	webhook := func(name string) admissionregistrationv1.ValidatingWebhook {
		return admissionregistrationv1.ValidatingWebhook{
			Name:                    name,
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &url},
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}
	}
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: testOptions().WebhookConfiguration},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{
			webhook("signingkeys.keyturn.dev"), webhook("secrets.keyturn.dev"),
		},
	}
}

// restart loses what the replica remembers. Its clock may be wrong by a few minutes from now on.
func (w *world) restart(r *replica) {
	wrong := time.Duration(rapid.IntRange(-300, 300).Draw(w.T, "clock wrong by seconds")) * time.Second
	manager, err := New(w.store, skewed{w.clock, wrong}, w.options)
	if err != nil {
		w.Fatal(err)
	}
	r.Manager = manager
}

type skewed struct {
	clock.Clock
	by time.Duration
}

func (s skewed) Now() time.Time { return s.Clock.Now().Add(s.by) }

// call stands around every request.
func (w *world) call(writes bool, do func() error) error {
	if !w.calm {
		w.disturb()
	}
	fate := delivered
	if !w.calm {
		fate = rapid.SampledFrom(fates()).Draw(w.T, "fate of the request")
	}
	if fate == unreached {
		return errors.New("the API server was not reached")
	}
	err := do()
	if err == nil && writes {
		w.writes++
		w.record()
		w.verifyAll()
	}
	if err == nil && fate == answerLost {
		return errors.New("the API server's answer was lost")
	}
	return err
}

const (
	delivered  = "delivered"
	unreached  = "unreached"
	answerLost = "answer lost"
)

// fates are one in ten failures; rapid shrinks towards the first.
func fates() []string {
	return append(slices.Repeat([]string{delivered}, 18), unreached, answerLost)
}

// disturb lets the replica that is not in a pass run while the other one waits for the API server.
func (w *world) disturb() {
	if rapid.IntRange(0, 3).Draw(w.T, "disturb") > 0 {
		return
	}
	for range rapid.IntRange(1, 3).Draw(w.T, "passes of the other") {
		for _, other := range w.replicas {
			if other.inPass {
				continue
			}
			if soon := other.due.Sub(w.clock.Now()); soon > 0 && soon < time.Hour {
				w.clock.Step(soon)
			}
			w.pass(other)
		}
	}
	w.loseKey()
	w.clock.Step(time.Duration(rapid.IntRange(0, 30000).Draw(w.T, "slow by milliseconds")) * time.Millisecond)
	w.verifyAll()
}

// pass runs one pass and what Start makes of its outcome.
func (w *world) pass(r *replica) {
	r.inPass = true
	result, err := r.pass(w.Context())
	r.inPass = false
	r.due = result.next.Add(-r.clock.(skewed).by)
	r.latest = r.due.Add(lateness)
	if err != nil || r.due.Before(w.clock.Now()) {
		r.due = w.clock.Now().Add(firstRetry)
		r.latest = w.clock.Now().Add(lastRetry)
	}
	w.verifyAll()
}

// age runs the replicas punctually for some renewals.
func (w *world) age() {
	w.calm = true
	for range rapid.IntRange(0, 10).Draw(w.T, "punctual passes") {
		w.sleep(earliest(w.replicas[0].due, w.replicas[1].due))
		for _, r := range w.replicas {
			w.pass(r)
		}
	}
	w.calm = false
}

// step moves to some instant near one at which something is planned.
func (w *world) step() {
	r := w.replicas[rapid.IntRange(0, 1).Draw(w.T, "replica")]
	var wakes time.Time
	switch rapid.IntRange(0, 5).Draw(w.T, "wake-up") {
	case 0:
		wakes = w.clock.Now()
	case 1:
		wakes = r.due.Add(-time.Duration(rapid.IntRange(0, 90).Draw(w.T, "early by seconds")) * time.Second)
	case 2:
		wakes = r.due.Add(time.Duration(rapid.Int64Range(0, int64(lateness)).Draw(w.T, "late")))
		wakes = earliest(wakes, later(r.due, r.latest))
	default:
		wakes = r.due
	}
	w.sleep(wakes)
	if rapid.IntRange(0, 9).Draw(w.T, "restart") == 0 {
		w.restart(r)
	}
	w.loseKey()
	w.pass(r)
}

// loseKey has somebody damage the Secret now and then, which calls for a new CA out of turn.
func (w *world) loseKey() {
	if rapid.IntRange(0, 24).Draw(w.T, "lose the CA's key") > 0 {
		return
	}
	if w.store.secret != nil {
		damaged := w.store.secret.DeepCopy()
		delete(damaged.Data, authorityKeyEntry)
		w.store.put(damaged)
		w.lost++
	}
}

// sleep moves time on to an instant; a replica that would oversleep runs first.
func (w *world) sleep(until time.Time) {
	for {
		next := slices.MinFunc(w.replicas, func(a, b *replica) int { return a.latest.Compare(b.latest) })
		if !next.latest.Before(until) {
			break
		}
		w.clock.SetTime(later(w.clock.Now(), next.latest))
		w.pass(next)
	}
	w.clock.SetTime(later(w.clock.Now(), until))
	w.verifyAll()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// record keeps the histories of the bundles that API servers and clients are given.
func (w *world) record() {
	present := [2][]byte{w.store.configuration.Webhooks[0].ClientConfig.CABundle}
	if w.store.published != nil {
		present[1] = []byte(w.store.published.Data[authoritiesEntry])
	}
	for caller, bundle := range present {
		given := w.bundles[caller]
		if n := len(given); len(bundle) > 0 && (n == 0 || !bytes.Equal(given[n-1].bundle, bundle)) {
			w.bundles[caller] = append(given, bundleSince{from: w.clock.Now(), bundle: bundle})
		}
	}
}

// verifyAll is the property: every API server and every client, also one that still acts on what the configuration or the
// ConfigMap was a propagation ago or whose clock is slow, verifies what every replica serves.
func (w *world) verifyAll() {
	w.Helper()
	now := w.clock.Now()
	for _, r := range w.replicas {
		served, err := r.GetCertificate(nil)
		if err != nil {
			continue
		}
		for caller := range w.bundles {
			w.verify(served, caller, now)
		}
	}
}

func (w *world) verify(served *tls.Certificate, caller int, now time.Time) {
	w.Helper()
	bundles := w.bundles[caller]
	for i, given := range bundles {
		if i+1 < len(bundles) && now.Sub(bundles[i+1].from) >= w.options.Propagation {
			continue
		}
		for _, slow := range []time.Duration{0, 30 * time.Minute} {
			if err := w.accept(served, caller, i, now.Add(-slow)); err != nil {
				w.Fatalf("at %s (%s slow), bundle %d of %d of %s since %s: %v",
					now, slow, i, len(bundles), []string{"API servers", "clients"}[caller], given.from, err)
			}
		}
	}
}

// accept asks crypto/x509 once for each certificate and bundle, and remembers for which instants the answer holds.
func (w *world) accept(served *tls.Certificate, caller, bundle int, at time.Time) error {
	pair := verified{certificate: sha256.Sum256(served.Certificate[0]), caller: caller, bundle: bundle}
	if known, ok := w.accepted[pair]; ok && !at.Before(known.from) && !at.After(known.until) {
		return nil
	}
	roots := parseBundle(w.bundles[caller][bundle].bundle)
	if err := verify(served, poolOf(roots), at, w.options.Names...); err != nil {
		return err
	}
	for _, root := range roots {
		if served.Leaf.CheckSignatureFrom(root) == nil {
			w.accepted[pair] = window{
				from:  later(served.Leaf.NotBefore, root.NotBefore),
				until: earliest(served.Leaf.NotAfter, root.NotAfter),
			}
		}
	}
	return nil
}
