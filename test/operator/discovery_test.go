package operator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
)

// verifier fetches what an operator serves by HTTPS, as verifiers do that trust the CA it publishes.
type verifier struct {
	w      *world
	client *http.Client
	url    string
	probes string
	// setups are how the operator was started.
	setups []setup
}

// beginServing starts an operator that serves HTTPS and probes.
func beginServing(t *testing.T, change ...setup) (*world, *verifier) {
	t.Helper()
	https := address(t)
	v := newVerifier(t, https, "https://"+https, change...)
	w := begin(t, v.setups...)
	v.meet(w)
	return w, v
}

// newVerifier is of an operator at that address, which is yet to be started with its setups.
func newVerifier(t *testing.T, https, external string, change ...setup) *verifier {
	t.Helper()
	v := &verifier{url: "https://" + https, probes: address(t)}
	v.setups = append(slices.Clone(change), func(o *app.Options, _ *rest.Config) {
		o.HTTPSAddress, o.ProbeAddress, o.Operator.ExternalURL = https, v.probes, external
	})
	return v
}

// meet waits until the operator is ready, and learns whom to trust.
func (v *verifier) meet(w *world) {
	w.t.Helper()
	v.w = w
	w.eventually("the operator is ready", v.isReady)
	ca := w.configMap("keyturn-system", "keyturn-ca")
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca.Data["ca.crt"])) {
		w.t.Fatalf("ConfigMap keyturn-ca holds no certificate: %v", ca.Data)
	}
	v.client = &http.Client{Transport: overhearing{&http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}}}
	w.t.Cleanup(v.client.CloseIdleConnections)
}

// answer is what a verifier got.
type answer struct {
	status int
	cache  string
	body   string
}

func (v *verifier) get(ctx context.Context, client *http.Client, url string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	got := answer{status: response.StatusCode, cache: response.Header.Get("Cache-Control"), body: string(body)}
	return got, errors.Join(err, response.Body.Close())
}

// fetch returns the answer to a path and fails the test if there is none at all.
func (v *verifier) fetch(path string) answer {
	v.w.t.Helper()
	got, err := v.get(v.w.t.Context(), v.client, v.url+path)
	v.w.must(err)
	return got
}

func (v *verifier) isReady() error { return v.probe("?verbose") }

// probe asks for the readiness of the operator as a whole, or of one part by its name after a slash.
func (v *verifier) probe(part string) error {
	got, err := v.get(v.w.t.Context(), http.DefaultClient, "http://"+v.probes+"/readyz"+part)
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("not ready: %s", got.body)
	}
	return err
}

// lifetime is for how many seconds a verifier may keep what it is given.
func (v *verifier) lifetime(path string) (seconds int) {
	v.w.t.Helper()
	got := v.fetch(path)
	if _, err := fmt.Sscanf(got.cache, "public, max-age=%d", &seconds); err != nil {
		v.w.t.Fatalf("Cache-Control is %q: %v", got.cache, err)
	}
	return seconds
}

// serves returns nil if exactly these keys are served of a SigningKey.
func (v *verifier) serves(ns, name string, want ...string) error {
	got := v.fetch("/" + ns + "/" + name + "/jwks.json")
	if got.status != http.StatusOK {
		return fmt.Errorf("status %d: %s", got.status, got.body)
	}
	if ids := published(v.w.t, got.body); !slices.Equal(ids, want) {
		return fmt.Errorf("served are %v, want %v", ids, want)
	}
	return nil
}

// watches fetches a JWKS all the time until the returned function is called, and fails the test once a key that has to be in
// it is missing, or one is there that must not be.
func (v *verifier) watches(ns, name string, always, never []string) (stop func()) {
	v.w.t.Helper()
	ctx, cancel := context.WithCancel(v.w.t.Context())
	ended := make(chan error, 1)
	go func() {
		fetched := errors.New("nothing was fetched meanwhile")
		for ctx.Err() == nil {
			got, err := v.get(ctx, v.client, v.url+"/"+ns+"/"+name+"/jwks.json")
			if ctx.Err() == nil && fetched != nil {
				fetched = err
			}
			missing := slices.ContainsFunc(always, func(id string) bool { return !strings.Contains(got.body, id) })
			extra := slices.ContainsFunc(never, func(id string) bool { return strings.Contains(got.body, id) })
			if ctx.Err() == nil && (got.status != http.StatusOK || missing || extra) {
				ended <- errors.Join(err, fmt.Errorf("%v must be served and %v must not, and it is: %d %s", always, never, got.status, got.body))
				return
			}
		}
		ended <- fetched
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			v.w.t.Error(err)
		}
	})
	v.w.t.Cleanup(stop)
	return stop
}

