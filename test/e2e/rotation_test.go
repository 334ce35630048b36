package e2e_test

import "testing"

// rotations is how many a mounted token has to survive.
const rotations = 3

// Pods mount tokens and present them each second, to a pod that verifies them by JWK Sets that it caches. Both go on through
// all that follows.
func mountedTokensVerifyThroughRotations(t *testing.T, p *parties) {
	f := p.during(t, func() { p.awaitRotations(t, rotations) })
	if f.keys < rotations {
		t.Errorf("the file of no pod held tokens of more than %d keys, want %d", f.keys, rotations)
	}
	p.c.report.saw(t, "rotation seen from pods", "%s; a file held %d tokens of %d keys, and no pod started again", f, f.tokens, f.keys)
}
