package claimrules_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/claimrules"
	"github.com/keyturn/keyturn/internal/expression"
	"github.com/keyturn/keyturn/internal/spec"
)

// secret stands in the claims below and must never be told.
const secret = "hunter2"

func claims() map[string]any {
	groups := []any{}
	for i := range 200 {
		groups = append(groups, fmt.Sprintf("group-%d", i))
	}
	return map[string]any{
		"sub": "system:serviceaccount:shop:till", "iss": "https://issuer.example",
		"aud": []string{"https://api.example", "https://db.example"},
		"iat": int64(1000), "exp": int64(4600), "nbf": int64(940), "jti": "id",
		"level": json.Number("3"), "share": json.Number("2.5"), "huge": json.Number("9007199254740993"),
		"admin": true, "nothing": nil, "scope": "read write", "namespace": "claimed",
		"nested": map[string]any{"deep": []any{json.Number("1"), map[string]any{"x": "y"}}},
		"groups": groups, "password": secret,
	}
}

func asking() spec.Namespace {
	return spec.Namespace{Name: "shop", Labels: map[string]string{"tier": "prod", "kubernetes.io/metadata.name": "shop"}}
}

func TestCheck(t *testing.T) {
	cases := map[string]struct {
		expression string
		allowed    bool
		// cause is why the expression cannot be evaluated.
		cause string
	}{
		"a list claim and a label":               {`claims.aud.all(a, a.startsWith("https://")) && namespace.labels["tier"] == "prod"`, true, ""},
		"the namespace's name":                   {`claims.sub.startsWith("system:serviceaccount:" + namespace.name + ":")`, true, ""},
		"a rule that says no":                    {`namespace.name == "bank"`, false, ""},
		"a member that is called namespace":      {`claims.namespace == "claimed" && claims.?namespace.hasValue()`, true, ""},
		"namespace after a question mark":        {`claims.admin == true ? namespace.name == "shop" : namespace.name == ""`, true, ""},
		"the word namespace in a string":         {`"namespace" in claims && claims["namespace"] != "_amespace"`, true, ""},
		"a label tested by has":                  {`has(namespace.labels.tier) && !has(namespace.labels.team)`, true, ""},
		"a label tested by in":                   {`!("team" in namespace.labels)`, true, ""},
		"a label whose key has a slash":          {`namespace.labels["kubernetes.io/metadata.name"] == namespace.name`, true, ""},
		"an int":                                 {`claims.level == 3 && claims.level + 1 == 4`, true, ""},
		"a double":                               {`claims.share > 2.4 && claims.share < claims.level`, true, ""},
		"an int that no double holds":            {`claims.huge == 9007199254740993 && claims.huge != 9007199254740992`, true, ""},
		"the life of the token":                  {`claims.exp - claims.iat <= 3600`, true, ""},
		"a bool claim":                           {`claims.admin == true`, true, ""},
		"a null claim":                           {`claims.nothing == null`, true, ""},
		"nested claims":                          {`claims.nested.deep[1].x == "y"`, true, ""},
		"a scope":                                {`claims.scope.split(" ").all(s, s in ["read", "write"])`, true, ""},
		"loops in loops":                         {`claims.groups.all(g, claims.groups.exists_one(h, g == h))`, false, "it costs too much on these claims"},
		"short loops in loops":                   {`claims.aud.all(a, claims.groups.all(g, a != g))`, true, ""},
		"a map of a list":                        {`claims.aud.map(a, a.substring(8)) == ["api.example", "db.example"]`, true, ""},
		"a regular expression":                   {`claims.sub.matches("^system:serviceaccount:[a-z]+:[a-z]+$")`, true, ""},
		"a long list of constants":               {`claims.level in [` + strings.Repeat("1, ", 200) + `3]`, true, ""},
		"an optional claim":                      {`claims.?tier.orValue("none") == "none"`, true, ""},
		"a claim that is missing":                {`claims.tier == "gold"`, false, `there is no "tier"`},
		"a label that is missing":                {`namespace.labels["team"] == "x"`, false, `there is no "team"`},
		"a missing claim that a claim names":     {`claims[claims.password] == "x"`, false, "a claim or label is missing"},
		"a claim of another type":                {`claims.level.startsWith("3")`, false, "a claim is not of the type that the expression takes"},
		"a result that is no bool":               {`claims.admin == true && claims.password`, false, "a claim is not of the type that the expression takes"},
		"a claim that is no timestamp":           {`timestamp(claims.password) < timestamp("2026-01-01T00:00:00Z")`, false, "it fails on these claims"},
		"a string that grows":                    {`[claims.groups + claims.groups].all(a, [a + a + a + a].all(b, size(b + b + b + b) > 0))`, true, ""},
		"a list of lists that grows":             {`claims.groups.map(g, claims.groups).size() > 0`, false, "it costs too much on these claims"},
		"text that grows":                        {`claims.groups.map(g, claims.scope + g + g + g + g + g + g + g + g).all(s, claims.groups.all(g, s + s + g != ""))`, false, "it costs too much on these claims"},
		"a comment that speaks of the namespace": {"namespace.name == 'shop' // the namespace\n", true, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rules, err := claimrules.Compile([]v1alpha1.TokenRule{{Expression: "true"}, {Expression: c.expression}})
			if err != nil {
				t.Fatalf("compile: %v", err)
			}
			err = rules.Check(claims(), asking())
			if c.allowed {
				if err != nil {
					t.Fatalf("want it allowed, got: %v", err)
				}
				return
			}
			var got *expression.RefusalError
			if !errors.As(err, &got) {
				t.Fatalf("want a refusal, got: %v", err)
			}
			want := &expression.RefusalError{Index: 1, Message: c.expression, Cause: c.cause}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the refusal tells a claim: %v", err)
			}
		})
	}
}

