package api_test

import (
	"strconv"
	"strings"
	"testing"
)

func TestSigningKeyBounds(t *testing.T) {
	join(
		signingKeyBounds(),
		issuerBounds(),
		durationBounds(),
		tokenRuleBounds(),
		subdomainBounds("spec.secretName", "must be a lower-case RFC 1123 subdomain, as Secret names are"),
		subdomainBounds("spec.jwks.name", "must be a lower-case RFC 1123 subdomain, as ConfigMap names are"),
		mapBounds("spec.jwks.labels", "label", 63),
		labelValueBounds("spec.jwks.labels"),
		mapBounds("spec.jwks.annotations", "annotation", 1024),
		selectorBounds("spec.jwks.namespaces", nil),
		selectorBounds("spec.tokens.allowedNamespaces.selector", edit{"spec.tokens.allowedNamespaces.from": "Selector"}),
		signingKeyUpdates(),
		signingKeyStatusBounds(),
	).check(t, signingKey)
}

func signingKeyBounds() bounds {
	keyID := func(i int) any { return strconv.Itoa(100+i) + strings.Repeat("k", 40) }
	return join(nameBounds(), bounds{
		"no spec": {
			refused:    edit{"spec": nil},
			wantErrors: []string{"spec: Required value"},
			accepted:   edit{"spec": map[string]any{}},
		},
		"a name that is not ASCII": {
			refused:    edit{"metadata.name": "schlüssel"},
			wantErrors: []string{"metadata.name: Invalid value: \"schlüssel\": a lowercase RFC 1123 subdomain must consist of"},
			accepted:   edit{"metadata.name": "xn--schlssel-95a"},
		},
		"a symmetric algorithm": {
			refused:    edit{"spec.algorithm": "HS256"},
			wantErrors: []string{`spec.algorithm: Unsupported value: "HS256": supported values: "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"`},
			accepted:   edit{"spec.algorithm": "EdDSA"},
		},
		"the algorithm none": {
			refused:    edit{"spec.algorithm": "none"},
			wantErrors: []string{`spec.algorithm: Unsupported value: "none"`},
			accepted:   edit{"spec.algorithm": "PS512"},
		},
		"an algorithm in lower case": {
			refused:    edit{"spec.algorithm": "es256"},
			wantErrors: []string{`spec.algorithm: Unsupported value: "es256"`},
			accepted:   edit{"spec.algorithm": "ES256"},
		},
		"a scope that does not exist": {
			refused:    edit{"spec.tokens.allowedNamespaces.from": "None"},
			wantErrors: []string{`spec.tokens.allowedNamespaces.from: Unsupported value: "None": supported values: "Same", "All", "Selector"`},
			accepted:   edit{"spec.tokens.allowedNamespaces.from": "All"},
		},
		"from Selector without a selector": {
			refused:    edit{"spec.tokens.allowedNamespaces": map[string]any{"from": "Selector"}},
			wantErrors: []string{"spec.tokens.allowedNamespaces.selector: Invalid value: ", "selector must be set when from is Selector, and only then"},
			accepted:   edit{"spec.tokens.allowedNamespaces": map[string]any{"from": "Selector", "selector": map[string]any{}}},
		},
		"a selector without from": {
			refused:    edit{"spec.tokens.allowedNamespaces": map[string]any{"selector": map[string]any{}}},
			wantErrors: []string{"selector must be set when from is Selector, and only then"},
			accepted:   edit{"spec.tokens.allowedNamespaces": map[string]any{}},
		},
		"65 revoked keys": {
			refused:    edit{"spec.revokedKeyIDs": list(65, keyID)},
			wantErrors: []string{"spec.revokedKeyIDs: Too many: 65: must have at most 64 items"},
			accepted:   edit{"spec.revokedKeyIDs": list(64, keyID)},
		},
		"one revoked key twice": {
			refused:    edit{"spec.revokedKeyIDs": []any{keyID(0), keyID(1), keyID(0)}},
			wantErrors: []string{"spec.revokedKeyIDs[2]: Duplicate value"},
			accepted:   edit{"spec.revokedKeyIDs": []any{keyID(0), keyID(1)}},
		},
		"a revoked key ID of 42 characters": {
			refused:    edit{"spec.revokedKeyIDs": []any{text(42)}},
			wantErrors: []string{"spec.revokedKeyIDs[0] in body should be at least 43 chars long"},
			accepted:   edit{"spec.revokedKeyIDs": []any{text(43)}},
		},
		"a revoked key ID of 44 characters": {
			refused:    edit{"spec.revokedKeyIDs": []any{text(44)}},
			wantErrors: []string{"spec.revokedKeyIDs[0]: Too long: may not be more than 43 bytes"},
			accepted:   edit{"spec.revokedKeyIDs": []any{text(43)}},
		},
		"a revoked key ID that is not base64url": {
			refused:    edit{"spec.revokedKeyIDs": []any{text(42) + "+"}},
			wantErrors: []string{"spec.revokedKeyIDs[0] in body should match '^[A-Za-z0-9_-]{43}$'"},
			accepted:   edit{"spec.revokedKeyIDs": []any{text(42) + "-"}},
		},
	})
}

