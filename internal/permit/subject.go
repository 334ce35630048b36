package permit

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
)

// What begins the "sub" of every ServiceAccount, and of every TokenClient, of the cluster.
const (
	serviceAccountPrefix = "system:serviceaccount:"
	tokenClientPrefix    = "system:tokenclient:"
)

// checkSubject keeps a namespace from speaking for another: whoever may write ServiceTokens in one must not obtain the
// identity of a ServiceAccount or TokenClient in another, and from outside the key's namespace no identity but its own
// ServiceAccounts'.
func checkSubject(key *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) field.ErrorList {
	subject := t.Spec.Subject
	if subject == "" || isOwnServiceAccount(subject, t.Namespace) {
		return nil
	}
	path := field.NewPath("spec", "subject")
	switch {
	case strings.HasPrefix(subject, serviceAccountPrefix):
		return field.ErrorList{field.Invalid(path, short(subject), fmt.Sprintf("names no ServiceAccount of namespace %s: "+
			"use spec.serviceAccountName for one, or let a rule of SigningKey %s/%s that names claims.sub allow it", t.Namespace, key.Namespace, key.Name))}
	case strings.HasPrefix(subject, tokenClientPrefix) && !isOwnTokenClient(subject, t.Namespace):
		return field.ErrorList{field.Invalid(path, short(subject), fmt.Sprintf("names no TokenClient of namespace %s: "+
			"use another subject, or let a rule of SigningKey %s/%s that names claims.sub allow it", t.Namespace, key.Namespace, key.Name))}
	case t.Namespace != key.Namespace:
		return field.ErrorList{field.Invalid(path, short(subject), fmt.Sprintf("must be a ServiceAccount of namespace %s, because SigningKey %s/%s is in another namespace: "+
			"use spec.serviceAccountName, or let a rule of the key that names claims.sub allow it", t.Namespace, key.Namespace, key.Name))}
	default:
		return nil
	}
}

func isOwnServiceAccount(subject, namespace string) bool {
	name, own := strings.CutPrefix(subject, spec.ServiceAccountSubject(namespace, ""))
	return own && len(validation.ValidateServiceAccountName(name, false)) == 0
}

func isOwnTokenClient(subject, namespace string) bool {
	name, own := strings.CutPrefix(subject, spec.ClientSubject(namespace, ""))
	return own && len(validation.NameIsDNSLabel(name, false)) == 0
}
