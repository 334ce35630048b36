package clientclaims_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientclaims"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/test/budget"
)

// secret stands in the input below and must never be told.
const secret = "hunter2"

func pod() clientclaims.Input {
	return clientclaims.Input{
		Client:         clientclaims.Client{ID: "shop.till", Namespace: "shop", Name: "till", Labels: map[string]string{"team": "sales"}},
		ServiceAccount: &clientclaims.ServiceAccount{Namespace: "shop", Name: "runner", Labels: map[string]string{"tier": "prod"}, PodName: "runner-0", PodUID: "u-1"},
		Request: clientclaims.Request{
			GrantType: v1alpha1.GrantTokenExchange, Audiences: []string{"a", "b"}, Scopes: []string{"read", "write"},
			SubjectClaims: map[string]any{
				"sub": "alice", "level": json.Number("3"), "share": json.Number("2.5"), "nothing": nil, "password": secret,
				"groups": []any{"x", json.Number("1"), nil}, "long": strings.Repeat("a", 3000), "nested": map[string]any{"a": []any{true}},
			},
		},
	}
}

// machine is a client that is no ServiceAccount and shows no token.
func machine() clientclaims.Input {
	return clientclaims.Input{
		Client:  clientclaims.Client{ID: "shop.till", Namespace: "shop", Name: "till"},
		Request: clientclaims.Request{GrantType: v1alpha1.GrantClientCredentials},
	}
}

func claims(expressions ...string) []v1alpha1.ClaimExpression {
	var list []v1alpha1.ClaimExpression
	for i, e := range expressions {
		list = append(list, v1alpha1.ClaimExpression{Name: fmt.Sprintf("c%d", i), Expression: e})
	}
	return list
}

