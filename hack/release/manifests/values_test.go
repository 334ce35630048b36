package manifests_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/keyturn/keyturn/hack/release/manifests"
)

func TestValuesShowInTheManifests(t *testing.T) {
	container := []any{"spec", "template", "spec", "containers", 0}
	pod := []any{"spec", "template", "spec"}
	for name, test := range map[string]struct {
		values string
		object string
		path   []any
		want   string // YAML; nothing means that there is no such field, or no such object
	}{
		"the tag is that of the chart's app": {
			object: deployment, path: append(container, "image"), want: "ghcr.io/keyturn/keyturn:v0.0.0-dev",
		},
		"a tag and a repository can be given": {
			values: "image: {repository: mirror.example.com/keyturn, tag: v1.2.3}",
			object: deployment, path: append(container, "image"), want: "mirror.example.com/keyturn:v1.2.3",
		},
		"a digest decides": {
			values: "image: {digest: 'sha256:" + strings.Repeat("0a", 32) + "'}",
			object: deployment, path: append(container, "image"),
			want: "ghcr.io/keyturn/keyturn:v0.0.0-dev@sha256:" + strings.Repeat("0a", 32),
		},
		"flags come from values, and more of them after": {
			values: "{externalURL: https://keys.example.com, watchNamespaces: [a, b], logLevel: debug, extraArgs: [--workers=16]}",
			object: deployment, path: append(container, "args"),
			want: "[--external-url=https://keys.example.com, '--watch-namespaces=a,b', --zap-log-level=debug, --workers=16]",
		},
		"without values there are no flags": {object: deployment, path: append(container, "args")},
		"refresh tokens are kept in a database that a Secret tells of": {
			values: "tokenStore: {type: postgres, postgres: {secretName: database}}",
			object: deployment, path: append(container, "args"), want: "[--token-store-file=/token-store/url]",
		},
		"the Secret with the database's URL is mounted": {
			values: "tokenStore: {type: postgres, postgres: {secretName: database}}",
			object: deployment, path: append(pod, "volumes"),
			want: "[{name: token-store, secret: {secretName: database}}]",
		},
		"refresh tokens are kept in a file of a volume": {
			values: "{replicaCount: 1, tokenStore: {type: sqlite}}",
			object: deployment, path: append(container, "args"), want: "['--token-store=sqlite:///var/lib/keyturn/tokens.db']",
		},
		"that volume is claimed": {
			values: "{replicaCount: 1, tokenStore: {type: sqlite, sqlite: {size: 2Gi, storageClassName: fast}}}",
			object: claim, path: []any{"spec"},
			want: "{accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 2Gi}}}",
		},
		"a claim that there is already is not made": {
			values: "{replicaCount: 1, tokenStore: {type: sqlite, sqlite: {existingClaim: mine}}}",
			object: claim,
		},
		"a claim that there is already is mounted": {
			values: "{replicaCount: 1, tokenStore: {type: sqlite, sqlite: {existingClaim: mine}}}",
			object: deployment, path: append(pod, "volumes"),
			want: "[{name: token-store, persistentVolumeClaim: {claimName: mine}}]",
		},
		"a file has one replica at a time": {
			values: "{replicaCount: 1, tokenStore: {type: sqlite}}",
			object: deployment, path: []any{"spec", "strategy"}, want: "{type: Recreate}",
		},
		"Envoy is answered at a port of its own": {
			values: "extAuthz: {enabled: true}",
			object: deployment, path: append(container, "args"), want: "['--ext-authz-bind-address=:9444']",
		},
		"Envoy's port is in the Service": {
			values: "extAuthz: {enabled: true}",
			object: "Service " + namespace + "/keyturn", path: []any{"spec", "ports", 1},
			want: "{name: ext-authz, port: 9444, targetPort: ext-authz, appProtocol: grpc}",
		},
		"an affinity replaces the preference for different nodes": {
			values: "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}",
			object: deployment, path: append(pod, "affinity"),
			want: "nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}",
		},
		"a priority class is an option": {
			values: "priorityClassName: system-cluster-critical",
			object: deployment, path: append(pod, "priorityClassName"), want: "system-cluster-critical",
		},
		"tolerations reach the pods": {
			values: "tolerations: [{operator: Exists}]",
			object: deployment, path: append(pod, "tolerations"), want: "[{operator: Exists}]",
		},
		"node labels reach the pods": {
			values: "nodeSelector: {kubernetes.io/os: linux}",
			object: deployment, path: append(pod, "nodeSelector"), want: "{kubernetes.io/os: linux}",
		},
		"the spread reaches the pods": {
			values: "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]",
			object: deployment, path: append(pod, "topologySpreadConstraints"),
			want: "[{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]",
		},
		"pull secrets reach the pods": {
			values: "imagePullSecrets: [{name: registry}]",
			object: deployment, path: append(pod, "imagePullSecrets"), want: "[{name: registry}]",
		},
		"a label of pods does not change which pods are the operator's": {
			values: "podLabels: {team: identity, app.kubernetes.io/name: other}",
			object: deployment, path: []any{"spec", "template", "metadata", "labels"},
			want: "{team: identity, app.kubernetes.io/name: keyturn, app.kubernetes.io/component: operator}",
		},
		"resources are merged with the defaults": {
			values: "resources: {limits: {memory: 1Gi}, requests: {cpu: null}}",
			object: deployment, path: append(container, "resources"),
			want: "{limits: {memory: 1Gi}, requests: {memory: 128Mi}}",
		},
		"a policy of failure is that of one webhook": {
			values: "webhook: {failurePolicy: {pod: Fail}}",
			object: webhooks, path: []any{"webhooks", 0, "failurePolicy"}, want: "Fail",
		},
		"definitions are kept": {
			object: "CustomResourceDefinition /signingkeys.keyturn.dev",
			path:   []any{"metadata", "annotations", "helm.sh/resource-policy"}, want: "keep",
		},
		"definitions go with the chart where that is wanted": {
			values: "crds: {keep: false}",
			object: "CustomResourceDefinition /signingkeys.keyturn.dev",
			path:   []any{"metadata", "annotations", "helm.sh/resource-policy"},
		},
		"their deletion is then meant": {
			values: "crds: {keep: false}",
			object: "CustomResourceDefinition /signingkeys.keyturn.dev",
			path:   []any{"metadata", "annotations", "keyturn.dev/force-delete"}, want: "'true'",
		},
		"and otherwise is not": {
			object: "CustomResourceDefinition /signingkeys.keyturn.dev",
			path:   []any{"metadata", "annotations", "keyturn.dev/force-delete"},
		},
		"the policy that protects definitions is kept with them": {
			object: protection, path: []any{"metadata", "annotations", "helm.sh/resource-policy"}, want: "keep",
		},
		// Helm does not delete what it has kept, and what is not in the manifest any more it would not uninstall.
		"the policy stays in the manifest, to be uninstalled with what it protects": {
			values: "crds: {keep: false}", object: protection, path: []any{"metadata", "name"}, want: "keyturn-crds",
		},
		"and is then not kept": {
			values: "crds: {keep: false}", object: protection, path: []any{"metadata", "annotations"},
		},
		"nothing protects the definitions of somebody else": {
			values: "crds: {enabled: false}", object: protection,
		},
		"definitions can be left to somebody else": {
			values: "crds: {enabled: false}", object: "CustomResourceDefinition /signingkeys.keyturn.dev",
		},
		"a disruption budget is in percent as well": {
			values: "podDisruptionBudget: {maxUnavailable: 50%}",
			object: "PodDisruptionBudget keyturn-system/keyturn", path: []any{"spec", "maxUnavailable"}, want: "50%",
		},
		"a disruption budget can be left out": {
			values: "podDisruptionBudget: {enabled: false}", object: "PodDisruptionBudget keyturn-system/keyturn",
		},
		"a network policy can be left out": {
			values: "networkPolicy: {enabled: false}", object: "NetworkPolicy keyturn-system/keyturn",
		},
		"a certificate of its own for JWKS is mounted": {
			values: "https: {tlsSecretName: public}",
			object: deployment, path: append(pod, "volumes"), want: "[{name: tls, secret: {secretName: public}}]",
		},
		"a certificate of its own for JWKS is served": {
			values: "https: {tlsSecretName: public}",
			object: deployment, path: append(container, "args"),
			want: "[--tls-cert-file=/tls/tls.crt, --tls-key-file=/tls/tls.key]",
		},
		"cert-manager puts its CA into the webhook configuration": {
			values: "webhook: {certificate: cert-manager}", object: webhooks,
			path: []any{"metadata", "annotations", "cert-manager.io/inject-ca-from"}, want: "keyturn-system/keyturn-webhook-cert",
		},
		"cert-manager writes the Secret that the operator reads": {
			values: "webhook: {certificate: cert-manager}", object: "Certificate keyturn-system/keyturn-webhook-cert",
			path: []any{"spec", "secretName"}, want: "keyturn-webhook-cert",
		},
		"cert-manager's certificate is for each name under which the operator is called": {
			values: "{webhook: {certificate: cert-manager}, externalURL: 'https://keys.example.com:8443/keyturn'}",
			object: "Certificate keyturn-system/keyturn-webhook-cert", path: []any{"spec", "dnsNames"},
			want: "[keyturn-webhook.keyturn-system.svc, keyturn-webhook.keyturn-system.svc.cluster.local, " +
				"keyturn.keyturn-system.svc, keyturn.keyturn-system.svc.cluster.local, keys.example.com]",
		},
		"and for its address": {
			values: "{webhook: {certificate: cert-manager}, externalURL: 'https://192.0.2.7:8443'}",
			object: "Certificate keyturn-system/keyturn-webhook-cert", path: []any{"spec", "ipAddresses"}, want: "[192.0.2.7]",
		},
		"an IPv6 address is one as well": {
			values: "{webhook: {certificate: cert-manager}, externalURL: 'https://[2001:db8::7]:8443/keyturn'}",
			object: "Certificate keyturn-system/keyturn-webhook-cert", path: []any{"spec", "ipAddresses"}, want: "['2001:db8::7']",
		},
		"an address is no name": {
			values: "{webhook: {certificate: cert-manager}, externalURL: 'https://[2001:db8::7]'}",
			object: "Certificate keyturn-system/keyturn-webhook-cert", path: []any{"spec", "dnsNames", 4},
		},
		"without an external URL there is no address": {
			values: "webhook: {certificate: cert-manager}",
			object: "Certificate keyturn-system/keyturn-webhook-cert", path: []any{"spec", "ipAddresses"},
		},
		"with cert-manager the operator leaves the certificate alone": {
			values: "webhook: {certificate: cert-manager}", object: deployment, path: append(container, "args"),
			want: "[--webhook-certificate=external]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var want any
			if err := yaml.Unmarshal([]byte(test.want), &want); err != nil {
				t.Fatal(err)
			}
			var got any
			if object := templated(t, namespace, parse(t, test.values))[test.object]; object != nil {
				got = follow(object.Object, test.path)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v of %s (-want +got):\n%s", test.path, test.object, diff)
			}
		})
	}
}

