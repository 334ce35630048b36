package api_test

import (
	"strconv"
	"testing"
)

func TestTokenClientBounds(t *testing.T) {
	join(
		tokenClientBounds(),
		nameBounds(),
		keyRefBounds(),
		authenticationBounds(),
		grantBounds(),
		audienceBounds(),
		scopeBounds(),
		claimExpressionBounds(),
		duration{path: "spec.accessTokenDuration", below: "0s", least: "1s", most: "8760h", above: "8760h1s"}.bounds(),
		refreshTokenBounds(),
		tokenClientStatusBounds(),
	).check(t, tokenClient)
}

func tokenClientBounds() bounds {
	return bounds{
		"no spec": {
			refused:    edit{"spec": nil},
			wantErrors: []string{"spec: Required value"},
			accepted:   edit{},
		},
		"a name that is not ASCII": {
			refused:    edit{"metadata.name": "касса"},
			wantErrors: []string{`metadata.name: Invalid value: "касса": a lowercase RFC 1123 subdomain must consist of`},
			accepted:   edit{"metadata.name": "0"},
		},
	}
}

func authenticationBounds() bounds {
	const (
		path = "spec.authentication"
		one  = "spec.authentication: Invalid value: exactly one of clientSecret, privateKeyJWT and serviceAccounts must be set"
	)
	as := func(ways map[string]any) edit { return edit{path: ways} }
	secret := map[string]any{}
	names := map[string]any{"names": []any{"a"}}
	return join(
		clientSecretBounds(),
		privateKeyJWTBounds(func(keys map[string]any) edit { return as(map[string]any{"privateKeyJWT": keys}) }),
		serviceAccountBounds(func(accounts map[string]any) edit { return as(map[string]any{"serviceAccounts": accounts}) }),
		bounds{
			"no way to prove itself": {
				refused:    edit{path: nil},
				wantErrors: []string{"spec.authentication: Required value"},
				accepted:   as(map[string]any{"clientSecret": secret}),
			},
			"an empty way to prove itself": {
				refused:    as(map[string]any{}),
				wantErrors: []string{"spec.authentication in body should have at least 1 properties", one},
				accepted:   as(map[string]any{"serviceAccounts": names}),
			},
			"two ways to prove itself": {
				refused:    as(map[string]any{"clientSecret": secret, "serviceAccounts": names}),
				wantErrors: []string{one},
				accepted:   as(map[string]any{"privateKeyJWT": map[string]any{"jwks": "{}"}}),
			},
			"three ways to prove itself": {
				refused:    as(map[string]any{"clientSecret": secret, "serviceAccounts": names, "privateKeyJWT": map[string]any{"jwks": "{}"}}),
				wantErrors: []string{one},
				accepted:   as(map[string]any{"clientSecret": secret}),
			},
		},
	)
}

func clientSecretBounds() bounds {
	return join(
		subdomainBounds("spec.authentication.clientSecret.secretName", "must be a lower-case RFC 1123 subdomain, as Secret names are"),
		duration{path: "spec.authentication.clientSecret.overlapDuration", below: "-1s", least: "0s", most: "8760h", above: "8760h1s"}.bounds(),
	)
}

func privateKeyJWTBounds(with func(map[string]any) edit) bounds {
	const (
		path = "spec.authentication.privateKeyJWT"
		one  = path + ": Invalid value: exactly one of jwks and jwksURL must be set"
		url  = "https://client.example/jwks"
	)
	return join(
		urlBounds(path+".jwksURL", func(url string) edit { return with(map[string]any{"jwksURL": url}) }),
		bounds{
			"no keys": {
				refused:    with(map[string]any{}),
				wantErrors: []string{path + " in body should have at least 1 properties", one},
				accepted:   with(map[string]any{"jwks": "{}"}),
			},
			"keys in two places": {
				refused:    with(map[string]any{"jwks": "{}", "jwksURL": url}),
				wantErrors: []string{one},
				accepted:   with(map[string]any{"jwksURL": url}),
			},
			"a CA for keys that are given": {
				refused:    with(map[string]any{"jwks": "{}", "caBundle": "x"}),
				wantErrors: []string{path + ".caBundle: Invalid value: ", "caBundle has a meaning only with jwksURL"},
				accepted:   with(map[string]any{"jwksURL": url, "caBundle": "x"}),
			},
			"an empty CA": {
				refused:    with(map[string]any{"jwksURL": url, "caBundle": ""}),
				wantErrors: []string{path + ".caBundle in body should be at least 1 chars long"},
				accepted:   with(map[string]any{"jwksURL": url, "caBundle": "x"}),
			},
			"a CA of 65537 characters": {
				refused:    with(map[string]any{"jwksURL": url, "caBundle": text(65537)}),
				wantErrors: []string{path + ".caBundle: Too long: may not be more than 65536 bytes"},
				accepted:   with(map[string]any{"jwksURL": url, "caBundle": text(65536)}),
			},
			"an empty JWK Set": {
				refused:    with(map[string]any{"jwks": ""}),
				wantErrors: []string{path + ".jwks in body should be at least 1 chars long"},
				accepted:   with(map[string]any{"jwks": "x"}),
			},
			"a JWK Set of 16385 characters": {
				refused:    with(map[string]any{"jwks": text(16385)}),
				wantErrors: []string{path + ".jwks: Too long: may not be more than 16384 bytes"},
				accepted:   with(map[string]any{"jwks": text(16384)}),
			},
		},
	)
}

