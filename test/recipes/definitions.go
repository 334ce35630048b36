package recipes

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
)

// definitions is a file of CustomResourceDefinitions in a released Go module. No program of that module runs: a real API server
// judges by them what a page applies.
type definitions struct {
	// module and its checksum, as go.sum would have it.
	module, sum string
	file        string
}

const (
	envoyGateway    = "github.com/envoyproxy/gateway@v1.9.1"
	envoyGatewaySum = "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY="
	istioAPI        = "istio.io/api@v1.31.4"
	istioAPISum     = "h1:AcnncYrlDj1PJkym7h88Gggkef4MAra8QpGaXRMsr+E="
)

// needs tells the definitions that must be there before a page is executed.
func needs(page string) []definitions {
	switch page {
	case "envoy-gateway":
		const folder = "charts/gateway-helm/charts/crds/crds/"
		return []definitions{
			{module: envoyGateway, sum: envoyGatewaySum, file: folder + "gatewayapi-crds.yaml"},
			{module: envoyGateway, sum: envoyGatewaySum, file: folder + "generated/gateway.envoyproxy.io_securitypolicies.yaml"},
		}
	case "istio":
		return []definitions{{module: istioAPI, sum: istioAPISum, file: "kubernetes/customresourcedefinitions.gen.yaml"}}
	default:
		return nil
	}
}

// path is where the file lies in the module cache, into which its module is downloaded.
func (d definitions) path(ctx context.Context) (string, error) {
	printed, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", d.module).Output()
	var downloaded struct {
		Dir   string `json:"Dir"`
		Sum   string `json:"Sum"`
		Error string `json:"Error"`
	}
	if decodeErr := json.Unmarshal(printed, &downloaded); decodeErr != nil {
		return "", fmt.Errorf("download %s: %w, %w", d.module, err, decodeErr)
	}
	if err != nil {
		return "", fmt.Errorf("download %s: %w: %s", d.module, err, downloaded.Error)
	}
	if downloaded.Sum != d.sum {
		return "", fmt.Errorf("download %s: its checksum is %s and was %s", d.module, downloaded.Sum, d.sum)
	}
	return filepath.Join(downloaded.Dir, d.file), nil
}
