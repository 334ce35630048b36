package node

import (
	"errors"
	"fmt"
	"os"

	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/hack/local/certs"
)

// createCredentials writes what the programs and users of the cluster prove themselves with. etcd has an authority of its
// own, so that no client of the API server can reach around it.
func createCredentials(p plan) error {
	now := clock.RealClock{}.Now()
	cluster, err := certs.NewAuthority("keyturn-cluster", now)
	if err != nil {
		return err
	}
	etcd, err := certs.NewAuthority("keyturn-cluster-etcd", now)
	if err != nil {
		return err
	}
	folder := certs.Folder(p.layout.file("pki"))
	if err := os.MkdirAll(string(folder), 0o700); err != nil {
		return fmt.Errorf("create folder for credentials: %w", err)
	}
	return errors.Join(
		folder.WriteAuthority("ca.crt", cluster),
		folder.WriteAuthority("etcd-ca.crt", etcd),
		folder.WritePair("apiserver", func() (certs.Pair, error) { return cluster.Server("kube-apiserver", serverNames(p)...) }),
		folder.WritePair("kubelet", func() (certs.Pair, error) {
			return cluster.Server("system:node:"+nodeName, nodeName, p.network.Node().String())
		}),
		folder.WritePair("kubelet-client", func() (certs.Pair, error) { return cluster.Client("kube-apiserver", "system:masters") }),
		folder.WritePair("etcd", func() (certs.Pair, error) { return etcd.Server("etcd", "127.0.0.1", "localhost") }),
		folder.WritePair("etcd-client", func() (certs.Pair, error) { return etcd.Client("kube-apiserver") }),
		// Only the key is used, to sign and verify the tokens of ServiceAccounts.
		folder.WritePair("service-account", func() (certs.Pair, error) { return cluster.Client("service-account") }),
		createKubeconfigs(p, folder, cluster),
	)
}

// serverNames are all under which the API server is reached: by Service and by address, from inside and from the host.
func serverNames(p plan) []string {
	return []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
		"127.0.0.1", p.network.Kubernetes().String(), p.network.Node().String(), p.network.Gateway().String(),
	}
}

func createKubeconfigs(p plan, folder certs.Folder, cluster *certs.Authority) error {
	server := "https://" + p.network.Node().String() + ":" + serverPort
	write := func(path, user string, groups ...string) error {
		return certs.Kubeconfig{Cluster: "keyturn-cluster", Server: server, User: user, Groups: groups}.Write(path, cluster)
	}
	return errors.Join(
		write(p.layout.kubeconfig(), "admin", "system:masters"),
		write(folder.File("controller-manager.kubeconfig"), "system:kube-controller-manager"),
		write(folder.File("scheduler.kubeconfig"), "system:kube-scheduler"),
		write(folder.File("kube-proxy.kubeconfig"), "system:kube-proxy"),
		write(folder.File("kubelet.kubeconfig"), "system:node:"+nodeName, "system:nodes"),
		write(folder.File("coredns.kubeconfig"), dnsUser),
	)
}
