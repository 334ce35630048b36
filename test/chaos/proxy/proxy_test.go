package proxy_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/keyturn/keyturn/test/chaos/proxy"
)

func TestFaults(t *testing.T) {
	refuse := func(*http.Request) bool { return false }
	for name, test := range map[string]struct {
		fault proxy.Fault
		away  bool
		// reaches says that the API server gets the request, and answered that who sent it hears of that.
		reaches, answered bool
	}{
		"no fault":              {reaches: true, answered: true},
		"the request is lost":   {fault: proxy.Fault{Before: refuse}},
		"the answer is lost":    {fault: proxy.Fault{After: refuse}, reaches: true},
		"no connection is made": {away: true},
	} {
		t.Run(name, func(t *testing.T) {
			var reached atomic.Int64
			server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
			defer server.Close()
			access := &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
			p, err := proxy.Listen(t.Context(), access, server.TLS.Certificates[0])
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}()
			p.Inject(test.fault)
			p.Cut(test.away)
			//nolint:gosec // The test knows with whom it speaks.
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL()+"/api", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err == nil {
				err = response.Body.Close()
			}
			if answered := err == nil; answered != test.answered {
				t.Errorf("answered: %t (%v), want %t", answered, err, test.answered)
			}
			if reaches := reached.Load() > 0; reaches != test.reaches {
				t.Errorf("reaches the API server: %t, want %t", reaches, test.reaches)
			}
		})
	}
}