func issuerBounds() bounds {
	const (
		printable = "must be printable ASCII without white space; write an international host name in its xn-- form"
		uri       = "must be a URI, or a string without a colon (RFC 7519 section 2, StringOrURI)"
		https     = "an https issuer must be https://host/path in a lower-case scheme, without user, query or fragment (OpenID Connect Discovery section 3)"
		plain     = "must not be a plain http URL: use https, or a name that is not a URL"
	)
	refuse := func(issuer, message, neighbour string) bound {
		return bound{
			refused:    edit{"spec.issuer": issuer},
			wantErrors: []string{"spec.issuer: Invalid value: " + strconv.Quote(issuer) + ": " + message},
			accepted:   edit{"spec.issuer": neighbour},
		}
	}
	return join(lengthBounds("spec.issuer", 512), bounds{
		"an issuer with a space":           refuse("my issuer", printable, "my-issuer"),
		"an issuer with a line break":      refuse("https://a.example\n", printable, "https://a.example"),
		"an issuer that is not ASCII":      refuse("https://münchen.example", printable, "https://xn--mnchen-3ya.example"),
		"an issuer with a control":         refuse("a\x7f", printable, "a~"),
		"an issuer that is only a colon":   refuse(":", uri, "urn:example:issuer"),
		"an issuer with a bad escape":      refuse("https://a.example/%zz", uri, "https://a.example/%20"),
		"an issuer with a port in letters": refuse("https://a.example:port", uri, "https://a.example:8443"),
		"an https issuer with a query":     refuse("https://a.example?b", https, "https://a.example/b"),
		"an https issuer with a fragment":  refuse("https://a.example/#b", https, "https://a.example/"),
		"an https issuer with a password":  refuse("https://u:p@a.example", https, "https://a.example/u@a.example"),
		"an https issuer without a host":   refuse("https:///a", https, "https://a"),
		"an https issuer without slashes":  refuse("https:a.example", https, "did:web:a.example"),
		"an https issuer in upper case":    refuse("HTTPS://a.example", https, "https://A.EXAMPLE"),
		"an http issuer":                   refuse("http://a.example", plain, "spiffe://a.example"),
		"an http issuer in upper case":     refuse("Http://a.example", plain, "httpx://a.example"),
	})
}

func durationBounds() bounds {
	const (
		period = "spec.rotation.period"
		cache  = "spec.rotation.verifierCacheDuration"
		delay  = "spec.rotation.propagationDelay"
		skew   = "spec.rotation.clockSkew"
	)
	return join(
		duration{path: period, below: "0s", least: "1s", most: "87600h", above: "87600h1s"}.bounds(),
		duration{path: cache, below: "-1s", least: "0s", most: "720h", above: "720h1s"}.bounds(),
		duration{path: delay, below: "-1s", least: "0s", most: "1h", above: "1h1s"}.bounds(),
		duration{path: skew, below: "-1s", least: "0s", most: "1h", above: "1h1s"}.bounds(),
		duration{path: "spec.tokens.maxDuration", below: "0s", least: "1s", most: "8760h", above: "8760h1s"}.bounds(),
		bounds{
			"a period as long as the lead": {
				refused:    edit{period: "63m", cache: "1h", delay: "2m", skew: "1m"},
				wantErrors: []string{"spec.rotation.period: Invalid value: ", "period must be longer than verifierCacheDuration + propagationDelay + clockSkew: a key is published that long before it signs"},
				accepted:   edit{period: "63m1s", cache: "1h", delay: "2m", skew: "1m"},
			},
			"a period shorter than the lead of the defaults": {
				refused:    edit{"spec.rotation": map[string]any{"period": "1h"}},
				wantErrors: []string{"period must be longer than verifierCacheDuration + propagationDelay + clockSkew"},
				accepted:   edit{"spec.rotation": map[string]any{"period": "2h"}},
			},
		},
	)
}

