package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of every Keyturn kind.
const GroupName = "keyturn.dev"

// The names the generated clients and the scheme use.
var (
	// GroupVersion identifies this version of the API.
	GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}
	// SchemeGroupVersion is GroupVersion under the name that generated code expects.
	SchemeGroupVersion = GroupVersion
	// AddToScheme adds every kind of this version to a scheme.
	AddToScheme = schemeBuilder.AddToScheme

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&SigningKey{}, &SigningKeyList{},
		&ServiceToken{}, &ServiceTokenList{},
		&TokenClient{}, &TokenClientList{},
		&TokenRevocation{}, &TokenRevocationList{},
		&TokenPolicy{}, &TokenPolicyList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