func serviceAccountBounds(with func(map[string]any) edit) bounds {
	const (
		path = "spec.authentication.serviceAccounts"
		one  = path + ": Invalid value: exactly one of names and selector must be set"
		name = "must be a lower-case RFC 1123 subdomain, as ServiceAccount names are"
	)
	names := func(list []any) edit { return with(map[string]any{"names": list}) }
	account := func(i int) any { return "account-" + strconv.Itoa(i) }
	found := bounds{
		"no ServiceAccounts": {
			refused:    with(map[string]any{}),
			wantErrors: []string{path + " in body should have at least 1 properties", one},
			accepted:   with(map[string]any{"selector": map[string]any{}}),
		},
		"ServiceAccounts by names and selector": {
			refused:    with(map[string]any{"names": []any{"a"}, "selector": map[string]any{}}),
			wantErrors: []string{one},
			accepted:   names([]any{"a"}),
		},
		"an empty list of names": {
			refused:    names([]any{}),
			wantErrors: []string{path + ".names in body should have at least 1 items"},
			accepted:   names([]any{"a"}),
		},
		"65 names": {
			refused:    names(list(65, account)),
			wantErrors: []string{path + ".names: Too many: 65: must have at most 64 items"},
			accepted:   names(list(64, account)),
		},
		"one name twice": {
			refused:    names([]any{"a", "a"}),
			wantErrors: []string{path + `.names[1]: Duplicate value: "a"`},
			accepted:   names([]any{"a", "b"}),
		},
		"an empty name": {
			refused:    names([]any{""}),
			wantErrors: []string{path + ".names[0] in body should be at least 1 chars long"},
			accepted:   names([]any{"a"}),
		},
		"a name that is too long": {
			refused:    names([]any{text(254)}),
			wantErrors: []string{path + ".names[0]: Too long: may not be more than 253 bytes"},
			accepted:   names([]any{text(253)}),
		},
		"a name that no ServiceAccount has": {
			refused:    names([]any{"a:b"}),
			wantErrors: []string{path + `.names[0]: Invalid value: "a:b": ` + name},
			accepted:   names([]any{"a.b"}),
		},
	}
	// The whole way, because the one of the object as it is would be a second one.
	for sentence, b := range selectorBounds(path+".selector", nil) {
		b.refused, b.accepted = b.refused.and(edit{"spec.authentication.clientSecret": nil}), b.accepted.and(edit{"spec.authentication.clientSecret": nil})
		found[sentence] = b
	}
	return found
}

func grantBounds() bounds {
	const (
		path    = "spec.grantTypes"
		refresh = "spec.refreshToken"
		begins  = "spec.grantTypes: Invalid value: "
	)
	return bounds{
		"a grant that does not exist": {
			refused:    edit{path: []any{"AuthorizationCode"}, refresh: nil},
			wantErrors: []string{`spec.grantTypes[0]: Unsupported value: "AuthorizationCode": supported values: "ClientCredentials", "RefreshToken", "TokenExchange"`},
			accepted:   edit{path: []any{"TokenExchange"}, refresh: nil},
		},
		"an empty list of grants": {
			refused:    edit{path: []any{}, refresh: nil},
			wantErrors: []string{"spec.grantTypes in body should have at least 1 items"},
			accepted:   edit{path: nil, refresh: nil},
		},
		"four grants": {
			refused:    edit{path: []any{"ClientCredentials", "RefreshToken", "TokenExchange", "ClientCredentials"}},
			wantErrors: []string{"spec.grantTypes: Too many: 4: must have at most 3 items"},
			accepted:   edit{path: []any{"ClientCredentials", "RefreshToken", "TokenExchange"}},
		},
		"one grant twice": {
			refused:    edit{path: []any{"RefreshToken", "ClientCredentials", "RefreshToken"}},
			wantErrors: []string{`spec.grantTypes[2]: Duplicate value: "RefreshToken"`},
			accepted:   edit{path: []any{"RefreshToken", "ClientCredentials"}},
		},
		"nothing to refresh": {
			refused:    edit{path: []any{"RefreshToken"}},
			wantErrors: []string{begins, "RefreshToken renews what another grant began: add ClientCredentials or TokenExchange"},
			accepted:   edit{path: []any{"RefreshToken", "TokenExchange"}},
		},
		"lives of refresh tokens that are not granted": {
			refused:    edit{path: []any{"ClientCredentials"}},
			wantErrors: []string{refresh + ": Invalid value: ", "refreshToken has a meaning only where grantTypes has RefreshToken"},
			accepted:   edit{path: []any{"ClientCredentials"}, refresh: nil},
		},
		"lives of refresh tokens that are not granted by default": {
			refused:    edit{path: nil},
			wantErrors: []string{"refreshToken has a meaning only where grantTypes has RefreshToken"},
			accepted:   edit{path: nil, refresh: nil},
		},
	}
}

