package requestrules_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/requestrules"
	"github.com/keyturn/keyturn/test/budget"
)

// secret stands in the claims below and must never be told.
const secret = "hunter2"

func claims() map[string]any {
	return map[string]any{"sub": "alice", "roles": []any{"admin"}, "level": json.Number("3"), "password": secret}
}

func request() requestrules.Request {
	return requestrules.Request{Method: "GET", Host: "api.example", Path: "/v1/orders/7", Query: "full=1"}
}

func TestCheck(t *testing.T) {
	const no = "rule 1 refuses it: a rule of the policy refuses the request"
	cases := map[string]string{ //nolint:gosec // expressions and refusals, no credentials
		`request.method == "GET" || "admin" in claims.roles`:                            "",
		`request.method in ["POST"]`:                                                    no,
		`request.host == "api.example" && request.path.startsWith("/v1/orders/")`:       "",
		`request.query.split("&").exists(p, p == "full=1")`:                             "",
		`request["path"] == "/v1/orders/" + string(claims.level + 4)`:                   "",
		`claims.tier == "gold"`:                                                         `rule 1 cannot be evaluated, because there is no "tier": a rule of the policy refuses the request`,
		`claims.?tier.orValue("gold") == "gold"`:                                        "",
		`claims[claims.password] == 1`:                                                  "a claim or label is missing",
		`claims.roles.all(r, r == claims.sub)`:                                          no,
		`request.path.matches("^/v1/[a-z]+/[0-9]+$") && !request.path.contains("//")`:   "",
		`claims.password == "x"`:                                                        no,
		`int(claims.password) == 1`:                                                     "it fails on these claims",
		`request.path.split("").all(a, request.path.split("").all(b, a + b + b != ""))`: "",
	}
	for expression, want := range cases {
		rules, err := requestrules.Compile([]v1alpha1.RequestRule{{Expression: "true"}, {Expression: expression}})
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		got := ""
		if err := rules.Check(requestrules.NewClaims(claims()), request()); err != nil {
			got = err.Error()
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) || strings.Contains(got, secret) {
			t.Errorf("%s:\n got %q\nwant %q", expression, got, want)
		}
	}
}

func TestTheMessageIsShown(t *testing.T) {
	rules, err := requestrules.Compile([]v1alpha1.RequestRule{{Expression: "false", Message: "only admins"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(rules.Check(requestrules.NewClaims(nil), request())), "rule 0 refuses it: only admins"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := rules.Check(requestrules.NewClaims(map[string]any{"n": json.Number("1e400")}), request()); err == nil {
		t.Error("a number that no float holds is let in")
	}
	if err := new(requestrules.Rules).Check(requestrules.NewClaims(nil), request()); err != nil {
		t.Errorf("without rules: %v", err)
	}
}

func TestCompileRefuses(t *testing.T) {
	cases := map[string]string{
		`request.body == ""`:               `rule 0: line 1, column 8: undefined field 'body': request has method, host, path, query`,
		`request.method == 1`:              `found no matching overload for '_==_'`,
		`claims.admin`:                     `the expression must be a bool and is of type dyn: compare it with something`,
		`namespace.name == ""`:             `reserved identifier`,
		`request.path.matches(claims.p)`:   `the pattern of matches must be written out`,
		`claims.a.join(",") == ""`:         `there is no join here`,
		`true` + strings.Repeat(" ", 1021): `the expression has 1025 bytes`,
	}
	for expression, want := range cases {
		if _, err := requestrules.Compile([]v1alpha1.RequestRule{{Expression: expression}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", expression, err, want)
		}
	}
	if _, err := requestrules.Compile(make([]v1alpha1.RequestRule, 17)); err == nil || !strings.Contains(err.Error(), "17 rules, at most 16") {
		t.Error(err)
	}
}

// FuzzCompile: whatever is written as a rule compiles or does not, says yes or no, the same each time and soon, and tells no claim
// that it does not hold itself.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`request.method == "GET" || "admin" in claims.roles`, `request[claims.password] == ""`, `claims[claims.password] == 1`, `has(request.path)`,
		`request.all(k, k == "method" || request[k] != "")`, `duration(claims.password) == duration("1s")`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		var err error
		judge := func() {
			var rules *requestrules.Rules
			if rules, err = requestrules.Compile([]v1alpha1.RequestRule{{Expression: expression}}); err == nil {
				err = rules.Check(requestrules.NewClaims(claims()), request())
			}
		}
		if bytes := budget.Bytes(judge); bytes > 64<<20 {
			t.Errorf("%d MiB are allocated", bytes>>20)
		}
		first := fmt.Sprint(err)
		if judge(); fmt.Sprint(err) != first {
			t.Errorf("first %s, then %v", first, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) && !strings.Contains(expression, secret) {
			t.Errorf("the error tells a claim: %v", err)
		}
	})
}
