package certs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Folder holds certificates and keys as files that only their owner can read.
type Folder string

// File is the path of a file in the folder.
func (f Folder) File(name string) string {
	return filepath.Join(string(f), name)
}

// WriteAuthority writes the certificate of the authority; its key is kept nowhere.
func (f Folder) WriteAuthority(name string, authority *Authority) error {
	return writePrivate(f.File(name), authority.Certificate)
}

// WritePair writes what issue returns to the files NAME.crt and NAME.key.
func (f Folder) WritePair(name string, issue func() (Pair, error)) error {
	pair, err := issue()
	if err != nil {
		return err
	}
	return errors.Join(
		writePrivate(f.File(name+".crt"), pair.Certificate),
		writePrivate(f.File(name+".key"), pair.Key),
	)
}

// Kubeconfig describes how a user reaches the API server of a cluster.
type Kubeconfig struct {
	// Cluster names the cluster for kubectl.
	Cluster string
	// Server is the URL of its API server.
	Server string
	// User and Groups are whom the API server takes the holder for.
	User   string
	Groups []string
}

// Write issues a certificate for the user and writes a kubeconfig that holds the credentials themselves rather than file
// names, so it may be copied anywhere.
func (k Kubeconfig) Write(path string, authority *Authority) error {
	pair, err := authority.Client(k.User, k.Groups...)
	if err != nil {
		return err
	}
	type object = map[string]any
	content, err := yaml.Marshal(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": k.Cluster,
		"contexts":        []object{{"name": k.Cluster, "context": object{"cluster": k.Cluster, "user": k.User}}},
		"clusters": []object{{"name": k.Cluster, "cluster": object{
			"server":                     k.Server,
			"certificate-authority-data": authority.Certificate,
		}}},
		"users": []object{{"name": k.User, "user": object{
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
