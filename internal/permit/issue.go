package permit

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/claimrules"
	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/spec"
)

// Issue is a token that is about to be signed for a TokenClient.
type Issue struct {
	// Namespace is the TokenClient's.
	Namespace spec.Namespace
	// Request is the token. Its subject is the TokenClient, a ServiceAccount of its namespace, or somebody whom the issuer has
	// vouched for.
	Request token.Request
	// Vouched says that the subject is that of a token of the same issuer, which was verified: an exchange passes an identity
	// on (RFC 8693 section 1.1), and the issuer has made sure of it when it signed that token.
	Vouched bool
}

// CheckIssue says why a key's policy refuses a token for a TokenClient: the fields are the TokenClient's, each refusal names
// value, limit and what to do, and none tells a claim's value. The rules of the key see the claims as they will be signed.
func (c *Checker) CheckIssue(key *v1alpha1.SigningKey, issue Issue, now time.Time) field.ErrorList {
	refused := checkDuration(key, field.NewPath("spec", "accessTokenDuration"), issue.Request.Duration)
	identity := func(rules *claimrules.Rules) field.ErrorList {
		if rules.SpeakOfSubject() {
			return nil
		}
		return checkClientSubject(key, issue)
	}
	return append(refused, c.judge(key, issue.Namespace, issue.Request, identity, len(refused) > 0, now)...)
}

// checkClientSubject is checkSubject for TokenClients, which have no free subject in any namespace.
func checkClientSubject(key *v1alpha1.SigningKey, issue Issue) field.ErrorList {
	subject, namespace := issue.Request.Subject, issue.Namespace.Name
	if issue.Vouched || isOwnServiceAccount(subject, namespace) || isOwnTokenClient(subject, namespace) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec", "authentication"), fmt.Sprintf(
		"%q is neither a TokenClient nor a ServiceAccount of namespace %s: exchange a token that this issuer has signed, "+
			"or let a rule of SigningKey %s/%s that names claims.sub allow it", short(subject), namespace, key.Namespace, key.Name))}
}
