package gate

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/types"
)

func TestRefusalsAreLogged(t *testing.T) {
	r, s := begun(t, rule("request.path == '/'", ""))
	for name, test := range map[string]struct {
		target, token string
		want          []string
	}{
		"let in": {"/", s.sign(nil), nil},
		"no token": {"/secret", "", []string{
			`audit "level"=0 "msg"="gate decided" "result"="Refused" "reason"="NoToken" "status"=401 "tokenPolicy"={"name"="api" "namespace"="shop"} ` +
				`"detail"="the request has no Bearer token" "method"="GET"`,
		}},
		"by a rule": {"/secret", s.sign(nil), []string{
			`audit "level"=0 "msg"="gate decided" "result"="Refused" "reason"="RuleSaysNo" "status"=403 "tokenPolicy"={"name"="api" "namespace"="shop"} ` +
				`"detail"="rule 0 refuses it: a rule of the policy refuses the request" "method"="GET" "issuer"="` + external +
				`/shop/orders" "subject"="alice" "tokenID"="one" "keyID"="` + s.key.ID() + `"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r.lines = nil
			r.ask(test.token, "X-Forwarded-Uri", test.target)
			if diff := cmp.Diff(test.want, r.lines); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Anybody can be refused as often as they like.
func TestRefusalsDoNotFillTheLog(t *testing.T) {
	r, _ := begun(t)
	for range 10 * lineBurst {
		r.ask("")
		r.send(http.MethodGet, "/verify/shop/nothing", "")
	}
	if len(r.lines) != lineBurst {
		t.Errorf("%d lines", len(r.lines))
	}
	r.clock.SetTime(start().Add(startsWithin))
	r.ask("")
	if len(r.lines) != lineBurst+1 {
		t.Errorf("%d lines, a second later", len(r.lines))
	}
}

func TestDecisionsAreCounted(t *testing.T) {
	decisions.Reset()
	r, s := begun(t)
	r.ask(s.sign(nil))
	r.ask(s.sign(nil))
	r.ask("")
	for _, name := range []string{"one", "two"} {
		r.send(http.MethodGet, "/verify/shop/"+name, "")
	}
	want := `
# HELP keyturn_gate_decisions_total Requests that the gate decided about, by the TokenPolicy, the result and why; a policy that does not exist has no name.
# TYPE keyturn_gate_decisions_total counter
keyturn_gate_decisions_total{name="",namespace="",reason="PolicyUnknown",result="Refused"} 2
keyturn_gate_decisions_total{name="api",namespace="shop",reason="Accepted",result="Accepted"} 2
keyturn_gate_decisions_total{name="api",namespace="shop",reason="NoToken",result="Refused"} 1
`
	if err := testutil.CollectAndCompare(decisions, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	forgetMetrics(types.NamespacedName{Namespace: "shop", Name: "api"})
	if n := testutil.CollectAndCount(decisions); n != 1 {
		t.Errorf("%d series of a policy that is gone", n-1)
	}
}
