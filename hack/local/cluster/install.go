package cluster

import (
	"context"
	"fmt"
)

// install brings what `kubectl apply -k config` would bring to a cluster with nodes: the API, the operator's namespace and
// rights, and its webhooks.
func install(ctx context.Context, p plan) error {
	definitions, err := readManifests(p.layout.config("crd", "bases"))
	if err != nil {
		return err
	}
	roles, err := readManifests(p.layout.config("rbac", "role.yaml"))
	if err != nil {
		return err
	}
	webhooks, err := readManifests(p.layout.config("webhook", "manifests.yaml"))
	if err != nil {
		return err
	}
	if err := pointWebhooks(webhooks, httpsURL(p.ports.Webhook)); err != nil {
		return err
	}

	kubectl := p.layout.client()
	namespace := newObject("v1", "Namespace", "", operatorNamespace)
	for _, objects := range [][]object{{namespace}, definitions, bindRoles(roles), webhooks} {
		if err := kubectl.Apply(ctx, objects); err != nil {
			return fmt.Errorf("install into the cluster: %w", err)
		}
	}
	return nil
}
