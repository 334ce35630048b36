package api_test

import (
	"strconv"
	"testing"
)

func TestTokenPolicyBounds(t *testing.T) {
	join(
		nameBounds(),
		policyIssuerBounds(),
		externalIssuerBounds(),
		audienceBounds(),
		scopeBounds(),
		requestRuleBounds(),
		claimHeaderBounds(),
		skewBounds(),
		commonStatusBounds(),
		bounds{
			"no spec": {
				refused:    edit{"spec": nil},
				wantErrors: []string{"spec: Required value"},
				accepted:   edit{},
			},
			"a mode of the deny list that does not exist": {
				refused:    edit{"spec.denyList": "Maybe"},
				wantErrors: []string{`spec.denyList: Unsupported value: "Maybe": supported values: "Enabled", "Disabled"`},
				accepted:   edit{"spec.denyList": "Disabled"},
			},
		},
	).check(t, tokenPolicy)
}

func policyIssuerBounds() bounds {
	const (
		path = "spec.issuers"
		one  = "spec.issuers[0]: Invalid value: exactly one of signingKeyRef and external must be set"
	)
	issuer := func(members map[string]any) edit { return edit{path: []any{members}} }
	key := func(i int) any {
		return map[string]any{"signingKeyRef": map[string]any{"name": "key-" + strconv.Itoa(i)}}
	}
	elsewhere := map[string]any{"issuer": "https://a.example"}
	ref := func(field, value string) edit {
		reference := map[string]any{"name": "key"}
		reference[field] = value
		return issuer(map[string]any{"signingKeyRef": reference})
	}
	found := bounds{
		"no issuers": {
			refused:    edit{path: nil},
			wantErrors: []string{"spec.issuers: Required value"},
			accepted:   edit{path: list(1, key)},
		},
		"an empty list of issuers": {
			refused:    edit{path: []any{}},
			wantErrors: []string{"spec.issuers in body should have at least 1 items"},
			accepted:   edit{path: list(1, key)},
		},
		"nine issuers": {
			refused:    edit{path: list(9, key)},
			wantErrors: []string{"spec.issuers: Too many: 9: must have at most 8 items"},
			accepted:   edit{path: list(8, key)},
		},
		"an issuer that is nowhere": {
			refused:    issuer(map[string]any{}),
			wantErrors: []string{"spec.issuers[0] in body should have at least 1 properties", one},
			accepted:   issuer(map[string]any{"external": elsewhere}),
		},
		"an issuer that is here and elsewhere": {
			refused:    issuer(map[string]any{"signingKeyRef": map[string]any{"name": "key"}, "external": elsewhere}),
			wantErrors: []string{one},
			accepted:   issuer(map[string]any{"signingKeyRef": map[string]any{"name": "key"}}),
		},
		"a key without a name": {
			refused:    issuer(map[string]any{"signingKeyRef": map[string]any{"namespace": "default"}}),
			wantErrors: []string{"spec.issuers[0].signingKeyRef.name: Required value"},
			accepted:   ref("namespace", "default"),
		},
	}
	for field, what := range map[string]string{"name": "SigningKey", "namespace": "namespace"} {
		at := "spec.issuers[0].signingKeyRef." + field
		found[at+" is empty"] = bound{refused: ref(field, ""), wantErrors: []string{at + " in body should be at least 1 chars long"}, accepted: ref(field, "a")}
		found[at+" is too long"] = bound{refused: ref(field, text(64)), wantErrors: []string{at + ": Too long: may not be more than 63 bytes"}, accepted: ref(field, text(63))}
		found[at+" has a dot"] = bound{refused: ref(field, "a.b"), wantErrors: []string{at + `: Invalid value: "a.b": must be a DNS label, as ` + what + " names are"}, accepted: ref(field, "a-b")}
	}
	return found
}

