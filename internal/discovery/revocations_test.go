package discovery

import (
	"errors"
	"net/http"
	"testing"

	"github.com/keyturn/keyturn/internal/denylist"
)

const denyPath = "/bank/main/revocations.json"

func TestADenyListIsServedBesideTheJWKS(t *testing.T) {
	r := begun(t)
	r.denied = denylist.Document{Content: []byte(`{"version":1}`), Tag: `"tag"`}
	for _, asked := range []string{denyPath, "/jwt" + denyPath} {
		response := r.get(asked)
		if response.Code != http.StatusOK || response.Body.String() != string(r.denied.Content) {
			t.Errorf("%s: status %d: %s", asked, response.Code, response.Body)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "ETag": `"tag"`, "Cache-Control": "public, max-age=5", "Access-Control-Allow-Origin": "*",
		} {
			if got := response.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", asked, name, got, want)
			}
		}
	}
	if response := r.get(denyPath, "If-None-Match", `"tag"`); response.Code != http.StatusNotModified {
		t.Errorf("status %d for a list that the client has, want 304", response.Code)
	}
	r.view.age = r.view.limit + 1
	if response := r.get(denyPath); response.Code != http.StatusOK || response.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("from an old view: status %d, %v", response.Code, response.Header())
	}
}

func TestADenyListIsServedWhileNoKeyIs(t *testing.T) {
	r := begun(t)
	r.denied = denylist.Document{Content: []byte(`{"version":1}`), Tag: `"tag"`}
	r.key.Spec.RevokedKeyIDs = revokedID(r.ring.IDs()[0])
	r.write(r.key)
	r.mustServe("the only key is revoked", http.StatusServiceUnavailable)
	if response := r.get(denyPath); response.Code != http.StatusOK {
		t.Errorf("status %d: %s", response.Code, response.Body)
	}
}

func TestADenyListThatNobodyKnowsIsNotServed(t *testing.T) {
	r := begun(t)
	if response := r.get(denyPath); response.Code != http.StatusNotFound || response.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("without an issuer: status %d, %v", response.Code, response.Header())
	}
	r.deniedError = errors.New("not read yet")
	if response := r.get(denyPath); response.Code != http.StatusServiceUnavailable || response.Header().Get("Retry-After") != "1" {
		t.Errorf("before it is read: status %d, %v", response.Code, response.Header())
	}
	if response := r.get("/bank/other/revocations.json"); response.Code != http.StatusNotFound {
		t.Errorf("of no SigningKey: status %d", response.Code)
	}
}