func TestWhatIsServedFollowsAKeyThroughItsLife(t *testing.T) {
	w, v := beginServing(t)
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop", func(k *v1alpha1.SigningKey) { k.Spec.Issuer = "" })},
		[]*v1alpha1.ServiceToken{newToken(ns, "cart", "shop", func(s *v1alpha1.ServiceToken) { s.Spec.Duration = duration(longestToken) })})
	first := w.key(ns, "shop").Status.ActiveKeyID
	w.eventually("the first key is served", func() error { return v.serves(ns, "shop", first) })

	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	w.must(json.Unmarshal([]byte(v.fetch("/"+ns+"/shop/.well-known/openid-configuration").body), &metadata))
	jwks, err := v.get(v.w.t.Context(), v.client, metadata.JWKSURI)
	w.must(err)
	if _, err := verify(string(w.secret(ns, "cart").Data["token"]), jwks.body, w.now(), metadata.Issuer); err != nil {
		t.Errorf("a verifier that knows the issuer alone cannot verify a token: %v", err)
	}
	if cm := w.configMap(ns, "shop-jwks"); cm.Data["jwks.json"] != jwks.body || cm.Data["issuer"] != metadata.Issuer {
		t.Errorf("served is %s of %s, the ConfigMap says %s of %s", jwks.body, metadata.Issuer, cm.Data["jwks.json"], cm.Data["issuer"])
	}

	stop := v.watches(ns, "shop", []string{first}, nil)
	w.step(period - lead)
	w.eventually("the next key is published", func() error {
		if len(w.key(ns, "shop").Status.Keys) != 2 || w.key(ns, "shop").Status.Keys[0].PublishedAt == nil {
			return errors.New("not yet")
		}
		return nil
	})
	next := w.key(ns, "shop").Status.Keys[0].ID
	w.eventually("both are served", func() error { return v.serves(ns, "shop", next, first) })
	w.step(lead + time.Second)
	w.settles(ns, "shop", "the next key signs", func(s map[v1alpha1.KeyState][]string) bool {
		return slices.Equal(s[v1alpha1.KeyActive], []string{next})
	})
	w.must(v.serves(ns, "shop", next, first))
	stop()
	w.step(longestToken + 2*skew + staleness)
	w.eventually("the first key is served no more", func() error { return v.serves(ns, "shop", next) })
	key := w.key(ns, "shop")
	w.patch(key, func() { key.Annotations = map[string]string{v1alpha1.AnnotationForceDelete: "true"} })
	w.must(w.c.Delete(t.Context(), key))
	w.eventually("nothing is served of what is gone", func() error {
		if got := v.fetch("/" + ns + "/shop/jwks.json"); got.status != http.StatusNotFound {
			return fmt.Errorf("status %d: %s", got.status, got.body)
		}
		return nil
	})
}

func TestARevokedKeyIsServedNoMore(t *testing.T) {
	w, v := beginServing(t)
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	bad := w.key(ns, "shop").Status.ActiveKeyID
	w.eventually("the key is served", func() error { return v.serves(ns, "shop", bad) })
	key := w.key(ns, "shop")
	w.patch(key, func() { key.Spec.RevokedKeyIDs = []v1alpha1.KeyID{v1alpha1.KeyID(bad)} })
	w.eventually("another key is served instead", func() error {
		fresh := w.key(ns, "shop").Status.ActiveKeyID
		if fresh == bad {
			return errors.New("not yet")
		}
		return v.serves(ns, "shop", fresh)
	})
	stop := v.watches(ns, "shop", nil, []string{bad})
	ring := w.secret(ns, "shop-signing-key")
	w.patch(ring, func() { ring.Data["ring.json"] = []byte("{") })
	w.keyIs(ns, "shop", v1alpha1.ConditionRingIntact, metav1.ConditionFalse, v1alpha1.ReasonRingLost)
	stop()
}

