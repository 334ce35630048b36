package gate

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/keyturn/keyturn/internal/requestrules"
)

// Incoming is what a proxy says of the request that it asks about. Each field holds the values of a header in the order in which
// they came: several are several headers, of which two readers might take different ones.
type Incoming struct {
	Authorization []string
	// Method, Host and URI are what the caller has asked the proxy for: X-Forwarded-Method, -Host and -Uri. URI is the request
	// target as the caller sent it, path and query.
	Method, Host, URI []string
	// Override are headers by which some services take another method for the one that was sent.
	Override []string
}

// The longest that is read. Servers commonly take 8 KiB of request line.
const maxTargetBytes = 8 << 10

// A requestError says why a request cannot be judged by rules. It is for the caller, and has nothing of the request.
type requestError struct{ why string }

func (e *requestError) Error() string { return e.why }

func refuse(format string, args ...any) error {
	return &requestError{why: fmt.Sprintf(format, args...)}
}

// canonical reads what rules judge: the method as it was sent, because methods have a case (RFC 9110 section 9.1), the host also
// without the dot at the end of a name, and a path that begins with a slash. It refuses whatever the service behind the proxy may read differently than it does itself:
// a rule about another path than the one that is served is no rule.
func (i Incoming) canonical() (requestrules.Request, error) {
	method, err := only("X-Forwarded-Method", i.Method)
	if err != nil {
		return requestrules.Request{}, err
	}
	host, err := only("X-Forwarded-Host", i.Host)
	if err != nil {
		return requestrules.Request{}, err
	}
	target, err := only("X-Forwarded-Uri", i.URI)
	if err != nil {
		return requestrules.Request{}, err
	}
	read := requestrules.Request{Method: method}
	if !isMethod(method) {
		return requestrules.Request{}, refuse("the method is not one of RFC 9110")
	}
	if len(i.Override) > 0 {
		return requestrules.Request{}, refuse("a header asks for another method than the request has")
	}
	if read.Host, err = canonicalHost(host); err != nil {
		return requestrules.Request{}, err
	}
	read.Path, read.Query, err = canonicalTarget(target)
	return read, err
}

func only(name string, values []string) (string, error) {
	switch len(values) {
	case 1:
		return values[0], nil
	case 0:
		return "", refuse("the proxy does not say %s, which the policy's rules need", name)
	default:
		return "", refuse("there are several headers %s", name)
	}
}

// isMethod knows the token of RFC 9110 section 5.6.2, as far as any registered method needs it.
func isMethod(text string) bool {
	return text != "" && len(text) <= 64 && !strings.ContainsFunc(text, func(r rune) bool {
		return !isAlphanumeric(r) && !strings.ContainsRune("-_.", r)
	})
}

// canonicalHost reads uri-host and port (RFC 9110 section 7.2).
func canonicalHost(text string) (string, error) {
	if literal, ok := strings.CutPrefix(text, "["); ok {
		literal, port, closed := strings.Cut(literal, "]")
		address, err := netip.ParseAddr(literal)
		if !closed || err != nil || !address.Is6() || address.Zone() != "" || port != "" && !isPort(port) {
			return "", refuse("the host is not a name or an address")
		}
		return address.String(), nil
	}
	if i := strings.IndexByte(text, ':'); i >= 0 {
		if !isPort(text[i:]) {
			return "", refuse("the host is not a name or an address")
		}
		text = text[:i]
	}
	host := strings.TrimSuffix(text, ".")
	if len(host) > 253 || !isName(host) {
		return "", refuse("the host is not a name or an address")
	}
	return strings.ToLower(host), nil
}

// isPort knows a colon with digits after it, or none.
func isPort(text string) bool {
	return text[0] == ':' && strings.Trim(text[1:], "0123456789") == ""
}

// isName knows DNS names and IPv4 addresses. Services have names with underscores, too.
func isName(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool { return !isAlphanumeric(r) && r != '-' && r != '_' }) {
			return false
		}
	}
	return true
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// canonicalTarget reads the request target in origin-form (RFC 9112 section 3.2.1). No other form is for a service.
func canonicalTarget(target string) (path, query string, err error) {
	switch {
	case len(target) > maxTargetBytes:
		return "", "", refuse("the request target is longer than %d bytes", maxTargetBytes)
	case !strings.HasPrefix(target, "/"):
		return "", "", refuse("the request target does not begin with a slash")
	case strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", "", refuse("the request target has a character that must be encoded")
	case strings.ContainsAny(target, "#"):
		return "", "", refuse("the request target has a fragment")
	}
	encoded, query, _ := strings.Cut(target, "?")
	path, err = canonicalPath(encoded)
	return path, query, err
}

// canonicalPath decodes a path once. What it refuses are the ways in which proxies and services are known to come to different
// paths: they decode before or after they split, twice or not at all, merge slashes, resolve dot segments, take the backslash for
// a slash, or cut off what follows a semicolon or a null byte.
func canonicalPath(encoded string) (string, error) {
	path, err := url.PathUnescape(encoded)
	switch {
	case err != nil:
		return "", refuse("the path has a percent sign that encodes nothing")
	case !utf8.ValidString(path):
		return "", refuse("the path is not UTF-8")
	case strings.Count(path, "/") != strings.Count(encoded, "/"):
		return "", refuse("the path has an encoded slash")
	case strings.ContainsFunc(path, func(r rune) bool { return strings.ContainsRune(`\;?#`, r) || unicode.IsControl(r) }):
		return "", refuse("the path has a backslash, a semicolon, a control character, or an encoded question mark or number sign")
	case twiceEncoded(path):
		return "", refuse("the path is encoded twice")
	}
	segments := strings.Split(path, "/")[1:]
	for i, segment := range segments {
		switch {
		case segment == "." || segment == "..":
			return "", refuse("the path has a dot segment")
		case segment == "" && i < len(segments)-1:
			return "", refuse("the path has an empty segment")
		}
	}
	return path, nil
}

// twiceEncoded says whether a path that was decoded could be decoded once more.
func twiceEncoded(path string) bool {
	for i := 0; i+2 < len(path); i++ {
		if path[i] == '%' && isHex(path[i+1]) && isHex(path[i+2]) {
			return true
		}
	}
	return false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
