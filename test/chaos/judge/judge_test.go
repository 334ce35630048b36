package judge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	clocktesting "k8s.io/utils/clock/testing"
)

const (
	issuerName = "https://issuer.example"
	audience   = "api"
	life       = time.Minute
)

// story is a judge and what happens to its issuer.
type story struct {
	*Judge

	t     *testing.T
	clock *clocktesting.FakeClock
	keys  map[string]*ecdsa.PrivateKey
}

func newStory(t *testing.T) *story {
	t.Helper()
	clock := clocktesting.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	declared := Declared{Audience: audience, Cache: 2 * time.Second, Propagation: time.Second, Skew: time.Second}
	return &story{Judge: New(nil, clock, declared, t.Output()), t: t, clock: clock, keys: map[string]*ecdsa.PrivateKey{}}
}

func (s *story) key(id string) *ecdsa.PrivateKey {
	if s.keys[id] == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			s.t.Fatal(err)
		}
		s.keys[id] = key
	}
	return s.keys[id]
}

func (s *story) publish(ids ...string) {
	var set jose.JSONWebKeySet
	for _, id := range ids {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.key(id).Public(), KeyID: id, Algorithm: "ES256", Use: "sig"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		s.t.Fatal(err)
	}
	s.seeJWKS(s.clock.Now(), issuerName, string(text))
}

func (s *story) sign(id string) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key(id), KeyID: id}}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	now := s.clock.Now()
	compact, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: issuerName, Audience: jwt.Audience{audience}, ID: id + now.String(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(life)),
	}).Serialize()
	if err != nil {
		s.t.Fatal(err)
	}
	s.Take(id, compact)
}

// pass judges each second.
func (s *story) pass(seconds int) {
	for range seconds {
		s.clock.Step(time.Second)
		s.judge(s.t.Context())
	}
}

func TestJudge(t *testing.T) {
	const everywhere, lead = 4, 5
	for name, test := range map[string]struct {
		tell func(*story)
		// fails says that the promise is broken, and judged that somebody had to say so or the contrary.
		fails, judged bool
	}{
		"a published key signs": {judged: true, tell: func(s *story) { s.publish("a"); s.sign("a"); s.pass(3) }},
		"an orderly rotation": {judged: true, tell: func(s *story) {
			s.publish("a")
			s.sign("a")
			s.pass(1)
			s.publish("a", "b")
			s.pass(lead)
			s.sign("b")
			s.pass(3)
		}},
		"a key signs before every cache knows it": {fails: true, judged: true, tell: func(s *story) {
			s.publish("a")
			s.sign("a")
			s.pass(1)
			s.publish("a", "b")
			s.sign("b")
			s.pass(1)
		}},
		"a key leaves while a token of it lives": {fails: true, judged: true, tell: func(s *story) {
			s.publish("a", "b")
			s.sign("a")
			s.publish("b")
			s.pass(everywhere)
		}},
		"a revoked key leaves, and another signs at once": {judged: true, tell: func(s *story) {
			s.publish("a")
			s.sign("a")
			s.pass(1)
			s.Revoke(issuerName, "a")
			s.publish("b")
			s.sign("b")
			s.pass(everywhere)
		}},
		"the key that replaces a revoked one signs before the set is published": {judged: true, tell: func(s *story) {
			s.publish("a")
			s.Revoke(issuerName, "a")
			s.sign("b")
			s.pass(1)
			s.publish("b")
			s.pass(everywhere)
		}},
		"a key signs that is not published": {fails: true, judged: true, tell: func(s *story) {
			s.publish("a")
			s.sign("b")
			s.pass(1)
		}},
		"a revoked key still verifies somewhere": {fails: true, judged: true, tell: func(s *story) {
			s.publish("a", "b")
			s.sign("a")
			s.Revoke(issuerName, "a")
			s.publish("b")
			late := s.issuers[issuerName].published.Late(time.Hour, time.Second)
			s.issuers[issuerName].verifiers[0].Source = late
			s.pass(everywhere)
		}},
		"a revoked key is published again": {fails: true, tell: func(s *story) {
			s.publish("a", "b")
			s.Revoke(issuerName, "a")
			s.publish("b")
			s.publish("a", "b")
		}},
		"a revoked key signs afterwards": {fails: true, tell: func(s *story) {
			s.publish("a", "b")
			s.Revoke(issuerName, "a")
			s.publish("b")
			s.clock.Step(lead * time.Second)
			s.sign("a")
		}},
		"a key that is younger than the restored snapshot is nowhere": {tell: func(s *story) {
			s.publish("a")
			taken := s.clock.Now()
			s.clock.Step(time.Second)
			s.publish("a", "b")
			s.sign("b")
			s.Restored(taken)
			s.publish("a")
			s.pass(everywhere)
		}},
		"a revocation that is younger than the snapshot is forgotten, by some later than by others": {tell: func(s *story) {
			s.publish("a", "b")
			taken := s.clock.Now()
			s.clock.Step(time.Second)
			s.Revoke(issuerName, "a")
			s.publish("b")
			s.Restored(taken)
			s.publish("a", "b")
			s.publish("b", "c")
			s.publish("a", "b")
			s.Revoke(issuerName, "a")
			s.publish("b")
		}},
		"a key that is revoked again after a restore comes back": {fails: true, tell: func(s *story) {
			s.publish("a", "b")
			taken := s.clock.Now()
			s.clock.Step(time.Second)
			s.Revoke(issuerName, "a")
			s.publish("b")
			s.Restored(taken)
			s.publish("a", "b")
			s.Revoke(issuerName, "a")
			s.publish("b")
			s.publish("a", "b")
		}},
		"a key that was revoked before the snapshot comes back": {fails: true, tell: func(s *story) {
			s.publish("a", "b")
			s.Revoke(issuerName, "a")
			s.publish("b")
			s.Restored(s.clock.Now())
			s.publish("a", "b")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			test.tell(s)
			got := s.Count()
			if failed := got.Failures > 0; failed != test.fails {
				t.Errorf("%d failures, want some: %t", got.Failures, test.fails)
			}
			if test.judged && got.Verifications == 0 {
				t.Error("nothing was judged")
			}
		})
	}
}
