package main

import (
	"fmt"

	"github.com/keyturn/keyturn/hack/local/cluster"
	"github.com/keyturn/keyturn/hack/local/process"
)

// local is a control plane on this machine, and how its operator is started.
type local struct {
	cluster.Cluster

	Operator operatorAt
}

// operatorAt is where an operator is that somebody starts.
type operatorAt struct {
	// Kubeconfig is the file with its credentials.
	Kubeconfig string
	// Arguments are its flags. Of a flag that is given twice the last one counts.
	Arguments []string
	// Metrics and Health are the URLs of its metrics and of its readiness.
	Metrics, Health string
	// HTTPS and Webhook are those of its servers.
	HTTPS, Webhook string
	// Log is the file that its output belongs into, and Identity that of its process, so that it is stopped with the control plane.
	Log, Identity string
}

func newLocal(c cluster.Cluster) local {
	program := c.Programs["keyturn"]
	return local{Cluster: c, Operator: operatorAt{
		Kubeconfig: c.OperatorKubeconfig, Arguments: program.Args, Log: program.LogFile, Identity: program.IdentityFile,
		Metrics: "http://" + c.Metrics + "/metrics", Health: "http://" + c.Health + "/readyz",
		HTTPS: "https://" + c.HTTPS, Webhook: "https://" + c.Webhook,
	}}
}

// Process is that of a component, such as binaries.APIServer.
func (l local) Process(component string) (process.Identity, error) {
	program, known := l.Programs[component]
	if !known {
		return process.Identity{}, fmt.Errorf("find process: the control plane has no %s", component)
	}
	return process.ReadFile(program.IdentityFile)
}
