package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/e2e/history"
	"github.com/keyturn/keyturn/test/e2e/party"
)

// externalURL is where the operator of the tests serves discovery, for pods.
const externalURL = "https://keyturn." + operatorNamespace + ".svc"

// parties are a key that rotates within seconds, pods that mount its tokens and present them each second, and a pod that
// verifies them, by a JWKS that it mounts and by one that it finds through the issuer's URL. Another pod mounts no token of
// Keyturn's: it asks for one each second, and presents that to the gate.
type parties struct {
	c          *cluster
	key        *v1alpha1.SigningKey
	tokens     []*v1alpha1.ServiceToken
	presenters []*corev1.Pod
	verifier   *corev1.Pod
	asker      *corev1.Pod
	history    *history.History
	stop       func() // ends the history
}

// authority is the ConfigMap with the CA of the operator's server.
const authority = "keyturn-ca"

// newParties brings the parties up in a namespace, where they stay.
func (c *cluster) newParties(t *testing.T, namespace string) *parties {
	t.Helper()
	p := &parties{c: c, key: newKey(namespace, "orders", "")}
	p.history, p.stop = c.observe(t, namespace)
	p.tokens = []*v1alpha1.ServiceToken{
		newToken(namespace, "short", p.key.Name, shortToken), newToken(namespace, "long", p.key.Name, longestToken),
	}
	c.create(t, p.key)
	for _, token := range p.tokens {
		c.create(t, token)
	}
	c.awaitReady(t, p.key, p.tokens[0], p.tokens[1])
	c.copyAuthority(t, namespace)
	p.verifier = newPod(namespace, "verifier", []string{
		"verify", "-issuer=" + externalURL + "/" + namespace + "/" + p.key.Name, "-audience=" + audience, "-keep=" + keep.String(),
		"-jwks=/run/jwks/jwks.json", "-discover", "-ca=/run/ca/ca.crt",
	}, mountConfigMap("/run/jwks", p.key.Name+"-jwks"), mountConfigMap("/run/ca", authority))
	c.create(t, newService(namespace, p.verifier.Name), p.verifier)
	c.awaitPods(t, p.verifier)
	for _, token := range p.tokens {
		pod := newPod(namespace, "presents-"+token.Name, []string{"present", "-url=http://verifier/verify"}, mountSecret("/run/token", token.Name))
		p.presenters = append(p.presenters, pod)
		c.create(t, pod)
	}
	p.asker = c.newAsking(t, namespace).newPod(asks, "-every=1s")
	c.create(t, p.asker)
	c.awaitPods(t, append(p.presenters, p.asker)...)
	return p
}

// copyAuthority lets the pods of a namespace trust the operator's server.
func (c *cluster) copyAuthority(t *testing.T, namespace string) {
	t.Helper()
	published := get(t, c, operatorNamespace, authority, &corev1.ConfigMap{})
	c.create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: authority}, Data: published.Data})
}

// figures are what the parties have seen.
type figures struct {
	rotations, presented, refused, verified, fetches, failedFetches int
	// Of the one who asks: tokens that it got and was not given, and how often it had to wait; how often it was let in and was not,
	// and how often it had to try again.
	granted, denied, putOff, letIn, keptOut, again int
	// tokens and keys are the most that one presenter has seen different ones of.
	tokens, keys int
	reasons      []string
}

func (p *parties) figures(t *testing.T) figures {
	t.Helper()
	f := figures{rotations: p.history.Rotations(p.key.Name)}
	for _, pod := range p.presenters {
		seen := counts[party.Presented](t, p.c, pod)
		f.presented += seen.OK + seen.Failures()
		f.refused += seen.Failures()
		f.tokens, f.keys = max(f.tokens, seen.Tokens), max(f.keys, seen.Keys)
		f.reasons = append(f.reasons, reasons(pod.Name, seen.Tally)...)
	}
	for habit, seen := range counts[map[string]party.Judged](t, p.c, p.verifier) {
		f.verified += seen.Verified.OK
		f.fetches += seen.Fetched.OK
		f.failedFetches += seen.Fetched.Failures()
		f.reasons = append(f.reasons, reasons(habit, seen.Fetched)...)
	}
	asker := counts[party.Asked](t, p.c, p.asker)
	f.granted, f.denied, f.putOff = asker.Asked.OK, asker.Asked.Failures(), asker.PutOff.Failures()
	f.letIn, f.keptOut, f.again = asker.Presented.OK, asker.Presented.Failures(), asker.Again.Failures()
	for what, tally := range map[string]party.Tally{
		"asking": asker.Asked, "asking, put off": asker.PutOff, "at the gate": asker.Presented, "at the gate, tried again": asker.Again,
	} {
		f.reasons = append(f.reasons, reasons(what, tally)...)
	}
	return f
}

// reasons are those for which something did not go well.
func reasons(who string, tally party.Tally) []string {
	var told []string
	for reason, times := range tally.Failed {
		told = append(told, fmt.Sprintf("%s, %d times: %s", who, times, reason))
	}
	return told
}

