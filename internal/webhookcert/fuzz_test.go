package webhookcert

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// FuzzParseMaterial: whatever stands in the Secret of the certificate, what is whole is read as it is written again, and nothing of a key is
// shown.
func FuzzParseMaterial(f *testing.F) {
	good, err := build(f, generatedAt(Plan{RenewCA: true, IssueServing: true}, testStart())).encode()
	if err != nil {
		f.Fatal(err)
	}
	entries := []string{authoritiesEntry, authorityKeyEntry, corev1.TLSCertKey, corev1.TLSPrivateKeyKey}
	parts := func(data map[string][]byte) (authorities, authorityKey, chain, key []byte) {
		return data[entries[0]], data[entries[1]], data[entries[2]], data[entries[3]]
	}
	authorities, authorityKey, chain, key := parts(good)
	f.Add(authorities, authorityKey, chain, key)
	f.Add(append(authorities, authorities...), authorityKey, append(chain, authorities...), key)
	f.Add(chain, key, authorities, authorityKey)
	f.Add(authorities, key, chain, authorityKey)
	f.Add(authorities[:100], authorityKey[:50], chain[:len(chain)-1], key[1:])
	f.Fuzz(func(t *testing.T, authorities, authorityKey, chain, key []byte) {
		material := ParseMaterial(map[string][]byte{entries[0]: authorities, entries[1]: authorityKey, entries[2]: chain, entries[3]: key})
		if shown := fmt.Sprintf("%v %+v %#v", material, material, material); strings.Contains(strings.ReplaceAll(shown, redacted, ""), "redacted") || len(shown) > 4*len(redacted) {
			t.Errorf("shown: %s", shown)
		}
		for _, authority := range material.authorities {
			if !authority.IsCA {
				t.Errorf("%s is no CA", authority.Subject)
			}
		}
		written, err := material.encode()
		if err != nil {
			if material.signer != nil && material.serving != nil {
				t.Errorf("what is whole cannot be written: %v", err)
			}
			return
		}
		again, err := ParseMaterial(written).encode()
		if diff := cmp.Diff(written, again); err != nil || diff != "" {
			t.Errorf("error %v, written (-first +again):\n%s", err, diff)
		}
	})
}
