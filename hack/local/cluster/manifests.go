package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/yaml"
)

// object is a Kubernetes object as its manifest says it.
type object = map[string]any

// readManifests reads all objects of a file, or of all YAML files in a folder in the order of their names.
func readManifests(path string) ([]object, error) {
	files := []string{path}
	if filepath.Ext(path) != ".yaml" {
		files, _ = filepath.Glob(filepath.Join(path, "*.yaml")) // The pattern is well-formed.
	}
	var objects []object
	for _, file := range files {
		content, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		read, err := parseManifests(content)
		if err != nil {
			return nil, fmt.Errorf("parse manifest %s: %w", file, err)
		}
		objects = append(objects, read...)
	}
	return objects, nil
}

func parseManifests(content []byte) ([]object, error) {
	var objects []object
	for document := range bytes.SplitSeq(content, []byte("\n---")) {
		var parsed object
		if err := yaml.Unmarshal(bytes.TrimPrefix(document, []byte("---")), &parsed); err != nil {
			return nil, err
		}
		if len(parsed) > 0 {
			objects = append(objects, parsed)
		}
	}
	return objects, nil
}

func newObject(apiVersion, kind, namespace, name string) object {
	metadata := object{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return object{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
}

// field follows the names down into the object; a step that leads nowhere gives an empty object.
func field(from object, names ...string) object {
	for _, name := range names {
		from, _ = from[name].(object)
	}
	return from
}

func nameOf(of object) string {
	name, _ := field(of, "metadata")["name"].(string)
	return name
}

// bindRoles gives the operator's user every role among the objects. A Role without a namespace belongs to the operator's.
func bindRoles(objects []object) []object {
	const group = "rbac.authorization.k8s.io"
	bound := slices.Clone(objects)
	for _, role := range objects {
		kind, _ := role["kind"].(string)
		if kind != "Role" && kind != "ClusterRole" {
			continue
		}
		namespace, _ := field(role, "metadata")["namespace"].(string)
		if kind == "Role" && namespace == "" {
			namespace = operatorNamespace
			field(role, "metadata")["namespace"] = namespace
		}
		binding := newObject(group+"/v1", kind+"Binding", namespace, nameOf(role))
		binding["roleRef"] = object{"apiGroup": group, "kind": kind, "name": nameOf(role)}
		binding["subjects"] = []object{{"apiGroup": group, "kind": "User", "name": operatorUser}}
		bound = append(bound, binding)
	}
	return bound
}

// pointWebhooks sends the API server to the address instead of to a Service: no Service is reachable without a node.
func pointWebhooks(objects []object, address string) error {
	for _, configuration := range objects {
		webhooks, _ := configuration["webhooks"].([]any)
		for _, entry := range webhooks {
			webhook, _ := entry.(object)
			path, found := field(webhook, "clientConfig", "service")["path"].(string)
			if !found {
				return fmt.Errorf("redirect webhook %v of %s: clientConfig.service.path is missing", webhook["name"], nameOf(configuration))
			}
			webhook["clientConfig"] = object{"url": address + path}
		}
	}
	return nil
}
