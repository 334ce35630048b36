// Package apiserver is a kube-apiserver in memory, as far as Keyturn can tell the difference: it keeps Secrets, ConfigMaps,
// Namespaces, SigningKeys and ServiceTokens with their resourceVersions, generations, owners of fields, finalizers and status
// subresources, judges by the CRDs' schemas and rules, asks the webhooks, and answers with the same errors.
//
// It does nothing by itself and asks no clock. TestTheServerAnswersAsKubernetesDoes plays one script to it and to a real
// kube-apiserver, and compares the answers.
package apiserver