func TestRefusalShowsTheMessage(t *testing.T) {
	rules, err := claimrules.Compile([]v1alpha1.TokenRule{{Expression: `namespace.name == "bank"`, Message: "only the bank may ask"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(rules.Check(claims(), asking())), "rule 0 refuses it: only the bank may ask"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNumberBeyondFloat(t *testing.T) {
	rules, err := claimrules.Compile([]v1alpha1.TokenRule{{Expression: "true"}})
	if err != nil {
		t.Fatal(err)
	}
	err = rules.Check(map[string]any{"n": []any{json.Number("1e400")}}, asking())
	if err == nil || !strings.Contains(err.Error(), "too large for a 64-bit float") {
		t.Errorf("got %v", err)
	}
}

func TestNoRulesAllowEverything(t *testing.T) {
	rules, err := claimrules.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := rules.Check(claims(), asking()); err != nil {
		t.Error(err)
	}
}

func TestCompileRefuses(t *testing.T) {
	cases := map[string]struct{ expression, want string }{
		"what is no expression":         {`claims.aud ==`, `rule 1: line 1, column 14: Syntax error: mismatched input '<EOF>'`},
		"a name that is not there":      {"true &&\n  claim.sub == 'x'", `rule 1: line 2, column 3: undeclared reference to 'claim'`},
		"a namespace as a whole":        {`namespace + 1 == 2`, `rule 1: line 1, column 11: found no matching overload for '_+_'`},
		"a member a namespace has not":  {`namespace.nmae == "x"`, `rule 1: line 1, column 10: undefined field 'nmae'`},
		"a string":                      {`"yes"`, `rule 1: the expression must be a bool and is of type string: compare it with something`},
		"a claim of no known type":      {`claims.admin`, `rule 1: the expression must be a bool and is of type dyn: compare it with something`},
		"three loops":                   {`claims.a.all(a, a.all(b, b.all(c, c == 1)))`, `rule 1: line 1, column 31: loops are nested 3 deep, at most 2 are allowed: split it`},
		"a loop bound in a range":       {`[[[1].map(x, x)].map(x, x)].all(a, a == a)`, `loops are nested 3 deep`},
		"replace, which multiplies":     {`claims.a.replace("", claims.b) == ""`, `there is no replace here, because it can multiply text: compare the parts`},
		"join, which multiplies":        {`claims.a.join("x") == ""`, `there is no join here`},
		"format":                        {`"%s".format([1]) == ""`, `undeclared reference to 'format'`},
		"a pattern from a claim":        {`claims.a.matches(claims.b)`, `the pattern of matches must be written out as a string`},
		"a pattern that is none":        {`claims.a.matches("(")`, `invalid matches argument`},
		"a pattern of many steps":       {`claims.a.matches("(a{30}){30}b{200}")`, `the pattern of matches has more than 1000 steps`},
		"a pattern of a function":       {`matches("aa", "(a?){1000}")`, `the pattern of matches has more than 1000 steps`},
		"a list that repeats a claim":   {"[" + strings.Repeat("claims.a,", 33) + "] == [1]", `literals hold more than 32 elements that are computed`},
		"maps that repeat a claim":      {`[{1: claims.a, 2: claims.a}` + strings.Repeat(",{1: claims.a}", 20) + `].all(m, m == m)`, `literals hold more than 32 elements that are computed`},
		"a duration that is none":       {`duration("5 minutes") > duration("1m")`, `invalid duration argument`},
		"an expression that is long":    {"true" + strings.Repeat(" ", 1021), `rule 1: the expression has 1025 bytes, at most 1024 are allowed: split it`},
		"an expression that nests":      {strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500), `recursion`},
		"bytes that are no text":        {"\xff\xfe == 1", `Syntax error`},
		"what CEL stumbles over":        {`{?"0": claims.a} == {}`, `rule 1: the expression cannot be compiled: write it in another way`},
		"an empty expression":           {``, `Syntax error: mismatched input '<EOF>'`},
		"another reserved word":         {`package.name == ""`, `reserved identifier: package`},
		"the word that stands for ours": {`namespace.name == 1`, `found no matching overload for '_==_' applied to '(string, int)'`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := claimrules.Compile([]v1alpha1.TokenRule{{Expression: "true"}, {Expression: c.expression}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v\nwant %s", err, c.want)
			}
			if strings.Contains(err.Error(), "_amespace") {
				t.Errorf("the error speaks of a word that nobody wrote: %v", err)
			}
		})
	}
}

func TestCompileTellsEveryFault(t *testing.T) {
	_, err := claimrules.Compile([]v1alpha1.TokenRule{{Expression: "1"}, {Expression: "true"}, {Expression: "2"}})
	want := "rule 0: the expression must be a bool and is of type int: compare it with something\n" +
		"rule 2: the expression must be a bool and is of type int: compare it with something"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := claimrules.Compile(make([]v1alpha1.TokenRule, 17)); err == nil || !strings.Contains(err.Error(), "17 rules, at most 16") {
		t.Errorf("17 rules: %v", err)
	}
}

func TestSpeakOfSubject(t *testing.T) {
	cases := map[string]bool{
		`claims.sub == "x"`:                              true,
		`claims["sub"] == "x"`:                           true,
		`claims.?sub.orValue("") == "x"`:                 true,
		`claims[?"sub"].orValue("") == "x"`:              true,
		`has(claims.sub)`:                                true,
		`["a", "b"].exists(s, s == claims.sub)`:          true,
		`claims.subject == "x"`:                          false,
		`claims.actor.sub == "x"`:                        false,
		`claims["s" + "ub"] == "x"`:                      false,
		`"claims.sub" == "x"`:                            false,
		`claims.exists(k, k == "sub")`:                   false,
		`namespace.labels["sub"] == "x"`:                 false,
		`{"sub": "x"}.sub == "x" && claims.aud == ["x"]`: false,
	}
	for expression, want := range cases {
		rules, err := claimrules.Compile([]v1alpha1.TokenRule{{Expression: "true"}, {Expression: expression}})
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		if got := rules.SpeakOfSubject(); got != want {
			t.Errorf("%s: got %v, want %v", expression, got, want)
		}
		if rules.SpeakOfClient() {
			t.Errorf("%s speaks of the client", expression)
		}
	}
}

func TestSpeakOfClient(t *testing.T) {
	rules, err := claimrules.Compile([]v1alpha1.TokenRule{{Expression: `claims.client_id.startsWith(namespace.name + ".")`}})
	if err != nil || !rules.SpeakOfClient() || rules.SpeakOfSubject() {
		t.Errorf("the client: %v, the subject: %v (%v)", rules.SpeakOfClient(), rules.SpeakOfSubject(), err)
	}
}

func TestCacheTellsRulesApart(t *testing.T) {
	cache := claimrules.NewCache(2)
	rules := [][]v1alpha1.TokenRule{
		{{Expression: "true"}},
		{{Expression: "false", Message: "a"}},
		{{Expression: "false", Message: "b"}},
		{{Expression: "1"}},
	}
	want := []string{"<nil>", "rule 0 refuses it: a", "rule 0 refuses it: b", "rule 0: the expression must be a bool and is of type int: compare it with something"}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for round := range 40 {
				i := round % len(rules)
				compiled, err := cache.Compile(rules[i])
				if err == nil {
					err = compiled.Check(claims(), asking())
				}
				if got := fmt.Sprint(err); got != want[i] {
					t.Errorf("rules %d: got %s, want %s", i, got, want[i])
				}
			}
		})
	}
	workers.Wait()
	first, _ := cache.Compile(rules[0])
	if again, _ := cache.Compile(rules[0]); again != first {
		t.Error("the same rules were compiled twice")
	}
}
