// Package interop tests that what Keyturn issues and publishes is understood by JOSE libraries of other languages, and that
// what such a library signs with a mounted key is understood by Keyturn. A machine without the libraries skips.
package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/keyring"
)

// trial is a token, and why a library must refuse it; empty if it must verify.
type trial struct {
	task    task
	refusal string
}

// trials tell the life of one key: it signs from two hours ago, a key of another algorithm takes over, and at last it is
// revoked.
func trials(t *testing.T, algorithm jose.Algorithm) map[string]trial {
	t.Helper()
	issuer := newIssuer(t, algorithm)
	start, keyID := issuer.start, issuer.activeKeyID()
	early := issuer.issue(issuer.request(24*time.Hour, token.TypeJWT), start)
	expired := issuer.issue(issuer.request(30*time.Minute, token.TypeJWT), start)
	access := issuer.issue(issuer.request(3*time.Hour, token.TypeAccessToken), start.Add(time.Minute))

	successor := jose.EdDSA
	if algorithm == successor {
		successor = jose.ES256
	}
	published := start.Add(30 * time.Minute)
	issuer.changeAlgorithm(successor, published)
	if issuer.activeKeyID() == keyID {
		t.Fatal("no other key took over")
	}
	retired := early
	retired.JWKS = issuer.jwks()
	takeover := published.Add(issuer.policy.Lead())
	late := issuer.issue(issuer.request(3*time.Hour, token.TypeJWT), takeover)

	issuer.revoke(keyID, takeover.Add(time.Minute))
	revoked := early
	revoked.JWKS = issuer.jwks()

	return map[string]trial{
		"a token verifies while its key signs":                {task: early},
		"an access token verifies as one":                     {task: access},
		"a token verifies after another key has taken over":   {task: retired},
		"a token of the key that has taken over verifies too": {task: late},
		"a token of which a claim was changed is refused":     {task: forged(t, early, 1), refusal: "bad signature"},
		"a token of which the signature was changed is too":   {task: forged(t, early, 2), refusal: "bad signature"},
		"a token of a key that left the JWKS is refused":      {task: revoked, refusal: "unknown key"},
		"a token that has expired is refused":                 {task: expired, refusal: "expired"},
	}
}

// forged changes part 1 of a token, its claims, or part 2, its signature, and leaves the others as they were.
func forged(t *testing.T, original task, part int) task {
	t.Helper()
	parts := strings.Split(original.Token, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil {
		t.Fatal(err)
	}
	if part == 1 {
		decoded = []byte(strings.Replace(string(decoded), "orders:read", "orders:rule", 1))
	} else {
		decoded[len(decoded)-1] ^= 1
	}
	parts[part] = base64.RawURLEncoding.EncodeToString(decoded)
	original.Token = strings.Join(parts, ".")
	return original
}

// TestForeignLibrariesAreHere is what the Makefile asks, because `go test` tells nobody which tests were skipped.
func TestForeignLibrariesAreHere(t *testing.T) {
	t.Parallel()
	for _, library := range append(libraries(), clients()...) {
		t.Run(library.name, func(t *testing.T) { library.program(t) })
	}
}

func TestForeignLibrariesAgreeOnTokens(t *testing.T) {
	t.Parallel()
	for _, library := range libraries() {
		t.Run(library.name, func(t *testing.T) {
			program := library.program(t)
			for _, algorithm := range jose.Algorithms() {
				t.Run(string(algorithm), func(t *testing.T) {
					judge(t, program, trials(t, algorithm))
				})
			}
		})
	}
}

func judge(t *testing.T, program program, trials map[string]trial) {
	t.Helper()
	var sentences []string
	var tasks []task
	for sentence, trial := range trials {
		sentences, tasks = append(sentences, sentence), append(tasks, trial.task)
	}
	for i, got := range program.do(t, tasks...) {
		want := answer{Refusal: trials[sentences[i]].refusal}
		if want.Refusal == "" {
			want.Claims = claimsOf(t, tasks[i].Token)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the answer differs (-want +got):\n%s", sentences[i], diff)
		}
	}
}

// claimsOf reads what was signed.
func claimsOf(t *testing.T, compact string) map[string]any {
	t.Helper()
	says, err := jose.Parse(compact)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(says.Claims, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestApplicationsSignWithTheMountedKey(t *testing.T) {
	t.Parallel()
	for _, library := range libraries() {
		t.Run(library.name, func(t *testing.T) {
			program := library.program(t)
			for _, algorithm := range jose.Algorithms() {
				t.Run(string(algorithm), func(t *testing.T) {
					signWithMountedKey(t, program, newIssuer(t, algorithm))
				})
			}
		})
	}
}

func signWithMountedKey(t *testing.T, program program, issuer *issuer) {
	t.Helper()
	sign := task{
		Algorithm: issuer.policy.Algorithm, KeyID: issuer.activeKeyID(),
		Claims: map[string]any{"iss": issuerName, "sub": "an application", "exp": issuer.start.Add(3 * time.Hour).Unix()},
	}
	withPEM, withJWK := sign, sign
	withPEM.PEM, withJWK.JWK = issuer.stored(keyring.EntryPEM), issuer.stored(keyring.EntryJWK)
	for i, signed := range program.do(t, withPEM, withJWK) {
		entry := []string{keyring.EntryPEM, keyring.EntryJWK}[i]
		says, err := jose.Verify(signed.Token, issuer.ring.Public())
		if err != nil {
			t.Errorf("a token signed with %s: %v", entry, err)
		} else if says.Subject != "an application" {
			t.Errorf("a token signed with %s says sub %q", entry, says.Subject)
		}
	}
}