func tokenRuleBounds() bounds {
	with := func(field, value string) edit {
		rule := map[string]any{"expression": "true"}
		rule[field] = value
		return edit{"spec.tokens.rules": []any{rule}}
	}
	anyRule := func(int) any { return map[string]any{"expression": "true"} }
	return bounds{
		"17 rules": {
			refused:    edit{"spec.tokens.rules": list(17, anyRule)},
			wantErrors: []string{"spec.tokens.rules: Too many: 17: must have at most 16 items"},
			accepted:   edit{"spec.tokens.rules": list(16, anyRule)},
		},
		"a rule without an expression": {
			refused:    edit{"spec.tokens.rules": []any{map[string]any{"message": "no"}}},
			wantErrors: []string{"spec.tokens.rules[0].expression: Required value"},
			accepted:   edit{"spec.tokens.rules": []any{map[string]any{"expression": "true"}}},
		},
		"a rule with an empty expression": {
			refused:    with("expression", ""),
			wantErrors: []string{"spec.tokens.rules[0].expression in body should be at least 1 chars long"},
			accepted:   with("expression", "x"),
		},
		"a rule with a long expression": {
			refused:    with("expression", text(1025)),
			wantErrors: []string{"spec.tokens.rules[0].expression: Too long: may not be more than 1024 bytes"},
			accepted:   with("expression", text(1024)),
		},
		"a rule with an empty message": {
			refused:    with("message", ""),
			wantErrors: []string{"spec.tokens.rules[0].message in body should be at least 1 chars long"},
			accepted:   with("message", "x"),
		},
		"a rule with a long message": {
			refused:    with("message", text(257)),
			wantErrors: []string{"spec.tokens.rules[0].message: Too long: may not be more than 256 bytes"},
			accepted:   with("message", strings.Repeat("ü", 256)),
		},
	}
}

func signingKeyUpdates() bounds {
	const (
		issuer     = "spec.issuer: Forbidden: issuer cannot be changed, added or removed, because verifiers pin it: create another SigningKey"
		secretName = "spec.secretName: Forbidden: secretName cannot be changed once a key signs, because the ring would stay behind in the old Secret: create another SigningKey"
	)
	inForce := edit{"spec.issuer": nil, "status": map[string]any{"issuer": "https://in-force.example"}}
	signs := func(secret any) edit {
		return edit{"spec.secretName": secret, "status": map[string]any{"activeKeyID": text(43)}}
	}
	return bounds{
		"a change of the issuer": {
			before:     edit{"spec.issuer": "https://a.example"},
			refused:    edit{"spec.issuer": "https://b.example"},
			wantErrors: []string{issuer},
			accepted:   edit{"spec.issuer": "https://a.example", "spec.algorithm": "EdDSA"},
		},
		"an issuer that is taken away": {
			before:     edit{"spec.issuer": "https://a.example"},
			refused:    edit{"spec.issuer": nil},
			wantErrors: []string{issuer},
			accepted:   edit{"spec.rotation.period": "48h"},
		},
		"an issuer that is added before any is in force": {
			before:     edit{"spec.issuer": nil},
			refused:    edit{"spec.issuer": "https://a.example"},
			wantErrors: []string{issuer},
			accepted:   edit{"spec.algorithm": "EdDSA"},
		},
		"another issuer than the one in force": {
			before:     inForce,
			refused:    edit{"spec.issuer": "https://other.example"},
			wantErrors: []string{issuer, "Only the issuer in force, status.issuer, may be written down later"},
			accepted:   edit{"spec.issuer": "https://in-force.example"},
		},
		"another Secret while a key signs": {
			before:     signs("ring"),
			refused:    edit{"spec.secretName": "other"},
			wantErrors: []string{secretName},
			accepted:   edit{"spec.secretName": "ring", "spec.algorithm": "EdDSA"},
		},
		"the default Secret while a key signs": {
			before:     signs("ring"),
			refused:    edit{"spec.secretName": nil},
			wantErrors: []string{secretName},
			accepted:   edit{"spec.jwks.name": "other"},
		},
		"a named Secret while a key signs into the default one": {
			before:     signs(nil),
			refused:    edit{"spec.secretName": "subject-signing-keys"},
			wantErrors: []string{secretName},
			accepted:   edit{"spec.jwks.name": "other"},
		},
		"a malformed Secret name before a key signs": {
			before:     edit{"spec.secretName": "ring"},
			refused:    edit{"spec.secretName": "Ring"},
			wantErrors: []string{"must be a lower-case RFC 1123 subdomain, as Secret names are"},
			accepted:   edit{"spec.secretName": "other"},
		},
	}
}
