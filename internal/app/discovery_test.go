package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHTTPSOptionsThatCannotWorkAreRefusedByName(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"an address without a port":     {func(o *Options) { o.HTTPSAddress = "localhost" }, `--https-bind-address="localhost": must be host:port`},
		"a certificate without its key": {func(o *Options) { o.TLSCertFile = "tls.crt" }, `--tls-cert-file="tls.crt" and --tls-key-file="": give both`},
		"a key without its certificate": {func(o *Options) { o.TLSKeyFile = "tls.key" }, `--tls-cert-file="" and --tls-key-file="tls.key": give both`},
		"an external URL by HTTP":       {func(o *Options) { o.Operator.ExternalURL = "http://a.example" }, `--external-url="http://a.example": must be an https URL`},
	} {
		t.Run(sentence, func(t *testing.T) {
			options := DefaultOptions()
			c.change(&options)
			if err := options.Complete(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %s", err, c.want)
			}
		})
	}
}

func TestTheCertificateIsForTheNamesUnderWhichVerifiersCome(t *testing.T) {
	service := []string{"keyturn.tokens.svc", "keyturn.tokens.svc.cluster.local"}
	for sentence, c := range map[string]struct {
		change func(*Options)
		want   []string
	}{
		"the Service":                         {func(*Options) {}, service},
		"and the host of the external URL":    {func(o *Options) { o.Operator.ExternalURL = "https://JWT.example:8443/a" }, append(service, "jwt.example")},
		"none, if HTTPS is not served":        {func(o *Options) { o.HTTPSAddress = "0" }, nil},
		"none, if another certificate is had": {func(o *Options) { o.TLSCertFile, o.TLSKeyFile = "tls.crt", "tls.key" }, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			options := DefaultOptions()
			options.Namespace = "tokens"
			c.change(&options)
			if err := options.Complete(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, options.httpsNames()); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}
