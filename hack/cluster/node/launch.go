package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/keyturn/keyturn/hack/local/binaries"
	"github.com/keyturn/keyturn/hack/local/process"
	"github.com/keyturn/keyturn/hack/local/ready"
)

// launch starts one program after the other, each when those that it needs are ready.
func launch(ctx context.Context, p plan, start func(process.Program) error, out io.Writer) error {
	say(out, "[2/5] Starting etcd, kube-apiserver and containerd.")
	for _, program := range []process.Program{p.etcd(), p.containerd(), p.apiServer()} {
		if err := start(program); err != nil {
			return err
		}
	}
	say(out, "[3/5] Loading the images pause and busybox.")
	if err := loadKnown(ctx, p, out); err != nil {
		return err
	}
	client := p.layout.client()
	server := ready.Question{What: "the API server", LogFile: p.layout.log(binaries.APIServer), Ask: client.ServerReady}
	if err := server.Wait(ctx, startTimeout); err != nil {
		return err
	}
	if err := client.Apply(ctx, dnsObjects()); err != nil {
		return err
	}
	say(out, "[4/5] Starting kube-controller-manager, kube-scheduler, CoreDNS, kubelet and kube-proxy.")
	for _, program := range []process.Program{p.controllerManager(), p.scheduler(), p.coreDNS(), p.kubelet(), p.proxy()} {
		if err := start(program); err != nil {
			return err
		}
	}
	say(out, "[5/5] Waiting for the node and for Services.")
	return answers(ctx, p)
}

// answers waits until everything answers that a user of the cluster relies on.
func answers(ctx context.Context, p plan) error {
	client := p.layout.client()
	for _, question := range []ready.Question{
		{What: "the controller manager", LogFile: p.layout.log(binaries.ControllerManager), Ask: client.AccountsReady},
		{What: "the node", LogFile: p.layout.log(binaries.Kubelet), Ask: func(ctx context.Context) error {
			return client.Run(ctx, nil, "wait", "--for=condition=Ready", "node/"+nodeName, "--timeout=1s")
		}},
		{What: "the address of a Service", LogFile: p.layout.log(binaries.Proxy), Ask: p.serviceAnswers},
		{What: "the name of a Service", LogFile: p.layout.log(binaries.CoreDNS), Ask: p.nameResolves},
	} {
		if err := question.Wait(ctx, startTimeout); err != nil {
			return err
		}
	}
	return nil
}

// serviceAnswers connects to the API server by the address of its Service, which only kube-proxy makes work.
func (p plan) serviceAnswers(ctx context.Context) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(p.network.Kubernetes().String(), "443"))
	if err != nil {
		return err
	}
	return connection.Close()
}

// nameResolves asks CoreDNS for the address of that Service.
func (p plan) nameResolves(ctx context.Context) error {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(p.network.DNS().String(), "53"))
	}}
	addresses, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	if err == nil && !slices.Contains(addresses, p.network.Kubernetes().String()) {
		err = fmt.Errorf("it has the addresses %v, not %s", addresses, p.network.Kubernetes())
	}
	return err
}

// dnsUser is whom the API server takes CoreDNS for.
const dnsUser = "coredns"

// dnsObjects let CoreDNS read what it answers from.
func dnsObjects() []object {
	const group = "rbac.authorization.k8s.io"
	role := object{
		"apiVersion": group + "/v1", "kind": "ClusterRole", "metadata": object{"name": dnsUser},
		"rules": []object{
			{"apiGroups": []string{""}, "resources": []string{"services", "namespaces", "pods"}, "verbs": []string{"list", "watch"}},
			{"apiGroups": []string{"discovery.k8s.io"}, "resources": []string{"endpointslices"}, "verbs": []string{"list", "watch"}},
		},
	}
	binding := object{
		"apiVersion": group + "/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": dnsUser},
		"roleRef":  object{"apiGroup": group, "kind": "ClusterRole", "name": dnsUser},
		"subjects": []object{{"apiGroup": group, "kind": "User", "name": dnsUser}},
	}
	return []object{role, binding}
}