const (
	deployment = "Deployment " + namespace + "/keyturn"
	claim      = "PersistentVolumeClaim " + namespace + "/keyturn-tokens"
	webhooks   = "ValidatingWebhookConfiguration /keyturn"
	protection = "ValidatingAdmissionPolicy /keyturn-crds"
)

func TestSchemaRefuses(t *testing.T) {
	for name, test := range map[string]struct{ values, want string }{
		"a value that there is not":            {"replicas: 3", "additional properties 'replicas' not allowed"},
		"one below another":                    {"image: {name: x}", "additional properties 'name' not allowed"},
		"a number as text":                     {"replicaCount: '2'", "replicaCount"},
		"fewer than no replicas":               {"replicaCount: -1", "replicaCount"},
		"a digest that is cut off":             {"image: {digest: 'sha256:12ab'}", "/image/digest"},
		"a pull policy in lower case":          {"image: {pullPolicy: always}", "/image/pullPolicy"},
		"an external URL without TLS":          {"externalURL: http://keys.example.com", "/externalURL"},
		"a namespace that cannot be":           {"watchNamespaces: [Team_A]", "/watchNamespaces/0"},
		"a namespace twice":                    {"watchNamespaces: [a, a]", "/watchNamespaces"},
		"namespaces as one text":               {"watchNamespaces: 'a,b'", "/watchNamespaces"},
		"an unknown level":                     {"logLevel: trace", "/logLevel"},
		"an argument that is no flag":          {"extraArgs: [workers=1]", "/extraArgs/0"},
		"a webhook that there is not":          {"webhook: {failurePolicy: {pods: Fail}}", "additional properties 'pods' not allowed"},
		"a failure policy that there is not":   {"webhook: {failurePolicy: {pod: Warn}}", "/webhook/failurePolicy/pod"},
		"a certificate from nowhere":           {"webhook: {certificate: self}", "/webhook/certificate"},
		"a budget above everything":            {"podDisruptionBudget: {maxUnavailable: '120%'}", "/podDisruptionBudget/maxUnavailable"},
		"a token store that there is not":      {"tokenStore: {type: mysql}", "/tokenStore/type"},
		"a file for two replicas":              {"tokenStore: {type: sqlite}", "replicaCount is 2: set replicaCount to 1"},
		"a database nobody tells of":           {"tokenStore: {type: postgres}", "tokenStore.postgres.secretName is empty"},
		"an annotation that is no text":        {"podAnnotations: {scrape: true}", "/podAnnotations/scrape"},
		"a pull secret without a name":         {"imagePullSecrets: [registry]", "/imagePullSecrets/0"},
		"a kind of affinity that there is not": {"affinity: {podAffinities: {}}", "additional properties 'podAffinities' not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := manifests.Template(load(t), namespace, parse(t, test.values))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: the error does not say %q: %v", test.values, test.want, err)
			}
		})
	}
}

