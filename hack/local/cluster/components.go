package cluster

import (
	"path/filepath"
	"strconv"

	"github.com/keyturn/keyturn/hack/local/binaries"
	"github.com/keyturn/keyturn/hack/local/process"
)

const (
	operatorName      = "keyturn"
	operatorNamespace = "keyturn-system"
	// webhookConfiguration is the name of the ValidatingWebhookConfiguration into which the operator writes its CA.
	webhookConfiguration = "keyturn"
)

// The floors that protect production, lowered so that a rotation can be watched.
const (
	minimumDuration = "1s"
	signerStaleness = "10s"
)

// stopOrder lists every program that a cluster may have; each one needs those after it.
func stopOrder() []string {
	return []string{operatorName, binaries.ControllerManager, binaries.APIServer, binaries.Etcd}
}

// plan is all that the programs of one cluster are started with.
type plan struct {
	layout      layout
	assets      string
	ports       ports
	credentials credentials
}

func (p plan) program(name, path string, arguments ...string) process.Program {
	return process.Program{
		Name:         name,
		Path:         path,
		Args:         arguments,
		LogFile:      p.layout.log(name),
		IdentityFile: p.layout.identity(name),
	}
}

func (p plan) asset(name string, arguments ...string) process.Program {
	return p.program(name, p.assets+"/"+name, arguments...)
}

func (p plan) etcd() process.Program {
	client, peer := httpsURL(p.ports.Etcd), httpsURL(p.ports.EtcdPeer)
	certificate, key, ca := p.credentials.file("etcd.crt"), p.credentials.file("etcd.key"), p.credentials.file("etcd-ca.crt")
	return p.asset(binaries.Etcd,
		"--name=default",
		"--data-dir="+p.layout.run("etcd"),
		"--listen-client-urls="+client,
		"--advertise-client-urls="+client,
		"--cert-file="+certificate, "--key-file="+key, "--trusted-ca-file="+ca, "--client-cert-auth",
		"--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer,
		"--initial-cluster=default="+peer,
		"--peer-cert-file="+certificate, "--peer-key-file="+key, "--peer-trusted-ca-file="+ca, "--peer-client-cert-auth",
		// Much faster on slow disks. What a power failure would lose here is cleared by the next start anyway.
		"--unsafe-no-fsync",
		"--log-level=warn",
	)
}

func (p plan) apiServer() process.Program {
	file := p.credentials.file
	return p.asset(binaries.APIServer,
		"--bind-address="+loopback,
		"--advertise-address="+loopback,
		"--secure-port="+strconv.Itoa(p.ports.Server),
		"--etcd-servers="+httpsURL(p.ports.Etcd),
		"--etcd-cafile="+file("etcd-ca.crt"), "--etcd-certfile="+file("etcd-client.crt"), "--etcd-keyfile="+file("etcd-client.key"),
		"--tls-cert-file="+file("apiserver.crt"), "--tls-private-key-file="+file("apiserver.key"),
		"--client-ca-file="+file("ca.crt"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file="+file("service-account.key"),
		"--service-account-key-file="+file("service-account.crt"),
		"--service-cluster-ip-range=10.96.0.0/24",
		// A loopback address is no lawful endpoint of the kubernetes Service.
		"--endpoint-reconciler-type=none",
	)
}

func (p plan) controllerManager() process.Program {
	return p.asset(binaries.ControllerManager,
		"--kubeconfig="+p.credentials.file("controller-manager.kubeconfig"),
		"--service-account-private-key-file="+p.credentials.file("service-account.key"),
		"--root-ca-file="+p.credentials.file("ca.crt"),
		"--use-service-account-credentials",
		"--leader-elect=false",
		// With the usual limits its controllers wait for each other for seconds when they start.
		"--kube-api-qps=200", "--kube-api-burst=400",
		// Nobody needs its own endpoints here, and a port less can clash.
		"--secure-port=0",
	)
}

func (p plan) programs() map[string]process.Program {
	programs := map[string]process.Program{}
	for _, program := range []process.Program{p.etcd(), p.apiServer(), p.controllerManager(), p.operator()} {
		programs[program.Name] = program
	}
	return programs
}

func (p plan) operator() process.Program {
	return p.program(operatorName, p.layout.operator(), p.operatorArguments()...)
}

func (p plan) operatorArguments() []string {
	return []string{
		"--kubeconfig=" + p.layout.operatorKubeconfig(),
		"--namespace=" + operatorNamespace,
		"--leader-elect=false",
		// No Service sends requests here that would have to find another replica.
		"--shutdown-delay=0s",
		"--webhook-host=" + loopback,
		"--webhook-port=" + strconv.Itoa(p.ports.Webhook),
		"--webhook-dns-names=" + loopback + ",localhost",
		"--webhook-configuration=" + webhookConfiguration,
		"--https-bind-address=" + address(p.ports.HTTPS),
		"--external-url=" + httpsURL(p.ports.HTTPS),
		"--token-store=sqlite://" + filepath.Join(p.layout.tokenStore(), "tokens.db"),
		"--metrics-bind-address=" + address(p.ports.Metrics),
		"--health-probe-bind-address=" + address(p.ports.Health),
		"--minimum-duration=" + minimumDuration,
		"--signer-staleness=" + signerStaleness,
	}
}