func TestEvaluate(t *testing.T) {
	cases := map[string]struct {
		expression string
		input      func() clientclaims.Input
		// want is the claim as JSON; none if there is no claim.
		want string
		// fault is why there is no token.
		fault string
	}{
		"a label of the client":              {expression: `client.labels["team"]`, want: `"sales"`},
		"a label that is missing":            {expression: `client.labels["teem"]`, fault: `claim "c0" cannot be evaluated, because there is no "teem"`},
		"a label of a client that has none":  {expression: `client.labels["team"]`, input: machine, fault: `there is no "team"`},
		"a label that may be missing":        {expression: `client.labels[?"teem"]`},
		"a label with a default":             {expression: `client.labels[?"teem"].orValue("none")`, want: `"none"`},
		"all labels":                         {expression: `client.labels`, want: `{"team":"sales"}`},
		"who the client is":                  {expression: `[client.id, client.namespace, client.name]`, want: `["shop.till","shop","till"]`},
		"the ServiceAccount":                 {expression: `serviceAccount.namespace + "/" + serviceAccount.name + "/" + serviceAccount.labels.tier`, want: `"shop/runner/prod"`},
		"the Pod":                            {expression: `{"pod": serviceAccount.podName, "uid": serviceAccount.podUID}`, want: `{"pod":"runner-0","uid":"u-1"}`},
		"no ServiceAccount":                  {expression: `serviceAccount.name`, input: machine, fault: `there is no "name"`},
		"no ServiceAccount, guarded":         {expression: `has(serviceAccount.name) ? serviceAccount.name : client.name`, input: machine, want: `"till"`},
		"no ServiceAccount, optional":        {expression: `serviceAccount.?podName`, input: machine},
		"an optional text":                   {expression: `serviceAccount.?podName`, want: `"runner-0"`},
		"what is asked for":                  {expression: `{"g": request.grantType, "a": request.audiences, "s": request.scopes}`, want: `{"a":["a","b"],"g":"TokenExchange","s":["read","write"]}`},
		"a test of what is asked for":        {expression: `"read" in request.scopes && size(request.audiences) == 2`, want: `true`},
		"a request for nothing":              {expression: `request.scopes`, input: machine, want: `[]`},
		"a claim of the subject token":       {expression: `request.subjectClaims.level + 1`, want: `4`},
		"a fraction":                         {expression: `request.subjectClaims.share`, want: `2.5`},
		"a list with null":                   {expression: `request.subjectClaims.groups`, want: `["x",1,null]`},
		"a map in a map":                     {expression: `{"n": request.subjectClaims.nested}`, want: `{"n":{"a":[true]}}`},
		"no subject token":                   {expression: `request.subjectClaims.sub`, input: machine, fault: `there is no "subjectClaims"`},
		"no subject token, guarded":          {expression: `has(request.subjectClaims) ? request.subjectClaims.sub : "nobody"`, input: machine, want: `"nobody"`},
		"a large number":                     {expression: `18446744073709551615u`, want: `18446744073709551615`},
		"a map of all kinds":                 {expression: `{"a": 1, "b": "x", "c": [true, 2]}`, want: `{"a":1,"b":"x","c":[true,2]}`},
		"a member that may be missing":       {expression: `{?"pod": serviceAccount.?podName, "name": client.name}`, input: machine, want: `{"name":"till"}`},
		"angle brackets":                     {expression: `"<a&b>"`, want: `"<a&b>"`},
		"a number that JSON has not":         {expression: `1.0 / 0.0`, fault: `claim "c0" is a number that JSON cannot write`},
		"null":                               {expression: `request.subjectClaims.nothing`, fault: `claim "c0" is null: let it be optional.none() where there shall be no claim`},
		"an instant":                         {expression: `{"at": timestamp(0)}`, fault: `claim "c0" holds a google.protobuf.Timestamp: make a text, number, boolean, list or map of it`},
		"a map of numbers":                   {expression: `{1: 2}`, fault: `claim "c0" is a map whose keys are not texts: use string()`},
		"an optional in a list":              {expression: `[optional.of(1)]`, fault: `holds a optional_type`},
		"more than a token holds":            {expression: `[request.subjectClaims.long, request.subjectClaims.long]`, fault: `the claims are longer than 4096 bytes of JSON: make fewer or shorter ones`},
		"more than a token holds as JSON":    {expression: `request.subjectClaims.groups.map(g, "\u0001\u0001\u0001\u0001\u0001\u0001\u0001\u0001\u0001\u0001" + request.subjectClaims.long.substring(0, 1330))`, fault: `the claims are longer than 4096 bytes`},
		"a subject that does not fit":        {expression: `int(request.subjectClaims.password)`, fault: `it fails on these claims`},
		"what costs too much":                {expression: `request.subjectClaims.long.split("").map(a, request.subjectClaims.long + a).size()`, fault: `it costs too much on these claims`},
		"a claim that a claim names":         {expression: `request.subjectClaims[request.subjectClaims.password]`, fault: `a claim or label is missing`},
		"a comprehension over the audiences": {expression: `request.audiences.map(a, a + "!")`, want: `["a!","b!"]`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			compiled, err := clientclaims.Compile(claims(c.expression))
			if err != nil {
				t.Fatal(err)
			}
			input := pod()
			if c.input != nil {
				input = c.input()
			}
			made, err := compiled.Evaluate(input)
			if c.fault != "" {
				if failed := new(clientclaims.EvaluationError); !errors.As(err, &failed) || !strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), secret) {
					t.Fatalf("got %v, %v\nwant %s", made, err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := "{}"
			if c.want != "" {
				want = `{"c0":` + c.want + `}`
			}
			encoded, err := token.Encode(made)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, string(encoded)); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClaimsAreBoundedTogether(t *testing.T) {
	compiled, err := clientclaims.Compile(claims(`request.subjectClaims.long`, `request.subjectClaims.long`))
	if err != nil {
		t.Fatal(err)
	}
	if made, err := compiled.Evaluate(pod()); err == nil {
		t.Errorf("made %d claims of 3000 bytes each", len(made))
	}
	if made, err := new(clientclaims.Claims).Evaluate(machine()); err != nil || made == nil || len(made) > 0 {
		t.Errorf("without claims: %v, %v", made, err)
	}
	input := pod()
	input.Request.SubjectClaims = map[string]any{"n": json.Number("1e400")}
	if _, err := compiled.Evaluate(input); err == nil || !strings.Contains(err.Error(), "too large for a 64-bit float") {
		t.Errorf("a number that no float holds: %v", err)
	}
}

func TestCompileRefuses(t *testing.T) {
	expressions := map[string]string{
		`client.nmae`:                          `claim "c0": line 1, column 7: undefined field 'nmae': client has id, namespace, name, labels`,
		`serviceAccount["uid"]`:                `undefined field 'uid': serviceAccount has namespace, name, labels, podName, podUID`,
		`has(request.resource)`:                `undefined field 'resource': request has grantType, audiences, scopes, subjectClaims`,
		`claims.sub`:                           `undeclared reference to 'claims'`,
		`client.`:                              `Syntax error`,
		`b"x"`:                                 `the value of a claim cannot be a bytes: make a text, number, boolean, list or map of it`,
		`null`:                                 `cannot be a null_type`,
		`duration("1h")`:                       `cannot be a google.protobuf.Duration`,
		`type(1)`:                              `cannot be a type`,
		`"a".replace("a", client.name)`:        `there is no replace here, because it can multiply text`,
		`client.name.matches(client.id)`:       `the pattern of matches must be written out as a string`,
		`"` + strings.Repeat("a", 1023) + `"`:  `the expression has 1025 bytes, at most 1024 are allowed: split it`,
		`[1].map(a, [1].map(b, [1].map(c,c)))`: `loops are nested 3 deep`,
	}
	for expression, want := range expressions {
		if _, err := clientclaims.Compile(claims(expression)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", expression, err, want)
		}
	}
	names := map[string]string{
		"sub": `claim "sub": Keyturn sets the claim "sub": remove it`, "client_id": `sets the claim "client_id"`, "scope": `sets`, "act": `sets`, "may_act": `sets`, "cnf": `sets`,
		"SUB": `claim "SUB": some verifiers take it for the claim "sub", which Keyturn sets: rename it`, "\u017fcope": `take it for the claim "scope"`,
	}
	for name, want := range names {
		if _, err := clientclaims.Compile([]v1alpha1.ClaimExpression{{Name: name, Expression: "1"}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", name, err, want)
		}
	}
	_, err := clientclaims.Compile(append(claims("1", "x", "2", "y"), v1alpha1.ClaimExpression{Name: "iss", Expression: "1"}))
	if n := strings.Count(fmt.Sprint(err), "\n"); n != 2 {
		t.Errorf("want every fault, got %v", err)
	}
	if _, err := clientclaims.Compile(make([]v1alpha1.ClaimExpression, 33)); err == nil || !strings.Contains(err.Error(), "33 claims, at most 32 are allowed") {
		t.Error(err)
	}
}

func TestCacheTellsClaimsApart(t *testing.T) {
	cache := clientclaims.NewCache(4)
	for range 2 {
		for want, list := range map[string][]v1alpha1.ClaimExpression{
			`map[c0:1]`: claims("1"), `map[c0:2]`: claims("2"), `map[x:1]`: {{Name: "x", Expression: "1"}},
		} {
			compiled, err := cache.Compile(list)
			if err != nil {
				t.Fatal(err)
			}
			if made, err := compiled.Evaluate(machine()); err != nil || fmt.Sprint(made) != want {
				t.Errorf("got %v, %v, want %s", made, err, want)
			}
		}
	}
	first, _ := cache.Compile(claims("1"))
	if again, _ := cache.Compile(claims("1")); again != first {
		t.Error("the same claims were compiled twice")
	}
}

// FuzzCompile: whatever is written as a claim makes one within its bounds, or none, the same each time and soon, which is what its
// JSON says to whoever reads that again, and tells nothing in its error that
// it does not hold itself.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`client.labels["team"]`, `serviceAccount.?podName`, `request.subjectClaims.groups.map(g, [g, g])`, `request.subjectClaims[request.subjectClaims.password]`,
		`{"a": [optional.none(), ?optional.of(1)]}`, `{?"a": request.?grantType}`, `b"\xff"`, `string(b"\xff")`, `1.0/0.0`, `{1: 2}`, `int(request.subjectClaims.password)`,
		`[[[[client]]]]`, `request.subjectClaims.long.split("").map(a, [request])`, `timestamp(request.subjectClaims.password)`, `{?"0": request.scopes}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		var made map[string]any
		var err error
		evaluate := func() {
			var compiled *clientclaims.Claims
			if compiled, err = clientclaims.Compile(claims(expression)); err == nil {
				made, err = compiled.Evaluate(pod())
			}
		}
		if bytes := budget.Bytes(evaluate); bytes > 64<<20 {
			t.Errorf("%d MiB are allocated", bytes>>20)
		}
		encoded, fault := json.Marshal(made)
		if fault != nil || len(encoded) > 6*token.MaxClaimsBytes {
			t.Errorf("%d bytes of claims: %v", len(encoded), fault)
		}
		first := fmt.Sprint(err)
		evaluate()
		if again, fault := json.Marshal(made); fault != nil || string(again) != string(encoded) || fmt.Sprint(err) != first {
			t.Errorf("first %s, %s, then %s, %v", encoded, first, again, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) && !strings.Contains(expression, secret) {
			t.Errorf("the error tells a claim: %v", err)
		}
	})
}
