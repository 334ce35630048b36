package verify_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

func invalid(code, description string) string {
	return `Bearer realm="api", error="` + code + `", error_description="` + description + `"`
}

func TestRequestsAreAnsweredAsRFC6750Says(t *testing.T) {
	signer := signers()[jose.ES256]
	good, poor := signer.sign(claims()), signer.sign(claims("scope", `"orders.write orders.reader"`))
	expired := signer.sign(claims("exp", "1800000000"))
	const (
		none      = `Bearer realm="api"`
		noRequest = "the request does not have one Authorization header with the word Bearer and one token"
		malformed = "the token is not a JSON Web Token in the form that is accepted"
	)
	tests := map[string]struct {
		authorization []string
		status        int
		challenge     string
	}{
		"a good token":            {[]string{"Bearer " + good}, 200, ""},
		"a scheme in other case":  {[]string{"bEARER " + good}, 200, ""},
		"two spaces":              {[]string{"Bearer  " + good}, 200, ""},
		"no header":               {nil, 401, none},
		"an empty header":         {[]string{""}, 401, none},
		"another scheme":          {[]string{"Basic YWxpY2U6c2VjcmV0"}, 401, none},
		"a token alone":           {[]string{good}, 401, none},
		"no space":                {[]string{"Bearer" + good}, 401, none},
		"a tab for a space":       {[]string{"Bearer\t" + good}, 401, none},
		"a space before":          {[]string{" Bearer " + good}, 401, none},
		"the word alone":          {[]string{"Bearer"}, 400, invalid("invalid_request", noRequest)},
		"the word and a space":    {[]string{"Bearer "}, 400, invalid("invalid_request", noRequest)},
		"a space after":           {[]string{"Bearer " + good + " "}, 400, invalid("invalid_request", noRequest)},
		"a line break after":      {[]string{"Bearer " + good + "\r\nX-User: root"}, 400, invalid("invalid_request", noRequest)},
		"two tokens":              {[]string{"Bearer " + good + " " + good}, 400, invalid("invalid_request", noRequest)},
		"two tokens with a comma": {[]string{"Bearer " + good + ",Bearer " + good}, 400, invalid("invalid_request", noRequest)},
		"two headers":             {[]string{"Bearer " + good, "Bearer " + good}, 400, invalid("invalid_request", noRequest)},
		"a second header, empty":  {[]string{"Bearer " + good, ""}, 400, invalid("invalid_request", noRequest)},
		"letters of another kind": {[]string{"Bearer " + strings.Replace(good, "e", "\u0435", 1)}, 400, invalid("invalid_request", noRequest)},
		"no JSON Web Token":       {[]string{"Bearer 2YotnFZFEjr1zCsicMWpAA"}, 401, invalid("invalid_token", malformed)},
		"padding":                 {[]string{"Bearer " + good + "="}, 401, invalid("invalid_token", malformed)},
		"an expired token":        {[]string{"Bearer " + expired}, 401, invalid("invalid_token", "the token has expired")},
		"another issuer's": {
			[]string{"Bearer " + signer.sign(claims("iss", `"https://a.example\" foo=\"bar"`))},
			401,
			invalid("invalid_token", "the token is of an issuer that is not accepted"),
		},
		"less scope": {
			[]string{"Bearer " + poor},
			403,
			invalid("insufficient_scope", "the token lacks a scope that is required") + `, scope="orders.read orders.write"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var told error
			verifier := newVerifier(t, verify.Options{
				Clock: newClock().Now, Refused: func(_ context.Context, err error) { told = err },
				Issuers: []verify.Issuer{{Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: writeFile(t, jwks(signer))}}},
			})
			var caller string
			handler := verifier.Require("orders.read", "orders.write")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				token, _ := verify.FromContext(r.Context())
				caller = token.Subject
				w.WriteHeader(http.StatusOK)
			}))
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders?access_token="+good, nil)
			request.Header["Authorization"] = test.authorization
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
			if recorder.Code != test.status || recorder.Header().Get("WWW-Authenticate") != test.challenge {
				t.Errorf("got %d with %s,\nwant %d with %s", recorder.Code, recorder.Header().Get("WWW-Authenticate"), test.status, test.challenge)
			}
			if (caller == "alice") != (test.status == 200) || (told == nil) != (test.status == 200) {
				t.Errorf("the handler saw %q, and the hook was told %v", caller, told)
			}
			if told != nil && len(test.authorization) > 0 {
				mustNotQuote(t, recorder.Body.String()+told.Error(), strings.TrimPrefix(test.authorization[0], "Bearer "))
			}
		})
	}
}

func TestWithoutKeysTheServiceIsUnavailable(t *testing.T) {
	verifier := newVerifier(t, verify.Options{Clock: newClock().Now, Issuers: []verify.Issuer{{
		Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: t.TempDir() + "/secret-path/jwks.json"},
	}}})
	handler := verifier.Require()(http.NotFoundHandler())
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	request.Header.Set("Authorization", "Bearer "+signers()[jose.ES256].sign(claims()))
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	got := []string{http.StatusText(recorder.Code), recorder.Header().Get("Retry-After"), recorder.Header().Get("WWW-Authenticate"), recorder.Body.String()}
	want := []string{"Service Unavailable", "1", "", "the keys that verify the token are not at hand\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestTheRealmIsTheApplications(t *testing.T) {
	verifier := newVerifier(t, verify.Options{Realm: "orders & more", Issuers: []verify.Issuer{{
		Name: issuer, Audiences: []string{audience}, Keys: verify.File{Path: "none"},
	}}})
	_, refusal := verifier.Authenticate(t.Context(), nil)
	if refusal == nil || refusal.Challenge != `Bearer realm="orders & more"` || !errors.Is(refusal.Err, verify.ErrNoToken) {
		t.Errorf("got %+v", refusal)
	}
}

func TestAScopeThatNoTokenCanHaveIsAFaultOfTheProgram(t *testing.T) {
	verifier := accepting(t, newClock())
	for _, scope := range []string{"", "a b", `a"`, `a\`, "a\r\nSet-Cookie: b", "ä"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q can be required", scope)
				}
			}()
			verifier.Require(scope)
		}()
	}
}

func TestWithoutMiddlewareThereIsNoToken(t *testing.T) {
	for name, ctx := range map[string]context.Context{"bare": t.Context(), "nil": verify.NewContext(t.Context(), nil)} {
		if token, ok := verify.FromContext(ctx); ok || token != nil {
			t.Errorf("%s: got %v, %v", name, token, ok)
		}
	}
}
