package webhookcert

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func testData(t *testing.T) map[string][]byte {
	t.Helper()
	data, err := build(t, generatedAt(Plan{RenewCA: true, IssueServing: true}, testStart())).encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMaterialSurvivesTheSecret(t *testing.T) {
	data := testData(t)
	again, err := ParseMaterial(data).encode()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(data, again); diff != "" {
		t.Errorf("data read and written again differs:\n%s", diff)
	}
}

func TestDamageCostsOnlyWhatIsDamaged(t *testing.T) {
	other := testData(t)
	cases := map[string]struct {
		damage  map[string][]byte
		signs   bool
		serves  bool
		bundles int
	}{
		"nothing":                             {signs: true, serves: true, bundles: 1},
		"ca.key missing":                      {damage: map[string][]byte{authorityKeyEntry: nil}, serves: true, bundles: 1},
		"ca.key not PEM":                      {damage: map[string][]byte{authorityKeyEntry: []byte("x")}, serves: true, bundles: 1},
		"ca.key of another CA":                {damage: map[string][]byte{authorityKeyEntry: other[authorityKeyEntry]}, serves: true, bundles: 1},
		"ca.key holds a certificate":          {damage: map[string][]byte{authorityKeyEntry: other[authoritiesEntry]}, serves: true, bundles: 1},
		"ca.crt missing":                      {damage: map[string][]byte{authoritiesEntry: nil}},
		"ca.crt holds no certificate of a CA": {damage: map[string][]byte{authoritiesEntry: other[corev1.TLSCertKey]}},
		"ca.crt of another CA":                {damage: map[string][]byte{authoritiesEntry: other[authoritiesEntry]}, bundles: 1},
		"ca.crt with a damaged block after the good one": {
			damage: map[string][]byte{authoritiesEntry: append(bytes.Clone(testData(t)[authoritiesEntry]), brokenBlock()...)}, bundles: 1,
		},
		"tls.crt missing":             {damage: map[string][]byte{corev1.TLSCertKey: nil}, signs: true, bundles: 1},
		"tls.key of another":          {damage: map[string][]byte{corev1.TLSPrivateKeyKey: other[corev1.TLSPrivateKeyKey]}, signs: true, bundles: 1},
		"tls.crt and tls.key foreign": {damage: map[string][]byte{corev1.TLSCertKey: other[corev1.TLSCertKey], corev1.TLSPrivateKeyKey: other[corev1.TLSPrivateKeyKey]}, signs: true, bundles: 1},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			data := testData(t)
			maps.Copy(data, test.damage)
			material := ParseMaterial(data)
			if got := material.canSign(testStart()); got != test.signs {
				t.Errorf("can sign: %t, want %t", got, test.signs)
			}
			if got := material.canServe(testStart()); got != test.serves {
				t.Errorf("can be served: %t, want %t", got, test.serves)
			}
			if got := len(material.authorities); got != test.bundles {
				t.Errorf("%d authorities are trusted, want %d", got, test.bundles)
			}
		})
	}
}

func brokenBlock() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: []byte("not a certificate")})
}

func TestMaterialShowsNoKey(t *testing.T) {
	material := ParseMaterial(testData(t))
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("material", "value", material)
	for how, shown := range map[string]string{
		"%v":   fmt.Sprintf("%v", material),
		"%+v":  fmt.Sprintf("%+v", &material),
		"%#v":  fmt.Sprintf("%#v", material),
		"%x":   fmt.Sprintf("%x", material),
		"view": fmt.Sprintf("%+v", &view{certificate: material.serving}),
		"slog": logged.String(),
	} {
		if !strings.Contains(shown, redacted) || len(shown) > len(redacted)+100 {
			t.Errorf("%s shows %q", how, shown)
		}
	}
}
