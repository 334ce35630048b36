// Package webhook is the admission of what the CRDs cannot say: what depends on time and on other objects.
//
// There is one file for each kind that is judged, and credential.go, by which Secrets and Pods judge a token alike. No
// handler writes anything, and no message tells a token or what its claims say. docs/decisions/0001-admission.md says
// why each webhook is configured as it is.
package webhook

// +kubebuilder:webhookconfiguration:mutating=false,name=keyturn
// +kubebuilder:rbac:groups=keyturn.dev,resources=signingkeys;servicetokens;tokenclients,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets;namespaces,verbs=get;list;watch
