// Package privilege compares what RBAC grants to a ServiceAccount with what the API server's audit log says that it asked for.
package privilege

import (
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Right is one verb on one resource, as narrow as RBAC can say it.
type Right struct {
	Verb string
	// Group and Resource are as in a rule: a subresource is "resource/subresource".
	Group, Resource string
	// Namespace and Name are empty where the right is for all of them.
	Namespace, Name string
}

func (r Right) String() string {
	where := "in all namespaces"
	if r.Namespace != "" {
		where = "in namespace " + r.Namespace
	}
	resource := r.Resource
	if r.Group != "" {
		resource += "." + r.Group
	}
	if r.Name != "" {
		resource += " " + r.Name
	}
	return fmt.Sprintf("%s %s %s", r.Verb, resource, where)
}

// covers says whether the right allows a request.
func (r Right) covers(request Request, verb string) bool {
	return r.Verb == verb && r.Group == request.Group && r.Resource == request.Resource &&
		(r.Namespace == "" || r.Namespace == request.Namespace) && (r.Name == "" || r.Name == request.Name)
}

// narrowness orders rights: whoever names an object says more than whoever names a namespace.
func (r Right) narrowness() int {
	score := 0
	if r.Namespace != "" {
		score++
	}
	if r.Name != "" {
		score += 2
	}
	return score
}

// Rights are what rules grant in a namespace, or everywhere if it is empty. A wildcard stands for itself, so that nothing
// uses it.
func Rights(rules []rbacv1.PolicyRule, namespace string) []Right {
	var rights []Right
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			for _, url := range rule.NonResourceURLs {
				rights = append(rights, Right{Verb: verb, Resource: url})
			}
			for _, group := range rule.APIGroups {
				rights = append(rights, onResources(rule, Right{Verb: verb, Group: group, Namespace: namespace})...)
			}
		}
	}
	return rights
}

// onResources are a right on each resource of a rule, by name if the rule has names.
func onResources(rule rbacv1.PolicyRule, right Right) []Right {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var rights []Right
	for _, right.Resource = range rule.Resources {
		for _, right.Name = range names {
			rights = append(rights, right)
		}
	}
	return rights
}

// Unused are the rights that no request needed. A request needs the narrowest right that covers it and no wider one.
func Unused(rights []Right, requests []Request) []Right {
	used := map[Right]bool{}
	for _, request := range requests {
		for _, verb := range request.verbs() {
			for _, right := range narrowest(rights, request, verb) {
				used[right] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(rights), func(r Right) bool { return used[r] })
}

func narrowest(rights []Right, request Request, verb string) []Right {
	var found []Right
	for _, right := range rights {
		if !right.covers(request, verb) {
			continue
		}
		if len(found) > 0 && right.narrowness() > found[0].narrowness() {
			found = nil
		}
		if len(found) == 0 || right.narrowness() == found[0].narrowness() {
			found = append(found, right)
		}
	}
	return found
}
