package token_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
)

func epoch() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// at is the instant so long after the epoch.
func at(d time.Duration) time.Time { return epoch().Add(d) }

func asked() token.Request {
	return token.Request{
		Issuer:    "https://issuer.example",
		Subject:   "system:serviceaccount:shop:till",
		Audiences: []string{"https://api.example", "b"},
		Type:      token.TypeJWT,
		Claims:    map[string]any{"level": json.Number("3"), "tags": []any{"a", "b"}},
		Duration:  time.Hour,
		Skew:      time.Minute,
		Jitter:    0.5,
	}
}

// signers are the private halves of a ring, by key ID.
type signers map[string]jose.PrivateKey

func (s signers) add(t testing.TB) string {
	t.Helper()
	key, err := jose.GenerateKey(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	s[key.ID()] = key
	return key.ID()
}

// sign signs claims and reads them back, as they come out of a Secret.
func (s signers) sign(t fataler, kid, typ string, claims []byte) *jose.Token {
	t.Helper()
	compact, err := jose.Sign(s[kid], typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	says, err := jose.Verify(compact.Reveal(), jose.NewKeySet(s[kid].Public()))
	if err != nil {
		t.Fatal(err)
	}
	return &says
}

func (s signers) issue(t fataler, r token.Request, kid, id string, iat time.Time) *jose.Token {
	t.Helper()
	claims, err := token.Encode(r.Payload(id, iat))
	if err != nil {
		t.Fatal(err)
	}
	return s.sign(t, kid, r.Type, claims)
}

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

// world is a token that was issued at the epoch, and who judges it when.
type world struct {
	signers signers
	// active, retired and unknown are key IDs; unknown is in no ring.
	active, retired, unknown string

	request token.Request
	have    *jose.Token
	keys    token.Keys
	now     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{signers: signers{}, request: asked(), now: at(10 * time.Minute)}
	w.active, w.retired, w.unknown = w.signers.add(t), w.signers.add(t), w.signers.add(t)
	w.keys.Ring = rotation.Ring{Keys: []rotation.Key{
		{ID: w.active, State: rotation.Active, LongestToken: 24 * time.Hour},
		{ID: w.retired, State: rotation.Retired, RetiredAt: at(0), LongestToken: time.Hour, Margin: 7 * time.Minute},
	}}
	w.have = w.signers.issue(t, w.request, w.active, "id", epoch())
	return w
}
