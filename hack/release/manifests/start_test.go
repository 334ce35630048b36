package manifests_test

import (
	"maps"
	"slices"
	"testing"
)

// An operator that needed its own webhook to write would never come up again after all replicas were down.
func TestOperatorWritesNothingThatItsWebhooksJudge(t *testing.T) {
	installed := kustomized(t)
	granted := slices.Concat(
		rules(installed["ClusterRole /keyturn-manager"]), rules(installed["Role "+namespace+"/keyturn-manager"]))
	writes := 0
	for _, rule := range granted {
		for _, write := range writesOf(rule) {
			writes++
			for _, webhook := range installed[webhooks].Object["webhooks"].([]any) {
				if matches(webhook, write) && !exemptsOperator(webhook) {
					t.Errorf("the operator may %s %s, and that waits for the webhook %v", write.operation, write.resource, follow(webhook, []any{"name"}))
				}
			}
		}
	}
	if writes < 10 {
		t.Errorf("only %d writes were found in the roles", writes)
	}
}

// Whoever shares the namespace with the operator keeps what is theirs. What has no name yet cannot be limited to one.
func TestInItsNamespaceOperatorTouchesNothingButItsOwn(t *testing.T) {
	for _, rule := range rules(kustomized(t)["Role "+namespace+"/keyturn-manager"]) {
		names, verbs := list(rule, "resourceNames"), list(rule, "verbs")
		if len(names) == 0 && !slices.Equal(verbs, []any{"create"}) {
			t.Errorf("the operator may %v any of the %v", verbs, list(rule, "resources"))
		}
	}
}

func TestOperatorsPodsWaitForNoWebhook(t *testing.T) {
	for _, webhook := range kustomized(t)[webhooks].Object["webhooks"].([]any) {
		if !matches(webhook, write{operation: "CREATE", resource: "pods"}) {
			continue
		}
		left := follow(webhook, []any{"namespaceSelector", "matchExpressions", 0}).(map[string]any)
		names, _ := left["values"].([]any)
		if left["key"] != "kubernetes.io/metadata.name" || left["operator"] != "NotIn" || !slices.Contains(names, any(namespace)) {
			t.Errorf("%v judges pods in %s: %v", follow(webhook, []any{"name"}), namespace, left)
		}
	}
}

type write struct{ group, operation, resource string }

// writesOf are the operations that admission sees of what a rule allows.
func writesOf(rule any) []write {
	operations := map[string]bool{}
	for _, verb := range list(rule, "verbs") {
		switch verb {
		case "create":
			operations["CREATE"] = true
		case "update":
			operations["UPDATE"] = true
		case "patch": // Server-side apply creates as well.
			operations["UPDATE"], operations["CREATE"] = true, true
		case "delete":
			operations["DELETE"] = true
		}
	}
	var writes []write
	for _, group := range list(rule, "apiGroups") {
		for _, resource := range list(rule, "resources") {
			for operation := range maps.Keys(operations) {
				writes = append(writes, write{group: group.(string), operation: operation, resource: resource.(string)})
			}
		}
	}
	return writes
}

func matches(webhook any, w write) bool {
	return slices.ContainsFunc(list(webhook, "rules"), func(rule any) bool {
		return has(list(rule, "apiGroups"), w.group) && has(list(rule, "resources"), w.resource) && has(list(rule, "operations"), w.operation)
	})
}

func exemptsOperator(webhook any) bool {
	return slices.ContainsFunc(list(webhook, "matchConditions"), func(condition any) bool {
		return follow(condition, []any{"expression"}) == "request.userInfo.username != 'system:serviceaccount:"+namespace+":keyturn'"
	})
}

func list(of any, field string) []any {
	values, _ := follow(of, []any{field}).([]any)
	return values
}

func has(values []any, value string) bool {
	return slices.Contains(values, any("*")) || slices.Contains(values, any("*/*")) || slices.Contains(values, any(value))
}