func externalIssuerBounds() bounds {
	const path = "spec.issuers[0].external"
	with := func(field string, value any) edit {
		external := map[string]any{"issuer": "https://a.example"}
		if value == nil {
			delete(external, field)
		} else {
			external[field] = value
		}
		return edit{"spec.issuers": []any{map[string]any{"external": external}}}
	}
	refuse := func(field string, value, neighbour any, message string) bound {
		return bound{refused: with(field, value), wantErrors: []string{path + "." + field, message}, accepted: with(field, neighbour)}
	}
	const printable = "must be printable ASCII without white space"
	algorithms := []any{"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}
	found := join(urlBounds(path+".jwksURL", func(url string) edit { return with("jwksURL", url) }), bounds{
		"no issuer elsewhere":            refuse("issuer", nil, "https://b.example", "Required value"),
		"an empty issuer":                refuse("issuer", "", "x", "should be at least 1 chars long"),
		"an issuer of 513 characters":    refuse("issuer", text(513), text(512), "may not be more than 512 bytes"),
		"an issuer with a space":         refuse("issuer", "a b", "a:b", printable),
		"an issuer with a line break":    refuse("issuer", "https://a.example\n", "https://a.example", printable),
		"an issuer that is not ASCII":    refuse("issuer", "https://münchen.example", "https://xn--mnchen-3ya.example", printable),
		"an empty CA":                    refuse("caBundle", "", "x", "should be at least 1 chars long"),
		"a CA of 65537 characters":       refuse("caBundle", text(65537), text(65536), "may not be more than 65536 bytes"),
		"an algorithm that is symmetric": refuse("algorithms", []any{"HS256"}, []any{}, `Unsupported value: "HS256"`),
		"one algorithm twice":            refuse("algorithms", []any{"ES256", "ES256"}, []any{"ES256", "ES384"}, "Duplicate value"),
		"eleven algorithms":              refuse("algorithms", append([]any{"none"}, algorithms...), algorithms, "must have at most 10 items"),
	})
	for field, limits := range map[string]struct{ below, least, above string }{
		"cacheDuration": {"59s", "1m", "24h1s"},
		"maxStale":      {"-1s", "0s", "24h1s"},
	} {
		message := "must be whole hours, minutes and seconds from " + limits.least + " to 24h, written as in 90s or 1h30m"
		found[field+" is shorter than lawful"] = refuse(field, limits.below, limits.least, message)
		found[field+" is longer than lawful"] = refuse(field, limits.above, "24h", message)
		found[field+" has half a second"] = refuse(field, "90.5s", "90s", message)
		found[field+" is written at length"] = refuse(field, "00000000000000000000000000000002h0m", "2h", "may not be more than 32 bytes")
	}
	return found
}

func requestRuleBounds() bounds {
	const path = "spec.rules[0]"
	with := func(field string, value any) edit {
		rule := map[string]any{"expression": "true"}
		if value == nil {
			delete(rule, field)
		} else {
			rule[field] = value
		}
		return edit{"spec.rules": []any{rule}}
	}
	refuse := func(field string, value, neighbour any, message string) bound {
		return bound{refused: with(field, value), wantErrors: []string{path + "." + field, message}, accepted: with(field, neighbour)}
	}
	anyRule := func(int) any { return map[string]any{"expression": "true"} }
	const quotable = "must be printable ASCII without double quote and backslash (RFC 6750 section 3)"
	return bounds{
		"17 rules": {
			refused:    edit{"spec.rules": list(17, anyRule)},
			wantErrors: []string{"spec.rules: Too many: 17: must have at most 16 items"},
			accepted:   edit{"spec.rules": list(16, anyRule)},
		},
		"a rule without an expression":        refuse("expression", nil, "true", "Required value"),
		"a rule with an empty expression":     refuse("expression", "", "x", "should be at least 1 chars long"),
		"a rule with a long expression":       refuse("expression", text(1025), text(1024), "may not be more than 1024 bytes"),
		"a rule with an empty message":        refuse("message", "", "x", "should be at least 1 chars long"),
		"a rule with a long message":          refuse("message", text(257), text(256), "may not be more than 256 bytes"),
		"a rule whose message has a quote":    refuse("message", `say "please"`, "say 'please'", quotable),
		"a rule whose message has a break":    refuse("message", "no\r\nX: y", "no, X: y", quotable),
		"a rule whose message is not ASCII":   refuse("message", "né", "ne", quotable),
		"a rule whose message has a reversal": refuse("message", `a\b`, "a[b]", quotable),
	}
}

func claimHeaderBounds() bounds {
	const (
		path   = "spec.headers[0]"
		syntax = "must be letters, digits and hyphens, neither first nor last a hyphen"
		taken  = "must not be a header that HTTP or proxies live by"
	)
	with := func(field string, value any) edit {
		header := map[string]any{"name": "X-User", "claim": "sub"}
		if value == nil {
			delete(header, field)
		} else {
			header[field] = value
		}
		return edit{"spec.headers": []any{header}}
	}
	refuse := func(field string, value, neighbour any, message string) bound {
		return bound{refused: with(field, value), wantErrors: []string{path + "." + field, message}, accepted: with(field, neighbour)}
	}
	numbered := func(i int) any { return map[string]any{"name": "X-" + strconv.Itoa(i), "claim": "sub"} }
	found := bounds{
		"17 headers": {
			refused:    edit{"spec.headers": list(17, numbered)},
			wantErrors: []string{"spec.headers: Too many: 17: must have at most 16 items"},
			accepted:   edit{"spec.headers": list(16, numbered)},
		},
		"one header twice": {
			refused:    edit{"spec.headers": []any{numbered(0), numbered(0)}},
			wantErrors: []string{"spec.headers[1]: Duplicate value"},
			accepted:   edit{"spec.headers": list(2, numbered)},
		},
		"a header without a name":       refuse("name", nil, "X-User", "Required value"),
		"a header with an empty name":   refuse("name", "", "a", "should be at least 1 chars long"),
		"a header with a long name":     refuse("name", text(65), text(64), "may not be more than 64 bytes"),
		"a header with an underscore":   refuse("name", "X_User", "X-User", syntax),
		"a header that ends in hyphen":  refuse("name", "X-", "X-0", syntax),
		"a header with a colon":         refuse("name", "X:", "X", syntax),
		"a header with a line break":    refuse("name", "X\n", "X", syntax),
		"a header without a claim":      refuse("claim", nil, "sub", "Required value"),
		"a header with an empty claim":  refuse("claim", "", "a", "should be at least 1 chars long"),
		"a header with a long claim":    refuse("claim", text(129), text(128), "may not be more than 128 bytes"),
		"a header that proxies believe": refuse("name", "X-Forwarded-User", "X-Forwarding-User", taken),
	}
	for _, name := range []string{
		"Authorization", "proxy-authorization", "HOST", "Connection", "Transfer-Encoding", "Content-Length", "Cookie", "Forwarded",
		"X-Real-IP", "Sec-Fetch-Site", "WWW-Authenticate", "Location", "TE", "Upgrade",
	} {
		found["the header "+name] = refuse("name", name, "Our-"+name, taken)
	}
	return found
}

func skewBounds() bounds {
	const path = "spec.clockSkew"
	refuse := func(value, neighbour string) bound {
		return bound{
			refused:    edit{path: value},
			wantErrors: []string{path + ": Invalid value: ", "must be whole minutes and seconds from 0s to 5m, written as in 30s"},
			accepted:   edit{path: neighbour},
		}
	}
	return bounds{
		path + " is negative":       refuse("-1s", "0s"),
		path + " is too long":       refuse("5m1s", "5m"),
		path + " has half a second": refuse("1.5s", "1s"),
		path + " has no unit":       refuse("30", "30s"),
		path + " is written at length": {
			refused:    edit{path: "000000000000000000000000000000030s"},
			wantErrors: []string{path + ": Too long: may not be more than 32 bytes"},
			accepted:   edit{path: "0000030s"},
		},
	}
}
