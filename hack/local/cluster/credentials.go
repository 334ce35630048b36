package cluster

import (
	"errors"
	"fmt"
	"os"

	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/hack/local/certs"
)

// operatorUser is whom the API server takes the operator for; config/rbac is bound to it.
const operatorUser = "system:serviceaccount:keyturn-system:keyturn"

// credentials are files below .run/pki and the kubeconfigs made of them. etcd has an authority of its own, so that no
// client of the API server can reach around it.
type credentials struct {
	folder certs.Folder
}

func (c credentials) file(name string) string {
	return c.folder.File(name)
}

func createCredentials(l layout, server string) (credentials, error) {
	c := credentials{folder: certs.Folder(l.run("pki"))}
	now := clock.RealClock{}.Now()
	cluster, err := certs.NewAuthority("keyturn-local", now)
	if err != nil {
		return c, err
	}
	etcd, err := certs.NewAuthority("keyturn-local-etcd", now)
	if err != nil {
		return c, err
	}
	if err := os.MkdirAll(string(c.folder), 0o700); err != nil {
		return c, fmt.Errorf("create folder for credentials: %w", err)
	}
	kubeconfig := func(path, user string, groups ...string) error {
		return certs.Kubeconfig{Cluster: "keyturn-local", Server: server, User: user, Groups: groups}.Write(path, cluster)
	}
	err = errors.Join(
		c.folder.WriteAuthority("ca.crt", cluster),
		c.folder.WriteAuthority("etcd-ca.crt", etcd),
		c.folder.WritePair("apiserver", func() (certs.Pair, error) {
			return cluster.Server("kube-apiserver", loopback, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
		}),
		c.folder.WritePair("etcd", func() (certs.Pair, error) { return etcd.Server("etcd", loopback, "localhost") }),
		c.folder.WritePair("etcd-client", func() (certs.Pair, error) { return etcd.Client("kube-apiserver") }),
		// Only the key is used, to sign and verify the tokens of ServiceAccounts.
		c.folder.WritePair("service-account", func() (certs.Pair, error) { return cluster.Client("service-account") }),
		kubeconfig(l.kubeconfig(), "admin", "system:masters"),
		kubeconfig(l.operatorKubeconfig(), operatorUser),
		kubeconfig(c.file("controller-manager.kubeconfig"), "system:kube-controller-manager"),
	)
	return c, err
}
