package gate

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/requestrules"
)

func from(method, host, target string) Incoming {
	return Incoming{Method: []string{method}, Host: []string{host}, URI: []string{target}}
}

func read(method, host, path, query string) requestrules.Request {
	return requestrules.Request{Method: method, Host: host, Path: path, Query: query}
}

func TestRulesSeeWhatWasAskedFor(t *testing.T) {
	for name, test := range map[string]struct {
		method, host, target string
		want                 requestrules.Request
	}{
		"as it is":                  {"GET", "orders.example.com", "/orders/7?state=open&x=%2f//", read("GET", "orders.example.com", "/orders/7", "state=open&x=%2f//")},
		"an encoded path":           {"PUT", "a", "/caf%C3%A9/a%20b%2eTXT", read("PUT", "a", "/café/a b.TXT", "")},
		"a slash at the end":        {"GET", "a", "/orders/", read("GET", "a", "/orders/", "")},
		"dots within names":         {"GET", "a", "/..a/b../...", read("GET", "a", "/..a/b../...", "")},
		"a percent sign":            {"GET", "a", "/100%25", read("GET", "a", "/100%", "")},
		"question marks in a query": {"GET", "a", "/?a?b", read("GET", "a", "/", "a?b")},
		"a host in capitals":        {"get", "Orders.Example.COM", "/", read("get", "orders.example.com", "/", "")},
		"a host with a port":        {"GET", "orders.example.com:8443", "/", read("GET", "orders.example.com", "/", "")},
		"a host with a dot":         {"GET", "orders.example.com.", "/", read("GET", "orders.example.com", "/", "")},
		"an address":                {"GET", "10.0.0.1:80", "/", read("GET", "10.0.0.1", "/", "")},
		"an address of IPv6":        {"GET", "[2001:DB8::1]:443", "/", read("GET", "2001:db8::1", "/", "")},
		"one without a port":        {"GET", "[::1]", "/", read("GET", "::1", "/", "")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := from(test.method, test.host, test.target).canonical()
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// ambiguous are request targets that one server reads as another path than the next one.
func ambiguous() map[string]string {
	return map[string]string{
		"an encoded slash":               "/public%2fadmin",
		"an encoded slash in capitals":   "/public%2Fadmin",
		"an encoded backslash":           `/public%5cadmin`,
		"a backslash":                    `/public\admin`,
		"a dot segment":                  "/public/../admin",
		"a dot segment at the end":       "/admin/..",
		"a single dot":                   "/./admin",
		"encoded dots":                   "/public/%2e%2e/admin",
		"one encoded dot":                "/public/.%2E/admin",
		"an encoded dot alone":           "/%2e/admin",
		"an empty segment":               "/public//admin",
		"an empty segment first":         "//admin",
		"a parameter":                    "/public;x=1/admin",
		"a dot segment with a parameter": "/public/..;/admin",
		"an encoded semicolon":           "/public%3b/admin",
		"encoded twice":                  "/public/%252e%252e/admin",
		"a slash encoded twice":          "/public%252fadmin",
		"an encoded null":                "/admin%00.png",
		"an encoded line break":          "/a%0d%0aX-Subject: root",
		"a line break":                   "/a\r\nX-Subject: root",
		"a tab":                          "/a\tb",
		"a space":                        "/a b",
		"a delete":                       "/a\x7f",
		"an encoded control of C1":       "/a%C2%85",
		"an encoded question mark":       "/admin%3fx",
		"an encoded number sign":         "/admin%23x",
		"a fragment":                     "/public#/../admin",
		"a fragment in a query":          "/public?x#y",
		"a bad escape":                   "/%zz",
		"half an escape":                 "/a%2",
		"an overlong slash":              "/public%c0%afadmin",
		"not UTF-8":                      "/%ff",
		"raw bytes":                      "/caf\xc3\xa9",
		"absolute form":                  "https://orders.example.com/admin",
		"authority form":                 "orders.example.com:443",
		"asterisk form":                  "*",
		"nothing":                        "",
	}
}

func TestAPathThatCanBeReadInTwoWaysIsRefused(t *testing.T) {
	for name, target := range ambiguous() {
		t.Run(name, func(t *testing.T) {
			got, err := from(http.MethodGet, "a", target).canonical()
			if _, ok := errors.AsType[*requestError](err); !ok {
				t.Errorf("%q is read as %+v, error %v", target, got, err)
			}
		})
	}
}

func TestRequestsThatAProxyDoesNotTellAreRefused(t *testing.T) {
	one := func() Incoming { return from("GET", "a", "/") }
	for name, change := range map[string]func(*Incoming){
		"no method":             func(i *Incoming) { i.Method = nil },
		"no host":               func(i *Incoming) { i.Host = nil },
		"no target":             func(i *Incoming) { i.URI = nil },
		"two methods":           func(i *Incoming) { i.Method = []string{"GET", "GET"} },
		"two hosts":             func(i *Incoming) { i.Host = []string{"a", "b"} },
		"two targets":           func(i *Incoming) { i.URI = []string{"/", "/admin"} },
		"methods with a comma":  func(i *Incoming) { i.Method = []string{"GET, DELETE"} },
		"an empty method":       func(i *Incoming) { i.Method = []string{""} },
		"another method by it":  func(i *Incoming) { i.Override = []string{"DELETE"} },
		"hosts with a comma":    func(i *Incoming) { i.Host = []string{"a,b"} },
		"an empty host":         func(i *Incoming) { i.Host = []string{""} },
		"a host with a user":    func(i *Incoming) { i.Host = []string{"a@b"} },
		"a host with a path":    func(i *Incoming) { i.Host = []string{"a/b"} },
		"a host with no label":  func(i *Incoming) { i.Host = []string{"a..b"} },
		"a port of letters":     func(i *Incoming) { i.Host = []string{"a:http"} },
		"a Kelvin sign":         func(i *Incoming) { i.Host = []string{"\u212Aeys.example.com"} },
		"half an IPv6 address":  func(i *Incoming) { i.Host = []string{"[::1"} },
		"an IPv4 one in braces": func(i *Incoming) { i.Host = []string{"[10.0.0.1]"} },
		"an address of a zone":  func(i *Incoming) { i.Host = []string{"[fe80::1%25eth0]"} },
	} {
		t.Run(name, func(t *testing.T) {
			incoming := one()
			change(&incoming)
			got, err := incoming.canonical()
			if err == nil {
				t.Errorf("read as %+v", got)
			}
		})
	}
}

// A path that is read is read alike by whoever decodes it once or more often, resolves dots, or merges slashes.
func TestAPathThatIsReadHasOneReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		encoded := "/" + rapid.StringMatching(`([a-c./;\\%25eEfF0#?]|%2[eEfF5]|%5[cC]){0,12}`).Draw(t, "path")
		path, err := canonicalPath(encoded)
		if err != nil {
			return
		}
		again, err := canonicalPath(encodePath(path))
		if err != nil || again != path {
			t.Fatalf("%q is read as %q, which is read as %q: %v", encoded, path, again, err)
		}
		if other := likeOthers(path); other != path {
			t.Fatalf("%q is read as %q, and by others as %q", encoded, path, other)
		}
	})
}

func encodePath(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// likeOthers reads a path that was decoded as servers do that decode once more, take backslashes for slashes, cut off parameters,
// resolve dots and merge slashes.
func likeOthers(read string) string {
	if again, err := url.PathUnescape(read); err == nil {
		read = again
	}
	read = strings.ReplaceAll(read, `\`, "/")
	read, _, _ = strings.Cut(read, ";")
	cleaned := path.Clean(read)
	if strings.HasSuffix(read, "/") && cleaned != "/" {
		cleaned += "/"
	}
	return cleaned
}
