package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/keyturn/keyturn/hack/local/certs"
)

// operatorUser is whom the API server takes the operator for; config/rbac is bound to it.
const operatorUser = "system:serviceaccount:keyturn-system:keyturn"

// credentials are files below .run/pki and the kubeconfigs made of them. etcd has an authority of its own, so that no
// client of the API server can reach around it.
type credentials struct {
	folder string
}

func (c credentials) file(name string) string {
	return filepath.Join(c.folder, name)
}

func createCredentials(l layout, server string) (credentials, error) {
	c := credentials{folder: l.run("pki")}
	now := clock.RealClock{}.Now()
	cluster, err := certs.NewAuthority("keyturn-local", now)
	if err != nil {
		return c, err
	}
	etcd, err := certs.NewAuthority("keyturn-local-etcd", now)
	if err != nil {
		return c, err
	}
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return c, fmt.Errorf("create folder for credentials: %w", err)
	}
	err = errors.Join(
		c.writeAuthority("ca.crt", cluster),
		c.writeAuthority("etcd-ca.crt", etcd),
		c.writePair("apiserver", func() (certs.Pair, error) {
			return cluster.Server("kube-apiserver", loopback, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
		}),
		c.writePair("etcd", func() (certs.Pair, error) { return etcd.Server("etcd", loopback, "localhost") }),
		c.writePair("etcd-client", func() (certs.Pair, error) { return etcd.Client("kube-apiserver") }),
		// Only the key is used, to sign and verify the tokens of ServiceAccounts.
		c.writePair("service-account", func() (certs.Pair, error) { return cluster.Client("service-account") }),
		writeKubeconfig(l.kubeconfig(), cluster, server, "admin", "system:masters"),
		writeKubeconfig(l.operatorKubeconfig(), cluster, server, operatorUser),
		writeKubeconfig(c.file("controller-manager.kubeconfig"), cluster, server, "system:kube-controller-manager"),
	)
	return c, err
}

func (c credentials) writeAuthority(name string, authority *certs.Authority) error {
	return writePrivate(c.file(name), authority.Certificate)
}

func (c credentials) writePair(name string, issue func() (certs.Pair, error)) error {
	pair, err := issue()
	if err != nil {
		return err
	}
	return errors.Join(
		writePrivate(c.file(name+".crt"), pair.Certificate),
		writePrivate(c.file(name+".key"), pair.Key),
	)
}

// writeKubeconfig holds the credentials themselves rather than file names, so the file may be copied anywhere.
func writeKubeconfig(path string, authority *certs.Authority, server, user string, groups ...string) error {
	pair, err := authority.Client(user, groups...)
	if err != nil {
		return err
	}
	const name = "keyturn-local"
	content, err := yaml.Marshal(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"contexts":        []object{{"name": name, "context": object{"cluster": name, "user": user}}},
		"clusters": []object{{"name": name, "cluster": object{
			"server":                     server,
			"certificate-authority-data": authority.Certificate,
		}}},
		"users": []object{{"name": user, "user": object{
			"client-certificate-data": pair.Certificate,
			"client-key-data":         pair.Key,
		}}},
	})
	if err != nil {
		return fmt.Errorf("encode kubeconfig: %w", err)
	}
	return writePrivate(path, content)
}

func writePrivate(path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	return nil
}
