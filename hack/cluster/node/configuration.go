package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/keyturn/keyturn/hack/cluster/image"
)

// The names of configuration files in the cluster's folder.
const (
	authenticationFile = "authentication.yaml"
	auditPolicyFile    = "audit-policy.yaml"
	containerdFile     = "containerd.toml"
	kubeletFile        = "kubelet.yaml"
	proxyFile          = "kube-proxy.yaml"
	coreDNSFile        = "Corefile"
	networkFile        = "cni/10-cluster.conflist"
)

// operatorUser is whose requests the audit log records.
const operatorUser = "system:serviceaccount:keyturn-system:keyturn"

type object = map[string]any

// writeConfiguration writes what the programs are told by files.
func writeConfiguration(p plan) error {
	structured := map[string]object{
		authenticationFile: authentication(),
		auditPolicyFile:    auditPolicy(),
		kubeletFile:        kubeletConfiguration(p),
		proxyFile:          proxyConfiguration(p),
		networkFile:        podNetwork(p), // Every JSON document is a YAML one, but not the other way: see below.
	}
	for name, content := range structured {
		encoded, err := encode(name, content)
		if err != nil {
			return err
		}
		if err := writeFile(p.layout.file(name), encoded); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		containerdFile: containerdConfiguration(),
		coreDNSFile:    coreDNSConfiguration(p),
	} {
		if err := writeFile(p.layout.file(name), []byte(content)); err != nil {
			return err
		}
	}
	return writeResolver(p.layout, resolver(p))
}

func authentication() object {
	return object{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": []object{}}
}

// auditPolicy records what the operator asks for, so that its rights can be compared with what it uses.
func auditPolicy() object {
	return object{
		"apiVersion": "audit.k8s.io/v1",
		"kind":       "Policy",
		"omitStages": []string{"RequestReceived"},
		"rules":      []object{{"level": "Metadata", "users": []string{operatorUser}}, {"level": "None"}},
	}
}

func kubeletConfiguration(p plan) object {
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": pki("ca.crt")},
		},
		"authorization":            object{"mode": "Webhook"},
		"tlsCertFile":              pki("kubelet.crt"),
		"tlsPrivateKeyFile":        pki("kubelet.key"),
		"containerRuntimeEndpoint": "unix://" + runtimeSocket,
		"clusterDNS":               []string{p.network.DNS().String()},
		"volumePluginDir":          "/var/lib/kubelet/volume-plugins", // Elsewhere the kubelet would create it on the host.
		"clusterDomain":            "cluster.local",
		// Changed Secrets and ConfigMaps reach a pod when the kubelet next looks at it; usually it does so once a minute.
		"configMapAndSecretChangeDetectionStrategy": "Watch",
		"syncFrequency":          "2s",
		"failCgroupV1":           false,
		"cgroupDriver":           "cgroupfs",
		"cgroupRoot":             "/" + p.layout.name(),
		"failSwapOn":             false,
		"evictionHard":           object{},
		"enforceNodeAllocatable": []string{},
		// Images that were loaded cannot be pulled again, so none is ever removed.
		"imageGCHighThresholdPercent": 100,
	}
}

func proxyConfiguration(p plan) object {
	return object{
		"apiVersion":       "kubeproxy.config.k8s.io/v1alpha1",
		"kind":             "KubeProxyConfiguration",
		"mode":             "iptables",
		"clientConnection": object{"kubeconfig": pki("kube-proxy.kubeconfig")},
		"hostnameOverride": nodeName,
		"clusterCIDR":      p.network.Pods().String(),
		"conntrack":        object{"maxPerCore": 0},
		"iptables":         object{"minSyncPeriod": "100ms"},
	}
}

func podNetwork(p plan) object {
	return object{
		"cniVersion": "1.0.0",
		"name":       "cluster",
		"plugins": []object{{
			"type": "ptp",
			"ipam": object{
				"type":   "host-local",
				"ranges": [][]object{{{"subnet": p.network.Pods().String()}}},
				"routes": []object{{"dst": "0.0.0.0/0"}},
			},
		}},
	}
}

func containerdConfiguration() string {
	return strings.NewReplacer("SOCKET", runtimeSocket, "PAUSE", image.PauseName, "CNI", filepath.Dir(inside(networkFile))).Replace(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "SOCKET"

[plugins."io.containerd.internal.v1.opt"]
path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "PAUSE"
# Without it runc dies where containerd may not lower the score.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd]
# It works on every file system.
snapshotter = "native"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "CNI"
`)
}

func coreDNSConfiguration(p plan) string {
	return strings.NewReplacer("ADDRESS", p.network.DNS().String(), "KUBECONFIG", pki("coredns.kubeconfig")).Replace(`cluster.local in-addr.arpa {
	bind ADDRESS
	errors
	kubernetes {
		kubeconfig KUBECONFIG
	}
}

# Programs learn at once that no other name is known.
. {
	bind ADDRESS
	template IN ANY {
		rcode NXDOMAIN
	}
}
`)
}

// resolver is the resolv.conf for programs outside of pods.
func resolver(p plan) string {
	return fmt.Sprintf("nameserver %s\nsearch svc.cluster.local cluster.local\noptions ndots:5\n", p.network.DNS())
}

// writeResolver keeps the file itself, which the machine has mounted.
func writeResolver(l layout, content string) error {
	//nolint:gosec // Programs of all users resolve names.
	if err := os.WriteFile(l.resolver(), []byte(content), 0o644); err != nil {
		return fmt.Errorf("write configuration of the cluster: %w", err)
	}
	return nil
}

func encode(name string, content object) ([]byte, error) {
	encoded, err := yaml.Marshal(content)
	if err == nil && name == networkFile {
		encoded, err = yaml.YAMLToJSON(encoded)
	}
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	return encoded, nil
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("create folder of the cluster: %w", err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("write configuration of the cluster: %w", err)
	}
	return nil
}
