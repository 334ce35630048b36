// Package kubectl runs kubectl.
package kubectl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// Kubectl speaks to one cluster as one user.
type Kubectl struct {
	// Path is the program.
	Path string
	// Kubeconfig names the cluster and the user.
	Kubeconfig string
	// CacheDir is a folder for what kubectl remembers of the API.
	CacheDir string
}

// Run returns an error that says what kubectl said.
func (k Kubectl) Run(ctx context.Context, input []byte, arguments ...string) error {
	_, err := k.Output(ctx, input, arguments...)
	return err
}

// Output returns what kubectl wrote to its standard output, or an error that says what it wrote to the other.
func (k Kubectl) Output(ctx context.Context, input []byte, arguments ...string) (string, error) {
	flags := []string{"--kubeconfig=" + k.Kubeconfig, "--cache-dir=" + k.CacheDir}
	command := exec.CommandContext(ctx, k.Path, append(flags, arguments...)...)
	command.Stdin = bytes.NewReader(input)
	var said strings.Builder
	command.Stderr = &said
	output, err := command.Output()
	if err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("kubectl %s: %w", arguments[0], context.Cause(ctx))
		}
		return "", fmt.Errorf("kubectl %s: %w: %s", arguments[0], err, strings.TrimSpace(said.String()))
	}
	return string(output), nil
}

// Apply creates or updates the objects.
func (k Kubectl) Apply(ctx context.Context, objects []map[string]any) error {
	if len(objects) == 0 {
		return nil
	}
	list, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		return fmt.Errorf("encode manifests: %w", err)
	}
	return k.Run(ctx, list, "apply", "--server-side", "--field-manager=keyturn-local", "--filename=-")
}

// TryCreate asks whether the object would be created, and creates nothing.
func (k Kubectl) TryCreate(ctx context.Context, wanted map[string]any) error {
	content, err := json.Marshal(wanted)
	if err != nil {
		return fmt.Errorf("encode object: %w", err)
	}
	return k.Run(ctx, content, "create", "--dry-run=server", "--filename=-")
}

// ServerReady asks all readiness checks of the API server.
func (k Kubectl) ServerReady(ctx context.Context) error {
	return k.Run(ctx, nil, "get", "--raw=/readyz", "--request-timeout=5s")
}

// AccountsReady tells that the controller manager works: it creates this ServiceAccount.
func (k Kubectl) AccountsReady(ctx context.Context) error {
	return k.Run(ctx, nil, "get", "serviceaccount/default", "--namespace=default")
}
