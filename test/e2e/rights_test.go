package e2e_test

import (
	"slices"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/test/e2e/privilege"
)

// operatorUser is who the operator is to the API server.
const operatorUser = "system:serviceaccount:" + operatorNamespace + ":" + operatorName

// noteRights adds what RBAC grants to the operator as it is installed now. In namespaces that are named it has the rights that
// it has elsewhere in all, so they are needed if those are.
func (c *cluster) noteRights(t *testing.T, named ...string) {
	t.Helper()
	granted := c.grantedRights(t)
	if len(granted) == 0 {
		t.Fatal("RBAC grants nothing to the operator")
	}
	for _, right := range granted {
		if slices.Contains(named, right.Namespace) {
			right.Namespace = ""
		}
		if !slices.Contains(c.rights, right) {
			c.rights = append(c.rights, right)
		}
	}
}

// grantedRights are what RBAC grants to the operator now.
func (c *cluster) grantedRights(t *testing.T) []privilege.Right {
	t.Helper()
	var everywhere rbacv1.ClusterRoleBindingList
	var within rbacv1.RoleBindingList
	must(t, c.List(t.Context(), &everywhere), c.List(t.Context(), &within))
	var granted []privilege.Right
	for _, binding := range everywhere.Items {
		if isOperator(binding.Subjects) {
			granted = append(granted, privilege.Rights(c.rules(t, binding.RoleRef, ""), "")...)
		}
	}
	for _, binding := range within.Items {
		if isOperator(binding.Subjects) {
			granted = append(granted, privilege.Rights(c.rules(t, binding.RoleRef, binding.Namespace), binding.Namespace)...)
		}
	}
	return granted
}

func isOperator(subjects []rbacv1.Subject) bool {
	return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
		return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == operatorNamespace && s.Name == operatorName
	})
}

func (c *cluster) rules(t *testing.T, ref rbacv1.RoleRef, namespace string) []rbacv1.PolicyRule {
	t.Helper()
	if ref.Kind == "ClusterRole" {
		return get(t, c, "", ref.Name, &rbacv1.ClusterRole{}).Rules
	}
	role := &rbacv1.Role{}
	must(t, c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: ref.Name}, role))
	return role.Rules
}

// isRemoved says whether the operator's rights were being removed at that instant, of which it learns last.
func (c *cluster) isRemoved(at time.Time) bool {
	return slices.ContainsFunc(c.removals, func(r removal) bool { return !at.Before(r.from) && !at.After(r.to) })
}

// Every right that RBAC granted in any of the installs was needed, and no request was denied.
func rightsAreTheLeastThatWork(t *testing.T, c *cluster) {
	requests := c.requests(t)
	if len(requests) == 0 {
		t.Fatal("the audit log has no request of the operator")
	}
	var allowed []privilege.Request
	excused := 0
	for _, request := range requests {
		switch {
		case !request.Denied():
			allowed = append(allowed, request)
		case c.isRemoved(request.At):
			excused++
		default:
			t.Errorf("RBAC does not grant what was asked for: %s", request)
		}
	}
	for _, right := range privilege.Unused(c.rights, allowed) {
		t.Errorf("RBAC grants what was never needed: %s", right)
	}
	c.report.saw(t, "RBAC", "%d rights in %d installs, all needed; %d requests, none denied but %d of an operator that was being removed",
		len(c.rights), c.installs, len(requests), excused)
}
