package api_test

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// What is not even an object of the right shape must be answered by one clear message.
func TestMalformedBodies(t *testing.T) {
	const (
		head  = `{"apiVersion":"keyturn.dev/v1alpha1","kind":"ServiceToken","metadata":{"name":"subject"},`
		spec  = `"signingKeyRef":{"name":"key"},"subject":"alice","audiences":["api"]`
		whole = head + `"spec":{` + spec + `}}`
	)
	claims := func(value string) string { return head + `"spec":{` + spec + `,"claims":` + value + `}}` }
	nested := func(depth int) string { return strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth) }
	for sentence, test := range map[string]struct {
		namespace, body string
		want            string
	}{
		"an object as it should be":   {body: whole, want: "201 Created"},
		"nothing":                     {body: "", want: "unexpected end of JSON input"},
		"text":                        {body: "period: 1h", want: "json parse error: invalid character 'p' looking for beginning of value"},
		"half an object":              {body: whole[:len(whole)-2], want: "unexpected end of JSON input"},
		"two objects":                 {body: whole + whole, want: "json parse error: invalid character '{' after top-level value"},
		"a list":                      {body: "[" + whole + "]", want: "json: cannot unmarshal array"},
		"no kind":                     {body: "{}", want: "Object 'Kind' is missing"},
		"another kind":                {body: strings.Replace(whole, "ServiceToken", "SigningKey", 1), want: `kind: Invalid value: \"SigningKey\": must be ServiceToken`},
		"a field that does not exist": {body: strings.Replace(whole, `"subject":`, `"sub":`, 1), want: `unknown field \"spec.sub\"`},
		"a field that is given twice": {body: head + `"spec":{` + spec + `,"subject":"bob"}}`, want: `duplicate field \"spec.subject\"`},
		"a namespace that is missing": {namespace: "nowhere", body: whole, want: `namespaces \"nowhere\" not found`},
		"a namespace that is no name": {namespace: "%E2%82%AC", body: whole, want: `namespaces \"€\" not found`},
		"claims 20000 levels deep":    {body: claims(nested(20_000)), want: "exceeded max depth"},
		"claims beyond all numbers":   {body: claims(`{"a":1e400}`), want: "cannot unmarshal number 1e400"},
		"4 MiB of claims":             {body: claims(`{"a":"` + text(4<<20) + `"}`), want: "Request entity too large"},
		// A schema cannot weigh free JSON; the webhook does.
		"1 MiB of claims": {body: claims(`{"a":"` + text(1<<20) + `"}`), want: "201 Created"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := post(t, "servicetokens", cmp.Or(test.namespace, "default"), test.body); !strings.Contains(got, test.want) {
				t.Errorf("got: %s\nwant it to contain: %s", got[:min(len(got), 500)], test.want)
			}
		})
	}
}

// Of the other kinds: what would have a meaning if it were spelt right must not be dropped.
func TestMalformedBodiesOfTheTokenService(t *testing.T) {
	const head = `{"apiVersion":"keyturn.dev/v1alpha1","metadata":{"name":"subject"},"kind":`
	const client = head + `"TokenClient","spec":{"signingKeyRef":{"name":"key"},"audiences":["api"],"authentication":`
	for sentence, test := range map[string]struct{ resource, body, want string }{
		"a way to authenticate that does not exist": {"tokenclients", client + `{"none":{}}}}`, `unknown field \"spec.authentication.none\"`},
		"a way to authenticate that is null":        {"tokenclients", client + `{"clientSecret":null}}}`, `exactly one of clientSecret, privateKeyJWT and serviceAccounts must be set`},
		"a way to authenticate in two copies":       {"tokenclients", client + `{"clientSecret":{},"clientSecret":{}}}}`, `duplicate field \"spec.authentication.clientSecret\"`},
		"keys as an object":                         {"tokenclients", client + `{"privateKeyJWT":{"jwks":{"keys":[]}}}}}`, `unknown field \"spec.authentication.privateKeyJWT.jwks.keys\"`},
		"a client as it should be":                  {"tokenclients", client + `{"clientSecret":{}}}}`, "201 Created"},
		"a revocation of what does not exist":       {"tokenrevocations", head + `"TokenRevocation","spec":{"signingKeyName":"key","jti":"x"}}`, `unknown field \"spec.jti\"`},
		"a policy without rules that are misspelt":  {"tokenpolicies", head + `"TokenPolicy","spec":{"issuers":[{"signingKeyRef":{"name":"key"}}],"audiences":["a"],"rule":[]}}`, `unknown field \"spec.rule\"`},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := post(t, test.resource, "default", test.body); !strings.Contains(got, test.want) {
				t.Errorf("got: %s\nwant it to contain: %s", got[:min(len(got), 500)], test.want)
			}
		})
	}
}

// post sends a body as it is and returns the HTTP status and the answer.
func post(t *testing.T, resource, namespace, body string) string {
	t.Helper()
	config := suite.Config(t)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.JoinPath(config.Host, "apis", v1alpha1.GroupName, "v1alpha1", "namespaces", namespace, resource)
	if err != nil {
		t.Fatal(err)
	}
	target += "?dryRun=All&fieldValidation=Strict"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.Status + "\n" + string(answer)
}
