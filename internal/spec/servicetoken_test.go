package spec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/spec"
)

func serviceToken(namespace, name string) *v1alpha1.ServiceToken {
	return &v1alpha1.ServiceToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "uid"},
		Spec: v1alpha1.ServiceTokenSpec{
			SigningKeyRef:      v1alpha1.SigningKeyReference{Name: "main"},
			ServiceAccountName: "till",
			Audiences:          []v1alpha1.Audience{"b", "a"},
		},
	}
}

func issuing() *v1alpha1.SigningKey {
	return signingKey(func(k *v1alpha1.SigningKey) {
		k.Spec.Issuer = "https://issuer.example"
		k.Spec.Rotation.ClockSkew = lasting(7 * time.Second)
	})
}

func TestRequest(t *testing.T) {
	defaults := token.Request{
		Issuer: "https://issuer.example", Subject: "system:serviceaccount:shop:till", Audiences: []string{"b", "a"}, Type: "JWT",
		Claims: map[string]any{}, Duration: time.Hour, Skew: 7 * time.Second,
	}
	with := func(change func(*token.Request)) token.Request {
		r := defaults
		change(&r)
		return r
	}
	cases := map[string]struct {
		given func(*v1alpha1.ServiceTokenSpec)
		want  token.Request
	}{
		"an empty spec has the API's defaults": {func(*v1alpha1.ServiceTokenSpec) {}, defaults},
		"a free subject": {
			func(s *v1alpha1.ServiceTokenSpec) { s.ServiceAccountName, s.Subject = "", "anybody" },
			with(func(r *token.Request) { r.Subject = "anybody" }),
		},
		"a plain profile": {func(s *v1alpha1.ServiceTokenSpec) { s.Profile = "JWT" }, defaults},
		"an access token": {
			func(s *v1alpha1.ServiceTokenSpec) { s.Profile = "AccessToken" },
			with(func(r *token.Request) { r.Type = "at+jwt" }),
		},
		"further claims": {
			func(s *v1alpha1.ServiceTokenSpec) { s.Claims = &runtime.RawExtension{Raw: []byte(`{"n":1.0}`)} },
			with(func(r *token.Request) { r.Claims = map[string]any{"n": json.Number("1.0")} }),
		},
		"claims without content": {func(s *v1alpha1.ServiceTokenSpec) { s.Claims = &runtime.RawExtension{} }, defaults},
		"a life and its renewal": {
			func(s *v1alpha1.ServiceTokenSpec) {
				s.Duration, s.RenewBefore = lasting(time.Minute), lasting(time.Second)
			},
			with(func(r *token.Request) { r.Duration, r.RenewBefore = time.Minute, time.Second }),
		},
		"an end": {
			func(s *v1alpha1.ServiceTokenSpec) { s.ExpiresAt = &metav1.Time{Time: epoch()} },
			with(func(r *token.Request) { r.ExpiresAt = epoch() }),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			asked := serviceToken("shop", "till")
			c.given(&asked.Spec)
			got, err := operator().Request(asked, issuing())
			if err != nil {
				t.Fatal(err)
			}
			got.Jitter = 0
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestSaysWhatIsWrong(t *testing.T) {
	claims := func(raw string) *v1alpha1.ServiceToken {
		t := serviceToken("shop", "till")
		t.Spec.Claims = &runtime.RawExtension{Raw: []byte(raw)}
		return t
	}
	cases := map[string]struct {
		token *v1alpha1.ServiceToken
		key   *v1alpha1.SigningKey
		want  string
	}{
		"a registered claim":        {claims(`{"sub":"root"}`), issuing(), `spec.claims hold the registered claim "sub"`},
		"claims that are no object": {claims(`[1]`), issuing(), `spec.claims are not a JSON object`},
		"claims that are too long":  {claims(`{"a":"` + strings.Repeat("b", 1<<20) + `"}`), issuing(), `spec.claims are 1048584 bytes of JSON`},
		"a key without an issuer":   {serviceToken("shop", "till"), signingKey(), `read issuer of SigningKey bank/main: spec.issuer is empty`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := operator().Request(c.token, c.key)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
	if _, err := operator().Request(serviceToken("shop", "till"), signingKey()); !errors.Is(err, spec.ErrIssuerMissing) {
		t.Errorf("error is %v, want %v", err, spec.ErrIssuerMissing)
	}
}

// TestJitter is the same for a name at all times, also after a restore under another UID, and spreads different names.
func TestJitter(t *testing.T) {
	jitter := func(namespace, name string, uid types.UID) float64 {
		asked := serviceToken(namespace, name)
		asked.UID = uid
		r, err := operator().Request(asked, issuing())
		if err != nil {
			t.Fatal(err)
		}
		return r.Jitter
	}
	seen := map[float64]string{}
	var tenths [10]int
	for i := range 1000 {
		namespace, name := fmt.Sprint("ns-", i%10), fmt.Sprint("token-", i/10)
		j := jitter(namespace, name, "uid")
		if again := jitter(namespace, name, "another uid"); again != j {
			t.Fatalf("the jitter of %s/%s is %g and %g", namespace, name, j, again)
		}
		if other, known := seen[j]; known || j < 0 || j > 1 {
			t.Fatalf("the jitter of %s/%s is %g, as that of %q", namespace, name, j, other)
		}
		seen[j] = namespace + "/" + name
		tenths[min(int(j*10), 9)]++
	}
	for tenth, n := range tenths {
		if n < 50 {
			t.Errorf("%d of 1000 names have a jitter around 0.%d", n, tenth)
		}
	}
}

func TestNamesOfAServiceTokensObjects(t *testing.T) {
	asked := serviceToken("shop", "till")
	got := []string{
		spec.KeyRef(asked).String(), spec.TokenSecretName(asked), spec.Duration(asked).String(), spec.ServiceAccountSubject("a", "b"),
		fmt.Sprint(spec.SigningKeyIndex(asked)),
	}
	asked.Spec.SigningKeyRef.Namespace, asked.Spec.SecretName, asked.Spec.Duration = "bank", "token", lasting(time.Minute)
	got = append(got, spec.KeyRef(asked).String(), spec.TokenSecretName(asked), spec.Duration(asked).String(), fmt.Sprint(spec.SigningKeyIndex(asked)))
	want := []string{
		"shop/main", "till", "1h0m0s", "system:serviceaccount:a:b", "[shop/main]",
		"bank/main", "token", "1m0s", "[bank/main]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestIndexesSkipOtherKinds(t *testing.T) {
	if got := spec.SigningKeyIndex(signingKey()); got != nil {
		t.Errorf("a SigningKey is indexed as a ServiceToken under %v", got)
	}
	if got := operator().IssuerIndex(serviceToken("shop", "till")); got != nil {
		t.Errorf("a ServiceToken is indexed as a SigningKey under %v", got)
	}
}
