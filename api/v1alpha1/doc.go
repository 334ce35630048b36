// Package v1alpha1 is the API of Keyturn: signing keys that rotate and service tokens that stay valid.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +kubebuilder:ac:output:package="applyconfiguration"
// +groupName=keyturn.dev
package v1alpha1

// Comments on types and fields are what kubectl explain shows. It keeps their line breaks and has room for 76 characters,
// so they are no wider than that.