func refreshTokenBounds() bounds {
	const (
		idle     = "spec.refreshToken.idleDuration"
		absolute = "spec.refreshToken.absoluteDuration"
		longer   = "idleDuration must not be longer than absoluteDuration"
	)
	return join(
		duration{path: idle, below: "0s", least: "1s", most: "8760h", above: "8760h1s"}.bounds(),
		duration{path: absolute, below: "0s", least: "1s", most: "8760h", above: "8760h1s"}.bounds(),
		bounds{
			"an idle life longer than the absolute": {
				refused:    edit{idle: "1h1s", absolute: "60m"},
				wantErrors: []string{idle + ": Invalid value: ", longer},
				accepted:   edit{idle: "1h", absolute: "60m"},
			},
			"an idle life longer than the absolute by default": {
				refused:    edit{idle: "721h", absolute: nil},
				wantErrors: []string{longer},
				accepted:   edit{idle: "720h", absolute: nil},
			},
			"an idle life of nothing, and an absolute one that is shorter than the default of the idle": {
				refused:    edit{idle: "", absolute: "1h"},
				wantErrors: []string{idle + ": Invalid value: "},
				accepted:   edit{idle: nil, absolute: "1h"},
			},
		},
	)
}

func claimExpressionBounds() bounds {
	const path = "spec.claims"
	claim := func(name, expression any) map[string]any {
		made := map[string]any{}
		for field, value := range map[string]any{"name": name, "expression": expression} {
			if value != nil {
				made[field] = value
			}
		}
		return made
	}
	one := func(name, expression any) edit { return edit{path: []any{claim(name, expression)}} }
	numbered := func(i int) any { return claim("claim-"+strconv.Itoa(i), "1") }
	return bounds{
		"33 claims": {
			refused:    edit{path: list(33, numbered)},
			wantErrors: []string{"spec.claims: Too many: 33: must have at most 32 items"},
			accepted:   edit{path: list(32, numbered)},
		},
		"one claim twice": {
			refused:    edit{path: []any{claim("a", "1"), claim("a", "2")}},
			wantErrors: []string{"spec.claims[1]: Duplicate value"},
			accepted:   edit{path: []any{claim("a", "1"), claim("A", "2")}},
		},
		"a claim without a name": {
			refused:    one(nil, "1"),
			wantErrors: []string{"spec.claims[0].name: Required value"},
			accepted:   one("a", "1"),
		},
		"a claim without an expression": {
			refused:    one("a", nil),
			wantErrors: []string{"spec.claims[0].expression: Required value"},
			accepted:   one("a", "x"),
		},
		"a claim with an empty name": {
			refused:    one("", "1"),
			wantErrors: []string{"spec.claims[0].name in body should be at least 1 chars long"},
			accepted:   one("https://example.com/team", "1"),
		},
		"a claim with a long name": {
			refused:    one(text(129), "1"),
			wantErrors: []string{"spec.claims[0].name: Too long: may not be more than 128 bytes"},
			accepted:   one(text(128), "1"),
		},
		"a claim whose name has a line break": {
			refused:    one("a\nb", "1"),
			wantErrors: []string{"spec.claims[0].name: Invalid value: ", "must not contain control characters"},
			accepted:   one("a b", "1"),
		},
		"a claim with an empty expression": {
			refused:    one("a", ""),
			wantErrors: []string{"spec.claims[0].expression in body should be at least 1 chars long"},
			accepted:   one("a", "x"),
		},
		"a claim with a long expression": {
			refused:    one("a", text(1025)),
			wantErrors: []string{"spec.claims[0].expression: Too long: may not be more than 1024 bytes"},
			accepted:   one("a", text(1024)),
		},
	}
}

func tokenClientStatusBounds() bounds {
	return join(
		commonStatusBounds(),
		statusTextBounds("status.clientID", 127),
		statusTextBounds("status.tokenEndpoint", 1024),
		statusTextBounds("status.secretName", 253),
		instantBounds("status.previousSecretExpiresAt"),
	)
}
