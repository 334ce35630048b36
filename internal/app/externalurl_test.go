package app

import (
	"strings"
	"testing"
)

func TestExternalURLs(t *testing.T) {
	for sentence, test := range map[string]struct{ url, want string }{
		"none is needed":                         {"", ""},
		"a name":                                 {"https://Keys.example.com", ""},
		"a name in the cluster, a port, a path":  {"https://keyturn.keyturn-system.svc:8443/a/", ""},
		"an address":                             {"https://192.0.2.7:8443", ""},
		"an IPv6 address":                        {"https://[2001:db8::7]:8443", ""},
		"no TLS":                                 {"http://keys.example.com", `--external-url="http://keys.example.com": must be an https URL`},
		"a port without a host":                  {"https://:8443", `--external-url="https://:8443": the host "" is neither a DNS name nor an IP address`},
		"a host for which no certificate can be": {"https://my_keys.example.com", `the host "my_keys.example.com" is neither a DNS name nor an IP address`},
		"a wildcard":                             {"https://*.example.com", `the host "*.example.com" is neither`},
		"an address of one machine's interface":  {"https://[fe80::1%25eth0]", `the host "fe80::1%eth0" is neither`},
	} {
		t.Run(sentence, func(t *testing.T) {
			options := DefaultOptions()
			options.Operator.ExternalURL = test.url
			err := options.Complete()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("--external-url=%s gives %v\nwant %q", test.url, err, test.want)
			}
		})
	}
}
