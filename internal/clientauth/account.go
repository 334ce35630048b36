package clientauth

import (
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
)

// Account is a ServiceAccount, as the API server knows it.
type Account struct {
	Namespace, Name string
	UID             types.UID
	Labels          map[string]string
	// PodName and PodUID are of the Pod that the token is bound to; empty where it is bound to none.
	PodName, PodUID string
	// Expiry is when the token expires.
	Expiry time.Time
}

// checkAccount judges the token of a ServiceAccount that a client is.
func (a *Authenticator) checkAccount(
	ctx context.Context, key *v1alpha1.SigningKey, c *v1alpha1.TokenClient, sent jose.Compact,
) (*Account, error) {
	want := c.Spec.Authentication.ServiceAccounts
	account, err := a.account(ctx, key, sent, func(namespace, name string) error {
		switch {
		case namespace != c.Namespace:
			return refusef("the token is of a ServiceAccount of namespace %q, and the client is in another", namespace)
		case !canBe(want, name):
			return refusef("ServiceAccount %q is not one of the client's", name)
		default:
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	if want.Selector == nil {
		return account, nil
	}
	return account, selects(want.Selector, account)
}

// canBe says whether a ServiceAccount of that name is one of the client's, as far as its name tells.
func canBe(want *v1alpha1.ServiceAccountAuthentication, name string) bool {
	return want.Selector != nil || slices.Contains(want.Names, v1alpha1.ServiceAccountName(name))
}

func selects(selector *metav1.LabelSelector, account *Account) error {
	chosen, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return refusef("the selector of the client cannot be read: %v", err)
	}
	if !chosen.Matches(labels.Set(account.Labels)) {
		return refusef("ServiceAccount %q has not the labels that the client selects", account.Name)
	}
	return nil
}

// account asks the API server, unless the token itself says that this is in vain, or admit refuses whose it claims to be.
func (a *Authenticator) account(
	ctx context.Context, key *v1alpha1.SigningKey, sent jose.Compact, admit func(namespace, name string) error,
) (*Account, error) {
	issuer, err := a.operator.Issuer(key)
	if err != nil {
		return nil, refusef("SigningKey %s/%s: %v", key.Namespace, key.Name, err)
	}
	claimed, err := claims(sent, issuer, a.clock.Now())
	if err != nil {
		return nil, err
	}
	if err := admit(claimed.Namespace, claimed.Name); err != nil {
		return nil, err
	}
	found, err := a.reviews.of(ctx, question{token: sent, audience: issuer, expiry: claimed.Expiry})
	switch {
	case err != nil:
		return nil, err
	case found.Namespace != claimed.Namespace || found.Name != claimed.Name:
		return nil, refuse("the API server knows the token as that of another ServiceAccount than it says")
	default:
		return found, nil
	}
}

// claims reads whose token it claims to be. Nothing of it is to be believed, but what it lacks makes a review pointless.
func claims(sent jose.Compact, issuer string, now time.Time) (Account, error) {
	said, err := jose.Parse(sent.Reveal())
	if err != nil {
		return Account{}, refusef("the token of a ServiceAccount: %v", err)
	}
	namespace, name, ok := parseUsername(said.Subject)
	switch {
	case !ok:
		return Account{}, refuse("the token is not of a ServiceAccount: sub is not system:serviceaccount:<namespace>:<name>")
	case !slices.Contains(said.Audience, issuer):
		return Account{}, refuse("the token of a ServiceAccount is for another audience: it must be the issuer")
	case !now.Before(said.Expiry):
		return Account{}, refuse("the token of a ServiceAccount has expired, or never does")
	}
	return Account{Namespace: namespace, Name: name, Expiry: said.Expiry}, nil
}

// parseUsername reads the name by which Kubernetes knows a ServiceAccount.
func parseUsername(username string) (namespace, name string, ok bool) {
	parts := strings.Split(username, ":")
	if len(parts) != 4 || parts[2] == "" || parts[3] == "" {
		return "", "", false
	}
	return parts[2], parts[3], username == spec.ServiceAccountSubject(parts[2], parts[3])
}
