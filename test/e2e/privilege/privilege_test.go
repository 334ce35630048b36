package privilege_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/keyturn/keyturn/test/e2e/privilege"
)

const user = "system:serviceaccount:keyturn-system:keyturn"

// line is one of an audit log.
func line(user, verb, reference string, code int) string {
	return fmt.Sprintf(`{"stage":"ResponseComplete","verb":%q,"user":{"username":%q},"objectRef":%s,"responseStatus":{"code":%d}}`,
		verb, user, reference, code) + "\n"
}

func requests(t *testing.T, lines ...string) []privilege.Request {
	t.Helper()
	found, err := privilege.Requests(strings.NewReader(strings.Join(lines, "")), user)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func rule(verbs, resources, names []string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Verbs: verbs, Resources: resources, ResourceNames: names}
}

func TestARightIsUsedByTheRequestThatNeedsIt(t *testing.T) {
	t.Parallel()
	const certificate = `{"resource":"secrets","namespace":"keyturn-system","name":"keyturn-webhook-cert"}`
	everywhere := privilege.Rights([]rbacv1.PolicyRule{rule([]string{"get", "create"}, []string{"secrets"}, nil)}, "")
	there := privilege.Rights([]rbacv1.PolicyRule{rule([]string{"create"}, []string{"secrets"}, nil)}, "keyturn-system")
	named := privilege.Rights([]rbacv1.PolicyRule{rule([]string{"get"}, []string{"secrets"}, []string{"keyturn-webhook-cert"})}, "keyturn-system")
	tests := map[string]struct {
		rights []privilege.Right
		log    []string
		want   []string
	}{
		"nobody has asked": {rights: named, want: []string{"get secrets keyturn-webhook-cert in namespace keyturn-system"}},
		"somebody else has asked": {
			rights: named, log: []string{line("admin", "get", certificate, 200)},
			want: []string{"get secrets keyturn-webhook-cert in namespace keyturn-system"},
		},
		"it was asked for": {rights: named, log: []string{line(user, "get", certificate, 200)}},
		"it was asked for in another namespace": {
			rights: there, log: []string{line(user, "create", `{"resource":"secrets","namespace":"elsewhere"}`, 201)},
			want: []string{"create secrets in namespace keyturn-system"},
		},
		"another of that kind was asked for": {
			rights: named, log: []string{line(user, "get", `{"resource":"secrets","namespace":"keyturn-system","name":"other"}`, 200)},
			want: []string{"get secrets keyturn-webhook-cert in namespace keyturn-system"},
		},
		"a narrower right was enough": {
			rights: append(everywhere, named...), log: []string{line(user, "get", certificate, 200), line(user, "create", certificate, 201)},
			want: []string{"get secrets in all namespaces"},
		},
		"a patch that makes its object needs create": {
			rights: everywhere, log: []string{line(user, "patch", certificate, 201), line(user, "get", `{"resource":"secrets","namespace":"a"}`, 200)},
		},
		"a patch that changes its object does not": {
			rights: there, log: []string{line(user, "patch", certificate, 200)},
			want: []string{"create secrets in namespace keyturn-system"},
		},
		"a subresource is another resource": {
			rights: privilege.Rights([]rbacv1.PolicyRule{rule([]string{"patch"}, []string{"pods", "pods/status"}, nil)}, ""),
			log:    []string{line(user, "patch", `{"resource":"pods","subresource":"status","namespace":"a","name":"b"}`, 200)},
			want:   []string{"patch pods in all namespaces"},
		},
		"a wildcard is never needed": {
			rights: privilege.Rights([]rbacv1.PolicyRule{rule([]string{"*"}, []string{"pods"}, nil)}, ""),
			log:    []string{line(user, "get", `{"resource":"pods","namespace":"a","name":"b"}`, 200)},
			want:   []string{"* pods in all namespaces"},
		},
		"a path is never needed": {
			rights: privilege.Rights([]rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}}}, ""),
			want:   []string{"get /metrics in all namespaces"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, right := range privilege.Unused(test.rights, requests(t, test.log...)) {
				got = append(got, right.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the unused rights differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADeniedRequestIsFound(t *testing.T) {
	t.Parallel()
	ending := strings.Replace(line(user, "create", `{"resource":"events","namespace":"ending"}`, 403), `"code"`,
		`"message":"unable to create new content in namespace ending because it is being terminated","code"`, 1)
	log := []string{
		line(user, "get", `{"resource":"secrets","namespace":"a","name":"b"}`, 404), ending,
		line(user, "list", `{"resource":"nodes"}`, 403), line("admin", "list", `{"resource":"pods"}`, 403),
	}
	var denied []string
	for _, request := range requests(t, log...) {
		if request.Denied() {
			denied = append(denied, request.String())
		}
	}
	if diff := cmp.Diff([]string{"list nodes in all namespaces: 403 "}, denied); diff != "" {
		t.Errorf("the denied requests differ (-want +got):\n%s", diff)
	}
}

func TestAnAuditLogIsReadUpToItsLastCompleteLine(t *testing.T) {
	t.Parallel()
	whole := line(user, "get", `{"resource":"secrets","namespace":"a","name":"b"}`, 200)
	if got := requests(t, whole, whole[:40]); len(got) != 1 {
		t.Errorf("%d requests are read, want 1", len(got))
	}
	if _, err := privilege.Requests(strings.NewReader(whole[:40]+"\n"+whole), user); err == nil {
		t.Error("a damaged line in the middle is passed over, want an error")
	}
}
