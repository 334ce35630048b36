package discovery

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/internal/spec"
)

// answered is how many requests were answered, by document and code.
func answered(t *testing.T) map[[2]string]uint64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[[2]string]uint64{}
	for _, family := range families {
		if family.GetName() != "keyturn_https_request_duration_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			found[[2]string{m.GetLabel()[1].GetValue(), m.GetLabel()[0].GetValue()}] = m.GetHistogram().GetSampleCount()
		}
	}
	return found
}

func TestRequestsAreCountedByDocumentAndCode(t *testing.T) {
	handler := NewHandler(NewDirectory(nil, nil, spec.Operator{}), nil, nil, clocktesting.NewFakePassiveClock(time.Unix(0, 0)), "", nil).Measured()
	before := answered(t)
	for _, asked := range []struct{ method, path string }{
		{http.MethodGet, "/bank/main/jwks.json"},
		{http.MethodOptions, "/bank/main/jwks.json"},
		{http.MethodGet, "/bank/main/.well-known/openid-configuration"},
		{http.MethodGet, "/.well-known/oauth-authorization-server/bank/main"},
		{http.MethodGet, "/bank/main/revocations.json"},
		{http.MethodGet, "/"},
		{http.MethodGet, "/wp-login.php"},
		{"BREW", "/coffee"},
	} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), asked.method, asked.path, nil))
	}
	got := map[[2]string]uint64{}
	for series, n := range answered(t) {
		if n > before[series] {
			got[series] = n - before[series]
		}
	}
	want := map[[2]string]uint64{
		{"JWKS", "404"}: 1, {"JWKS", "204"}: 1, {"Configuration", "404"}: 2, {"Revocations", "404"}: 1, {"None", "404"}: 2, {"None", "405"}: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestTheExpiryOfTheServedCertificateIsTold(t *testing.T) {
	end := time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)
	for sentence, test := range map[string]struct {
		served *tls.Certificate
		err    error
		want   int
	}{
		"a certificate":            {served: &tls.Certificate{Leaf: &x509.Certificate{NotAfter: end}}, want: 1},
		"one that is not read yet": {err: errors.New("not loaded yet")},
		"one that nobody parsed":   {served: &tls.Certificate{}},
	} {
		t.Run(sentence, func(t *testing.T) {
			server := &Server{Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return test.served, test.err }}
			if n := testutil.CollectAndCount(server); n != test.want {
				t.Fatalf("%d metrics are told, want %d", n, test.want)
			}
			if test.want == 0 {
				return
			}
			if got := testutil.ToFloat64(prometheus.Collector(server)); got != float64(end.Unix()) {
				t.Errorf("it expires at %v, want %d", got, end.Unix())
			}
			if faults, err := testutil.CollectAndLint(server); err != nil || len(faults) > 0 {
				t.Errorf("faults are %v, error %v", faults, err)
			}
		})
	}
}
