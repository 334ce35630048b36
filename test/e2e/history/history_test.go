package history_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/e2e/history"
)

func at(seconds int) time.Time {
	return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

// story tells a history of keys that are named one and two.
type story struct {
	history.History

	t   *testing.T
	key *ecdsa.PrivateKey
}

func (s *story) token(now int, key string, expires int) {
	s.t.Helper()
	options := (&jose.SignerOptions{}).WithHeader("kid", key)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, options)
	if err != nil {
		s.t.Fatal(err)
	}
	compact, err := jwt.Signed(signer).Claims(jwt.Claims{ID: "token-" + key, Issuer: "issuer", Expiry: jwt.NewNumericDate(at(expires))}).Serialize()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.Token(at(now), compact); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) jwks(now int, keys ...string) {
	s.t.Helper()
	var set jose.JSONWebKeySet
	for _, id := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{KeyID: id, Algorithm: string(jose.ES256), Key: s.key.Public()})
	}
	text, err := json.Marshal(set)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.JWKS(at(now), "the JWKS", "issuer", string(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) status(now int, keys ...v1alpha1.KeyStatus) {
	status := &v1alpha1.SigningKeyStatus{Keys: keys}
	for _, key := range keys {
		if key.State == v1alpha1.KeyActive {
			status.ActiveKeyID = key.ID
		}
	}
	s.Status(at(now), "orders", status)
}

func key(id string, state v1alpha1.KeyState, removeAfter int) v1alpha1.KeyStatus {
	status := v1alpha1.KeyStatus{ID: id, State: state}
	if removeAfter > 0 {
		status.RemoveAfter = &metav1.Time{Time: at(removeAfter)}
	}
	return status
}

func TestAHistoryIsJudgedByWhatIsPromised(t *testing.T) {
	t.Parallel()
	const active, retired, revoked = v1alpha1.KeyActive, v1alpha1.KeyRetired, v1alpha1.KeyRevoked
	tests := map[string]struct {
		tell func(*story)
		want []string
	}{
		"an orderly rotation": {tell: func(s *story) {
			s.status(0, key("one", active, 0))
			s.jwks(0, "one")
			s.token(1, "one", 20)
			s.jwks(5, "one", "two")
			s.status(10, key("one", retired, 20), key("two", active, 0))
			s.token(11, "two", 40)
			s.status(20, key("two", active, 0))
			s.jwks(21, "two")
		}},
		"a key is withdrawn while a token of it lives": {tell: func(s *story) {
			s.status(0, key("one", active, 0), key("two", active, 0))
			s.token(1, "one", 20)
			s.jwks(0, "one")
			s.jwks(19, "two")
		}, want: []string{"the JWKS was without key one while its token token-on was alive"}},
		"a key signs before it is published": {tell: func(s *story) {
			s.status(0, key("one", active, 0), key("two", active, 0))
			s.jwks(0, "one")
			s.token(1, "two", 20)
		}, want: []string{"the JWKS was without key two while its token token-tw was alive"}},
		"a revoked key is withdrawn at once": {tell: func(s *story) {
			s.status(0, key("one", active, 0), key("two", active, 0))
			s.jwks(0, "one")
			s.token(1, "one", 20)
			s.jwks(5, "two")
			s.status(5, key("one", revoked, 20), key("two", active, 0))
		}},
		"an Active key is lost": {tell: func(s *story) {
			s.status(0, key("one", active, 0))
			s.status(5, key("two", active, 0))
		}, want: []string{"orders has lost key one, which was Active"}},
		"a Retired key is lost too early": {tell: func(s *story) {
			s.status(0, key("one", retired, 20), key("two", active, 0))
			s.status(19, key("two", active, 0))
		}, want: []string{"orders has lost key one before its removeAfter"}},
		"a key that nobody knows is published": {tell: func(s *story) {
			s.status(0, key("one", active, 0))
			s.jwks(0, "one", "stray")
		}, want: []string{"the JWKS has had key stray, which no SigningKey lists"}},
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &story{t: t, key: private}
			test.tell(s)
			if diff := cmp.Diff(test.want, s.Problems(at(30))); diff != "" {
				t.Errorf("the problems differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRotationsTokensAndKeysAreCounted(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, key: private}
	s.status(0, key("one", v1alpha1.KeyActive, 0))
	s.status(1, key("one", v1alpha1.KeyActive, 0), key("two", v1alpha1.KeyPending, 0))
	s.status(2, key("one", v1alpha1.KeyRetired, 9), key("two", v1alpha1.KeyActive, 0))
	s.token(1, "one", 5)
	s.token(1, "one", 5)
	got := []int{s.Rotations("orders"), s.Tokens(), s.Keys()}
	if diff := cmp.Diff([]int{1, 1, 2}, got); diff != "" {
		t.Errorf("rotations, tokens and keys differ (-want +got):\n%s", diff)
	}
}
