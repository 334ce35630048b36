package webhookcert

import (
	"crypto/sha256"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestEveryCallIsVerifiedThroughEveryRenewal fails when any of these is broken on purpose:
//   - signsFrom without want.Propagation, or answering newest.NotBefore for every CA: a CA signs before it is known;
//   - renewAuthority without the older authorities: the bundle loses what replicas still serve;
//   - pass reading the Secret before the configuration or the ConfigMap, or inject or publish without the optimistic lock: a slow
//     replica takes a new CA out of the bundle;
//   - knownBy without the ConfigMap: a CA signs before clients know it;
//   - pass counting a sighting from before its write: the propagation of a slow write is cut short;
//   - validity without backdating: a slow clock refuses what is new;
//   - renewal at the whole of a certificate's life: a late replica serves what has expired.
func TestEveryCallIsVerifiedThroughEveryRenewal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.age()
		for range 12 {
			w.step()
		}
		w.settle()
		elapsed := w.clock.Now().Sub(testStart())
		w.mustHaveRenewed(elapsed)
	})
}

// settle lets both replicas run until nothing is left to do at this instant.
func (w *world) settle() {
	for range 50 {
		quiet := true
		for _, r := range w.replicas {
			before := w.writes
			w.pass(r)
			quiet = quiet && w.writes == before && r.Ready(nil) == nil
		}
		if quiet {
			return
		}
		w.clock.Step(time.Second)
	}
	w.Fatalf("the replicas do not come to rest: %v, %v", w.replicas[0].Ready(nil), w.replicas[1].Ready(nil))
}

// mustHaveRenewed bounds the certificates of a run from below, so that standing still is no way to keep the property, and from
// above, so that nothing is issued without need.
func (w *world) mustHaveRenewed(elapsed time.Duration) {
	least := int(elapsed / (w.options.ServingLifetime + lateness))
	// One for each two thirds of both lives, the first ones, and two more for each CA: on its arrival and on its propagation.
	most := 4 + int(elapsed/(w.options.ServingLifetime/3*2)) + 4*int(elapsed/(w.options.CALifetime/3*2)+1) + w.lost
	served := map[[sha256.Size]byte]bool{}
	for pair := range w.accepted {
		served[pair.certificate] = true
	}
	if len(served) < least || len(served) > most {
		w.Errorf("%d certificates were served in %s, want %d to %d", len(served), elapsed, least, most)
	}
	if held := len(parseBundle(w.store.secret.Data[authoritiesEntry])); held > 3+w.lost {
		w.Errorf("the Secret holds %d authorities: old ones stay for ever", held)
	}
}
