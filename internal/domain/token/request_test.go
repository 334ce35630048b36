package token_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/token"
)

func TestParseClaims(t *testing.T) {
	padded := func(bytes int) string { return `{"a":"` + strings.Repeat("b", bytes-8) + `"}` }
	cases := map[string]struct {
		raw string
		// want is the claims as JSON again.
		want, err string
	}{
		"nothing at all":                   {raw: "", want: `{}`},
		"white space":                      {raw: " \n\t", want: `{}`},
		"null":                             {raw: "null", want: `{}`},
		"an empty object":                  {raw: " {} ", want: `{}`},
		"numbers stay as they are written": {raw: `{"a":1.0,"b":1e2,"c":12345678901234567890,"d":-0}`, want: `{"a":1.0,"b":1e2,"c":12345678901234567890,"d":-0}`},
		"values of every kind":             {raw: `{"n":null,"b":true,"s":"é\u00e9","l":[[]],"o":{"iss":"inner"}}`, want: `{"b":true,"l":[[]],"n":null,"o":{"iss":"inner"},"s":"éé"}`},
		"names that only begin like one":   {raw: `{"issuer":1,"expires":2}`, want: `{"expires":2,"issuer":1}`},
		"a registered name in capitals":    {raw: `{"ISS":"hunter2"}`, err: `hold "ISS", which some verifiers take for the registered claim "iss": rename it`},
		"a letter that folds to another":   {raw: `{"\u017fub":"hunter2"}`, err: `hold "\u017fub", which some verifiers take for the registered claim "sub": rename it`},
		"of a member named twice the last counts, as for the API server": {raw: `{"a":1,"b":{"c":1,"c":2},"a":3}`, want: `{"a":3,"b":{"c":2}}`},

		"as long as allowed":         {raw: padded(4096), want: padded(4096)},
		"a byte too long":            {raw: padded(4097), err: `are 4097 bytes of JSON, at most 4096 are allowed: remove claims or shorten them`},
		"too long for white space":   {raw: "{}" + strings.Repeat(" ", 4095), err: `are 4097 bytes of JSON, at most 4096 are allowed: remove claims or shorten them`},
		"a list":                     {raw: `["hunter2"]`, err: `are not a JSON object: `},
		"a text":                     {raw: `"hunter2"`, err: `are not a JSON object: `},
		"a number":                   {raw: `7`, err: `are not a JSON object: `},
		"an object cut short":        {raw: `{"a":"hunter2"`, err: `are not a JSON object: `},
		"two objects":                {raw: `{"a":1}{"b":"hunter2"}`, err: `are not a JSON object: more follows the first value`},
		"a stray brace":              {raw: `{"a":1}}`, err: `are not a JSON object: more follows the first value`},
		"nothing but depth":          {raw: strings.Repeat("[", 4096), err: `are not a JSON object: `},
		"depth inside an object":     {raw: `{"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`, want: `{"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`},
		"several registered names":   {raw: `{"sub":1,"nbf":1,"jti":1,"iat":1,"exp":1,"aud":1}`, err: `hold the registered claim "aud", which Keyturn sets: remove it`},
		"an escaped registered name": {raw: `{"\u0069ss":"x"}`, err: `hold the registered claim "iss", which Keyturn sets: remove it`},
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"} {
		c := cases["an escaped registered name"]
		c.raw, c.err = `{"`+name+`":null}`, strings.Replace(c.err, `"iss"`, `"`+name+`"`, 1)
		cases["the registered claim "+name] = c
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			claims, err := token.ParseClaims([]byte(c.raw))
			if c.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.err) || strings.Contains(err.Error(), "hunter2") {
					t.Fatalf("error is %v, want %q without a claim's value", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if claims == nil {
				t.Fatal("the claims are nil, which a caller cannot add to")
			}
			got, err := token.Encode(claims)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPayload(t *testing.T) {
	registered := func(more map[string]any) map[string]any {
		claims := map[string]any{
			"iss": "https://issuer.example", "sub": "till", "aud": []string{"a", "b"}, "jti": "id",
			"iat": at(0).Unix(), "nbf": at(-time.Minute).Unix(), "exp": at(time.Hour).Unix(),
		}
		maps.Copy(claims, more)
		return claims
	}
	cases := map[string]struct {
		change func(*token.Request)
		want   map[string]any
	}{
		"a plain token says the registered claims alone": {func(*token.Request) {}, registered(nil)},
		"further claims are added": {
			func(r *token.Request) { r.Claims = map[string]any{"scope": "orders:read"} },
			registered(map[string]any{"scope": "orders:read"}),
		},
		"further claims never replace a registered one": {
			func(r *token.Request) { r.Claims = map[string]any{"sub": "root", "exp": json.Number("99999999999")} },
			registered(nil),
		},
		"the end of the request cuts exp": {
			func(r *token.Request) { r.ExpiresAt = at(time.Minute) },
			registered(map[string]any{"exp": at(time.Minute).Unix()}),
		},
		"an access token's client is its subject": {
			func(r *token.Request) { r.Type = token.TypeAccessToken },
			registered(map[string]any{"client_id": "till"}),
		},
		"an access token's client can be given": {
			func(r *token.Request) {
				r.Type, r.Claims = token.TypeAccessToken, map[string]any{"client_id": "desk"}
			},
			registered(map[string]any{"client_id": "desk"}),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := token.Request{
				Issuer: "https://issuer.example", Subject: "till", Audiences: []string{"a", "b"}, Type: token.TypeJWT,
				Duration: time.Hour, Skew: time.Minute,
			}
			c.change(&r)
			if diff := cmp.Diff(c.want, r.Payload("id", at(0))); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPayloadLeavesTheRequest guards a request that is used again: rules judge a payload before one is signed.
func TestPayloadLeavesTheRequest(t *testing.T) {
	r := asked()
	r.Type = token.TypeAccessToken
	payload := r.Payload("id", at(0))
	payload["aud"].([]string)[0] = "changed"
	payload["level"] = "changed"
	want := asked()
	want.Type = token.TypeAccessToken
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("request (-before +after):\n%s", diff)
	}
}

func TestEncode(t *testing.T) {
	cases := map[string]struct {
		claims map[string]any
		want   string
	}{
		"members are sorted":               {map[string]any{"b": 1, "a": 2, "c": map[string]any{"z": 1, "y": 2}}, `{"a":2,"b":1,"c":{"y":2,"z":1}}`},
		"characters of HTML are kept":      {map[string]any{"a": "<a href='x'>&</a>"}, `{"a":"<a href='x'>&</a>"}`},
		"no white space around or between": {map[string]any{"a": []any{1, "  "}}, `{"a":[1,"  "]}`},
		"nothing":                          {map[string]any{}, `{}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := token.Encode(c.claims)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEncodeRefusesWhatIsNoJSON(t *testing.T) {
	if got, err := token.Encode(map[string]any{"a": func() {}}); err == nil {
		t.Errorf("encoded as %s", got)
	}
}
