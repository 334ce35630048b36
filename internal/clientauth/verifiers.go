package clientauth

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

const (
	// fetchInterval is how often keys are fetched at most, as pkg/verify has it.
	fetchInterval = 10 * time.Second
	// fetchedCache is for how long fetched keys are used, and fetchedStale for how much longer while they cannot be fetched.
	fetchedCache = 5 * time.Minute
	fetchedStale = time.Hour
	// mostVerifiers bounds of how many clients the keys are kept.
	mostVerifiers = 1024
)

// assertionTypes are the values of "typ" that an assertion may have. An access token, at+jwt, is none.
func assertionTypes() []string { return []string{"", verify.TypeJWT, "client-authentication+jwt"} }

// verifiers keeps what verifies the assertions of clients.
type verifiers struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	known map[types.UID]known
}

// known is the verifier of a client, and what it was made from. A change of anything else leaves it, with the keys that it has
// fetched.
type known struct {
	keys     v1alpha1.PrivateKeyJWTAuthentication
	terms    terms
	verifier *verify.Verifier
}

func newVerifiers(clk clock.PassiveClock) *verifiers {
	return &verifiers{clock: clk, known: map[types.UID]known{}}
}

// of returns the verifier of a client that has keys, or says why its keys cannot be used.
func (v *verifiers) of(c *v1alpha1.TokenClient, terms terms) (*verify.Verifier, error) {
	keys := *c.Spec.Authentication.PrivateKeyJWT
	v.mu.Lock()
	defer v.mu.Unlock()
	if found, ok := v.known[c.UID]; ok && found.keys == keys && found.terms == terms {
		return found.verifier, nil
	}
	source, err := sourceOf(keys)
	if err != nil {
		return nil, err
	}
	made, err := verify.New(verify.Options{
		Issuers: []verify.Issuer{{
			Name: terms.client, Audiences: terms.audiences(), Keys: source, Types: assertionTypes(),
		}},
		ClockSkew: terms.allowedSkew(), Clock: v.clock.Now,
	})
	if err != nil {
		return nil, err
	}
	delete(v.known, c.UID)
	for other := range v.known {
		if len(v.known) < mostVerifiers {
			break
		}
		delete(v.known, other)
	}
	v.known[c.UID] = known{keys: keys, terms: terms, verifier: made}
	return made, nil
}

// sourceOf is where the keys of a client are, or says why they cannot be used.
func sourceOf(keys v1alpha1.PrivateKeyJWTAuthentication) (verify.KeySource, error) {
	if keys.JWKSURL == "" {
		set := []byte(keys.JWKS)
		return verify.Func(func() ([]byte, string, error) { return set, "", nil }), jose.CheckClientKeySet(set)
	}
	fetch := verify.Fetch{CacheDuration: fetchedCache, MaxStale: fetchedStale}
	if keys.CABundle != "" {
		fetch.CA = []byte(keys.CABundle)
	}
	return verify.URL{URL: keys.JWKSURL, Fetch: fetch}, nil
}
