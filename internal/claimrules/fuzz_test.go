package claimrules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/claimrules"
	"github.com/keyturn/keyturn/test/budget"
)

// mostBytes is what a rule may allocate, compiled and evaluated: as much as it costs, not more.
const mostBytes = 64 << 20

// FuzzCompile: whatever is written as a rule compiles or does not, says yes or no, the same each time and soon, and tells no claim
// that the rule does not hold itself.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`claims.aud.all(a, a.startsWith("https://")) && namespace.labels["tier"] == "prod"`,
		`claims.?namespace.orValue("") == namespace.name`, `namespace.name in ['a', r'b', b'c']`,
		`claims[claims.password] == 1`, `int(claims.password) == 1`, `duration(claims.password) == duration("1s")`,
		`[claims.groups + claims.groups].all(a, [a + a].all(b, b == a))`, `"` + "\x00" + `" == '''x`, `// namespace`,
		`claims.groups.map(g, g.split("")).size() > 9223372036854775807`, `claims.sub.matches("(a{9}){9}")`, `..namespace`,
		`{?"0": claims.a} == {}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		var err error
		judge := func() {
			var rules *claimrules.Rules
			if rules, err = claimrules.Compile([]v1alpha1.TokenRule{{Expression: expression, Message: "no"}}); err == nil {
				err = rules.Check(claims(), asking())
			}
		}
		if bytes := budget.Bytes(judge); bytes > mostBytes {
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
