package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// kubectl speaks to the cluster as its administrator.
type kubectl struct {
	layout layout
}

// run returns an error that says what kubectl said.
func (k kubectl) run(ctx context.Context, input []byte, arguments ...string) error {
	flags := []string{"--kubeconfig=" + k.layout.kubeconfig(), "--cache-dir=" + k.layout.run("kubectl-cache")}
	command := exec.CommandContext(ctx, k.layout.kubectl(), append(flags, arguments...)...)
	command.Stdin = bytes.NewReader(input)
	var said strings.Builder
	command.Stderr = &said
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("kubectl %s: %w", arguments[0], context.Cause(ctx))
		}
		return fmt.Errorf("kubectl %s: %w: %s", arguments[0], err, strings.TrimSpace(said.String()))
	}
	return nil
}

// apply creates or updates the objects.
func (k kubectl) apply(ctx context.Context, objects []object) error {
	if len(objects) == 0 {
		return nil
	}
	list, err := json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		return fmt.Errorf("encode manifests: %w", err)
	}
	return k.run(ctx, list, "apply", "--server-side", "--field-manager=keyturn-local", "--filename=-")
}

// tryCreate asks whether the object would be created, and creates nothing.
func (k kubectl) tryCreate(ctx context.Context, wanted object) error {
	content, err := json.Marshal(wanted)
	if err != nil {
		return fmt.Errorf("encode object: %w", err)
	}
	return k.run(ctx, content, "create", "--dry-run=server", "--filename=-")
}
