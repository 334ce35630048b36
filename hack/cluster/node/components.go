package node

import (
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn/hack/cluster/machine"
	"github.com/keyturn/keyturn/hack/cluster/network"
	"github.com/keyturn/keyturn/hack/local/binaries"
	"github.com/keyturn/keyturn/hack/local/process"
)

const (
	machineName    = "machine"
	containerdName = "containerd"
	nodeName       = "node"
	serverPort     = "6443"
	runtimeSocket  = "/run/containerd/containerd.sock"
	// Where the programs of the cluster find each other.
	controlPlaneFolder = "/run/control-plane"
	nodeFolder         = "/run/node"
)

// components lists every program that a cluster has; all others live and die with the machine.
func components() []string {
	return []string{
		machineName, binaries.Etcd, binaries.APIServer, containerdName, binaries.ControllerManager, binaries.Scheduler,
		binaries.CoreDNS, binaries.Kubelet, binaries.Proxy,
	}
}

// plan is all that the programs of one cluster are started with.
type plan struct {
	layout  layout
	network network.Plan
	// machine is the process ID of the machine's first process.
	machine int
}

func (p plan) program(name, path string, arguments ...string) process.Program {
	return process.Program{
		Name:         name,
		Path:         path,
		Args:         arguments,
		LogFile:      p.layout.log(name),
		IdentityFile: p.layout.identity(name),
		Launch:       machine.Enter(p.machine),
	}
}

func machineProgram(l layout, controlPlane, node string) (process.Program, error) {
	self, err := os.Executable()
	if err != nil {
		return process.Program{}, err
	}
	return process.Program{
		Name:         machineName,
		Path:         self,
		Args:         []string{"machine", l.file(), controlPlaneFolder + "=" + controlPlane, nodeFolder + "=" + node},
		LogFile:      l.log(machineName),
		IdentityFile: l.identity(machineName),
		Launch:       machine.Create,
	}, nil
}

func (p plan) etcd() process.Program {
	client, peer := "https://127.0.0.1:2379", "https://127.0.0.1:2380"
	certificate, key, ca := pki("etcd.crt"), pki("etcd.key"), pki("etcd-ca.crt")
	return p.program(binaries.Etcd, filepath.Join(controlPlaneFolder, binaries.Etcd),
		"--name=default",
		"--data-dir=/var/lib/etcd",
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
	return p.program(binaries.APIServer, filepath.Join(controlPlaneFolder, binaries.APIServer),
		"--bind-address=0.0.0.0",
		"--advertise-address="+p.network.Node().String(),
		"--secure-port="+serverPort,
		"--etcd-servers=https://127.0.0.1:2379",
		"--etcd-cafile="+pki("etcd-ca.crt"), "--etcd-certfile="+pki("etcd-client.crt"), "--etcd-keyfile="+pki("etcd-client.key"),
		"--tls-cert-file="+pki("apiserver.crt"), "--tls-private-key-file="+pki("apiserver.key"),
		"--client-ca-file="+pki("ca.crt"),
		"--kubelet-certificate-authority="+pki("ca.crt"),
		"--kubelet-client-certificate="+pki("kubelet-client.crt"), "--kubelet-client-key="+pki("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--authorization-mode=Node,RBAC",
		"--authentication-config="+inside(authenticationFile),
		"--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file="+pki("service-account.key"),
		"--service-account-key-file="+pki("service-account.crt"),
		"--service-cluster-ip-range="+p.network.Services().String(),
		"--audit-policy-file="+inside(auditPolicyFile),
		"--audit-log-path=/var/log/audit.log",
		"--audit-log-mode=blocking",
	)
}

func (p plan) controllerManager() process.Program {
	return p.program(binaries.ControllerManager, filepath.Join(controlPlaneFolder, binaries.ControllerManager),
		"--kubeconfig="+pki("controller-manager.kubeconfig"),
		"--service-account-private-key-file="+pki("service-account.key"),
		"--root-ca-file="+pki("ca.crt"),
		"--use-service-account-credentials",
		"--leader-elect=false",
		// With the usual limits its controllers wait for each other for seconds when they start.
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--bind-address=127.0.0.1",
	)
}

func (p plan) scheduler() process.Program {
	return p.program(binaries.Scheduler, filepath.Join(nodeFolder, binaries.Scheduler),
		"--kubeconfig="+pki("scheduler.kubeconfig"),
		"--leader-elect=false",
		"--bind-address=127.0.0.1",
	)
}

func (p plan) containerd() process.Program {
	return p.program(containerdName, "/usr/bin/containerd", "--config="+inside(containerdFile))
}

func (p plan) kubelet() process.Program {
	return p.program(binaries.Kubelet, filepath.Join(nodeFolder, binaries.Kubelet),
		"--config="+inside(kubeletFile),
		"--kubeconfig="+pki("kubelet.kubeconfig"),
		"--hostname-override="+nodeName,
		"--node-ip="+p.network.Node().String(),
	)
}

func (p plan) proxy() process.Program {
	return p.program(binaries.Proxy, filepath.Join(nodeFolder, binaries.Proxy), "--config="+inside(proxyFile))
}

func (p plan) coreDNS() process.Program {
	return p.program(binaries.CoreDNS, filepath.Join(nodeFolder, binaries.CoreDNS), "-conf="+inside(coreDNSFile))
}

func pki(name string) string {
	return inside("pki", name)
}