// The schema refuses what it does not know, so the default values show that it knows every value. This is the other direction.
func TestSchemaKnowsNoValueThatThereIsNot(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(repository, "charts", "keyturn", "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema["properties"].(map[string]any), "global")
	// Every resource may be given, and these are those that Kubernetes knows besides.
	delete(follow(schema, []any{"properties", "resources", "properties"}).(map[string]any), "claims")
	delete(follow(schema, []any{"properties", "affinity"}).(map[string]any), "properties")
	compareKeys(t, "", schema, load(t).Values)
}

func compareKeys(t *testing.T, prefix string, schema, values map[string]any) {
	t.Helper()
	properties, _ := schema["properties"].(map[string]any)
	if properties == nil {
		return
	}
	want, got := slices.Sorted(maps.Keys(values)), slices.Sorted(maps.Keys(properties))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys of %q (-values +schema):\n%s", prefix, diff)
	}
	for key, value := range values {
		property, _ := properties[key].(map[string]any)
		if group, isGroup := value.(map[string]any); isGroup {
			compareKeys(t, prefix+key+".", property, group)
		}
	}
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var values map[string]any
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// follow goes down into an object by names and positions. A step that leads nowhere gives nil.
func follow(from any, path []any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			group, _ := from.(map[string]any)
			from = group[step]
		case int:
			list, _ := from.([]any)
			if step >= len(list) {
				return nil
			}
			from = list[step]
		}
	}
	return from
}
