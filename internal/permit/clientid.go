package permit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/spec"
)

const clientIDClaim = "client_id"

// checkClientID is checkSubject for the claim client_id, which TokenPolicies and TokenRevocations read: it must not be the ID of a
// TokenClient of another namespace, there or not. That of an access token is the subject where the claims have none.
func checkClientID(key *v1alpha1.SigningKey, t *v1alpha1.ServiceToken, request token.Request) field.ErrorList {
	path := field.NewPath("spec", "claims")
	var refused field.ErrorList
	// Verifiers in Go fold the case of names.
	for _, name := range slices.Sorted(maps.Keys(request.Claims)) {
		if !strings.EqualFold(name, clientIDClaim) {
			continue
		}
		id, isText := request.Claims[name].(string)
		switch {
		case !isText:
			refused = append(refused, field.Forbidden(path.Key(name), "must be a text (RFC 8693 section 4.3), "+otherwise(key)))
		case isForeignClient(id, t.Namespace):
			refused = append(refused, field.Forbidden(path.Key(name), foreignClient(key, t)))
		}
	}
	if _, given := request.Claims[clientIDClaim]; !given && isForeignClient(request.ClientID(), t.Namespace) {
		refused = append(refused, field.Invalid(field.NewPath("spec", "subject"), short(t.Spec.Subject),
			"becomes the client_id of an access token, and "+foreignClient(key, t)))
	}
	return refused
}

func isForeignClient(id, namespace string) bool {
	client, ok := spec.ParseClientID(id)
	return ok && client.Namespace != namespace
}

func foreignClient(key *v1alpha1.SigningKey, t *v1alpha1.ServiceToken) string {
	return fmt.Sprintf("can be the client_id of a TokenClient, as it is two DNS labels with a dot between, and of another namespace than %s: "+
		"set the claim client_id to something else, %s", t.Namespace, otherwise(key))
}

func otherwise(key *v1alpha1.SigningKey) string {
	return fmt.Sprintf("or let a rule of SigningKey %s/%s that names claims.client_id allow it", key.Namespace, key.Name)
}