func TestALostRingLeavesWhatIsServed(t *testing.T) {
	w, v := beginServing(t)
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	first := w.key(ns, "shop").Status.ActiveKeyID
	w.eventually("the key is served", func() error { return v.serves(ns, "shop", first) })
	foreign := planted(t, ns, "shop")
	stop := v.watches(ns, "shop", []string{first}, []string{firstID(t, foreign)})
	cm := w.configMap(ns, "shop-jwks")
	whole := cm.Data["jwks.json"]
	w.patch(cm, func() { cm.Data, cm.Annotations = foreign.Data, foreign.Annotations })
	w.hasCopy(ns, "shop-jwks", whole)
	w.must(w.c.Delete(t.Context(), w.secret(ns, "shop-signing-key")))
	w.keyIs(ns, "shop", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.eventually("a fresh key signs", func() error {
		fresh := w.key(ns, "shop").Status.ActiveKeyID
		if fresh == first {
			return errors.New("not yet")
		}
		if ids := published(t, v.fetch("/"+ns+"/shop/jwks.json").body); !slices.Contains(ids, fresh) {
			return fmt.Errorf("served are %v, signing is %s", ids, fresh)
		}
		return nil
	})
	stop()
}

func TestAFetchCostsNoCallToTheAPIServer(t *testing.T) {
	w, v := beginServing(t)
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	w.eventually("the key is served", func() error { return v.serves(ns, "shop", w.key(ns, "shop").Status.ActiveKeyID) })
	w.settled(1)
	w.op.requests.forget()
	for range 200 {
		for _, path := range []string{"/" + ns + "/shop/jwks.json", "/" + ns + "/shop/.well-known/openid-configuration", "/" + ns + "/nothing/jwks.json"} {
			if got := v.fetch(path); got.status >= http.StatusInternalServerError {
				t.Fatalf("%s: status %d: %s", path, got.status, got.body)
			}
		}
	}
	if calls := append(w.op.requests.reads(), w.op.requests.writes()...); len(calls) > 0 {
		t.Errorf("600 requests made %d calls to the API server, the first %s", len(calls), calls[0])
	}
}

func TestAReplicaThatHearsNothingIsNotReadyAndStillServes(t *testing.T) {
	w, v := beginServing(t)
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	first := w.key(ns, "shop").Status.ActiveKeyID
	w.eventually("the key is served", func() error { return v.serves(ns, "shop", first) })
	w.must(v.isReady())

	w.op.requests.cut(true)
	w.op.clock.Step(time.Minute)
	w.must(v.isReady())
	w.op.clock.Step(2 * time.Minute)
	if err := v.isReady(); err == nil || !strings.Contains(err.Error(), "[-]cluster-view failed") {
		t.Errorf("three minutes after the API server was last heard of, readiness says: %v", err)
	}
	w.must(v.serves(ns, "shop", first))
	if life := v.lifetime("/" + ns + "/shop/jwks.json"); life > 10 {
		t.Errorf("what may be old is good for %d seconds", life)
	}

	w.op.requests.cut(false)
	w.op.clock.Step(10 * time.Minute)
	w.eventually("the replica hears the API server again", v.isReady)
	w.eventually("answers are good for long again", func() error {
		if life := v.lifetime("/" + ns + "/shop/jwks.json"); life < 3000 {
			return fmt.Errorf("good for %d seconds", life)
		}
		return nil
	})
}

func TestTheCAThatClientsTrustComesBack(t *testing.T) {
	w, v := beginServing(t)
	ca := w.configMap("keyturn-system", "keyturn-ca")
	w.must(w.c.Delete(t.Context(), ca))
	w.eventually("the ConfigMap is written again", func() error {
		w.op.clock.Step(time.Second) // A watch that has just ended is resumed a second later.
		again, err := read(w, client.ObjectKeyFromObject(ca), &corev1.ConfigMap{})
		if err == nil && again.Data["ca.crt"] != ca.Data["ca.crt"] {
			err = errors.New("it holds another CA")
		}
		return err
	})
	v.fetch("/")
}