// since are the figures of the time after others were taken.
func (f figures) since(before figures) figures {
	f.rotations -= before.rotations
	f.presented -= before.presented
	f.refused -= before.refused
	f.verified -= before.verified
	f.fetches -= before.fetches
	f.failedFetches -= before.failedFetches
	f.granted -= before.granted
	f.denied -= before.denied
	f.putOff -= before.putOff
	f.letIn -= before.letIn
	f.keptOut -= before.keptOut
	f.again -= before.again
	return f
}

func (f figures) String() string {
	text := fmt.Sprintf("%d rotations, %d times presented, %d verifications, %d failures", f.rotations, f.presented, f.verified, f.refused)
	if f.failedFetches > 0 {
		text += fmt.Sprintf("; %d of %d times a JWKS was asked for in vain", f.failedFetches, f.fetches+f.failedFetches)
	}
	text += fmt.Sprintf("; asked for %d tokens and let in by the gate %d times, %d failures", f.granted, f.letIn, f.denied+f.keptOut)
	if f.putOff+f.again > 0 {
		text += fmt.Sprintf(" (%d times told to ask later or not answered, %d times tried at the gate again)", f.putOff, f.again)
	}
	return text
}

// during shows something, and fails if meanwhile a token was refused, nothing was presented, a pod of the parties started
// again or a key was lost.
func (p *parties) during(t *testing.T, show func()) figures {
	t.Helper()
	before := p.figures(t)
	show()
	after := p.figures(t)
	f := after.since(before)
	if f.refused > 0 {
		t.Errorf("%d of %d presentations failed:\n%s", f.refused, f.presented, strings.Join(after.reasons, "\n"))
	}
	if f.denied+f.keptOut > 0 {
		t.Errorf("%d of %d tokens were not granted, and %d of %d times the gate kept one out:\n%s", f.denied, f.denied+f.granted,
			f.keptOut, f.keptOut+f.letIn, strings.Join(after.reasons, "\n"))
	}
	if f.putOff+f.again > 0 {
		t.Logf("those who had to ask again, since the start:\n%s", strings.Join(after.reasons, "\n"))
	}
	if f.granted == 0 || f.letIn == 0 {
		t.Errorf("%d tokens were granted, and the gate let %d in, want some of each:\n%s", f.granted, f.letIn, strings.Join(after.reasons, "\n"))
	}
	if f.presented == 0 || f.verified == 0 {
		t.Errorf("%d times presented and %d verifications, want some of each", f.presented, f.verified)
	}
	eventually(t, "all that was promised was kept", func() error {
		// A key that is published may be listed a moment later.
		if problems := p.history.Problems(p.c.clock.Now()); len(problems) > 0 {
			return errors.New(strings.Join(problems, "\n"))
		}
		return nil
	})
	for _, pod := range append(p.presenters, p.verifier, p.asker) {
		if restarts := p.c.restarts(t, pod); restarts != 0 {
			t.Errorf("pod %s was started again %d times", pod.Name, restarts)
		}
	}
	return f
}

// dismissShort ends the presenter whose token is too short for what comes next.
func (p *parties) dismissShort(t *testing.T) {
	t.Helper()
	must(t, p.c.Delete(t.Context(), p.presenters[0]), p.c.Delete(t.Context(), p.tokens[0]))
	p.presenters, p.tokens = p.presenters[1:], p.tokens[1:]
}

// awaitRotations waits until that many more keys have begun to sign.
func (p *parties) awaitRotations(t *testing.T, more int) {
	t.Helper()
	want := p.history.Rotations(p.key.Name) + more
	eventually(t, fmt.Sprintf("the key rotates %d times", more), func() error {
		if got := p.history.Rotations(p.key.Name); got < want {
			return fmt.Errorf("%d rotations, want %d", got, want)
		}
		return nil
	})
}

// awaitGranted waits until the one who asks gets another token, which nobody does while the API server does not answer: whose a token of
// a ServiceAccount is cannot be known then.
func (p *parties) awaitGranted(t *testing.T) {
	t.Helper()
	before := counts[party.Asked](t, p.c, p.asker).Asked.OK
	eventually(t, "a Pod that asks gets a token", func() error {
		if seen := counts[party.Asked](t, p.c, p.asker); seen.Asked.OK == before {
			return fmt.Errorf("it was put off %d times", seen.PutOff.Failures())
		}
		return nil
	})
}

// awaitPending waits until the key is in the middle of a rotation: the next one is published and does not sign yet.
func (p *parties) awaitPending(t *testing.T) {
	t.Helper()
	eventually(t, "a rotation begins", func() error {
		key := &v1alpha1.SigningKey{}
		if err := p.c.Get(t.Context(), client.ObjectKeyFromObject(p.key), key); err != nil {
			return err
		}
		for _, k := range key.Status.Keys {
			if k.State == v1alpha1.KeyPending {
				return nil
			}
		}
		return errors.New("there is no Pending key")
	})
}
