// Command golangci-lint is golangci-lint with kube-api-linter compiled in.
//
// `golangci-lint custom` builds the same from a git clone; this needs Go modules alone, and go.mod pins every version.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	_ "sigs.k8s.io/kube-api-linter" // registers the linter kubeapilinter
)

const upstream = "github.com/golangci/golangci-lint/v2"

func main() {
	if err := commands.Execute(describe()); err != nil {
		fmt.Fprintf(os.Stderr, "golangci-lint: %v\n", err)
		os.Exit(exitcodes.Failure)
	}
}

// describe reports the version of the module that was linked, since this main package has none of its own.
func describe() commands.BuildInfo {
	described := commands.BuildInfo{GoVersion: runtime.Version(), Version: "unknown", Commit: "unknown", Date: "unknown"}
	linked, ok := debug.ReadBuildInfo()
	if !ok {
		return described
	}
	for _, module := range linked.Deps {
		if module.Path == upstream {
			described.Version, described.Commit = module.Version, module.Sum
		}
	}
	return described
}
