package clientauth

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientsecret"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
)

// Method is how a client has proved itself, by the names that RFC 8414 refers to; that of ServiceAccounts is our own.
type Method string

// The methods.
const (
	ClientSecret   Method = "client_secret"
	PrivateKeyJWT  Method = "private_key_jwt"
	ServiceAccount Method = "service_account"
)

// Attempt is what a client presents. It has a Secret or an Assertion, never both (RFC 6749 section 2.3).
type Attempt struct {
	// ClientID is the client_id; empty where an assertion alone says who it is (RFC 7521 section 4.2). The token of a ServiceAccount
	// does if the issuer has one client in its namespace that it can be.
	ClientID string
	// Secret came by client_secret_basic or client_secret_post.
	Secret clientsecret.Value
	// Assertion is a client_assertion of the type jwt-bearer, or the subject_token of a ServiceAccount.
	Assertion jose.Compact
}

// Proof is a client that has proved itself. Nobody may change what it points to.
type Proof struct {
	Client *v1alpha1.TokenClient
	Method Method
	// Account is the ServiceAccount that the client is; nil for other methods.
	Account *Account
}

// Options are what an Authenticator works with.
type Options struct {
	// Cache has TokenClients and Secrets.
	Cache client.Reader
	// Client creates TokenReviews.
	Client client.Client
	// Live reads from the API server.
	Live     client.Reader
	Clock    clock.PassiveClock
	Operator spec.Operator
	// Assertions remembers which assertions were used; nil for the memory of this process.
	Assertions Assertions
}

// Authenticator proves clients. It is safe for concurrent use.
type Authenticator struct {
	reader   client.Reader
	clock    clock.PassiveClock
	operator spec.Operator
	secrets  *secrets
	keys     *verifiers
	used     Assertions
	reviews  *reviews
}

// New makes an Authenticator.
func New(o Options) *Authenticator {
	if o.Assertions == nil {
		o.Assertions = NewMemory()
	}
	return &Authenticator{
		reader: o.Cache, clock: o.Clock, operator: o.Operator, used: o.Assertions,
		secrets: newSecrets(o.Cache, o.Live, o.Clock),
		keys:    newVerifiers(o.Clock),
		reviews: newReviews(o.Client, o.Live, o.Clock),
	}
}

// Authenticate returns the client of a SigningKey's issuer that an attempt proves. Otherwise the error is ErrClient, or an
// UnavailableError.
func (a *Authenticator) Authenticate(ctx context.Context, key *v1alpha1.SigningKey, attempt Attempt) (Proof, error) {
	proof, err := a.authenticate(ctx, key, attempt)
	attempts.WithLabelValues(string(attempt.method(proof)), resultOf(err)).Inc()
	if err != nil {
		return Proof{}, err
	}
	return proof, nil
}

func (a *Authenticator) authenticate(ctx context.Context, key *v1alpha1.SigningKey, attempt Attempt) (Proof, error) {
	found, err := a.find(ctx, key, attempt)
	if err != nil {
		return Proof{}, err
	}
	hasAssertion := attempt.Assertion.Reveal() != ""
	switch {
	case hasAssertion && !attempt.Secret.IsZero():
		return Proof{}, refuse("a client secret and an assertion were sent: a client proves itself in one way")
	case !hasAssertion:
		return Proof{Client: found, Method: ClientSecret}, a.secrets.check(ctx, found, attempt.Secret)
	case found == nil:
		return Proof{}, refuse("the issuer has no such client")
	case found.Spec.Authentication.PrivateKeyJWT != nil:
		return Proof{Client: found, Method: PrivateKeyJWT}, a.checkAssertion(ctx, key, found, attempt.Assertion)
	case found.Spec.Authentication.ServiceAccounts != nil:
		account, err := a.checkAccount(ctx, key, found, attempt.Assertion)
		return Proof{Client: found, Method: ServiceAccount, Account: account}, err
	default:
		return Proof{}, refuse("the client has a client secret, and an assertion was sent")
	}
}

// find returns the client of the issuer that an attempt names, or nil.
func (a *Authenticator) find(ctx context.Context, key *v1alpha1.SigningKey, attempt Attempt) (*v1alpha1.TokenClient, error) {
	name, err := a.named(ctx, key, attempt)
	if err != nil || name.Name == "" {
		return nil, err
	}
	found := &v1alpha1.TokenClient{}
	if err := a.reader.Get(ctx, name, found, client.UnsafeDisableDeepCopy); err != nil { // Nobody may change it: see Proof.
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, unavailable(0, fmt.Errorf("read TokenClient: %w", err))
	}
	if spec.ClientKeyRef(found) != client.ObjectKeyFromObject(key) || !found.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	return found, nil
}

// named is the TokenClient that a client_id names or, without one, the assertion, which is believed only so far as to look for what
// proves it. It has no name if there is none.
func (a *Authenticator) named(ctx context.Context, key *v1alpha1.SigningKey, attempt Attempt) (types.NamespacedName, error) {
	id := attempt.ClientID
	if id == "" {
		said, err := jose.Parse(attempt.Assertion.Reveal())
		if err != nil {
			return types.NamespacedName{}, refuse("neither a client_id nor an assertion that can be read was sent")
		}
		if namespace, account, ok := parseUsername(said.Subject); ok {
			return a.only(ctx, key, namespace, account)
		}
		id = said.Issuer
	}
	if name, ok := spec.ParseClientID(id); ok {
		return name, nil
	}
	return types.NamespacedName{}, nil
}

// only is the one TokenClient of the issuer in a namespace that a ServiceAccount of it can be: its token does not tell.
func (a *Authenticator) only(ctx context.Context, key *v1alpha1.SigningKey, namespace, account string) (types.NamespacedName, error) {
	var list v1alpha1.TokenClientList
	if err := a.reader.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return types.NamespacedName{}, unavailable(0, fmt.Errorf("list TokenClients: %w", err))
	}
	var found types.NamespacedName
	for i := range list.Items {
		c := &list.Items[i]
		accounts := c.Spec.Authentication.ServiceAccounts
		if accounts == nil || !canBe(accounts, account) || spec.ClientKeyRef(c) != client.ObjectKeyFromObject(key) {
			continue
		}
		if found.Name != "" {
			return types.NamespacedName{}, refuse("several clients can be this ServiceAccount: send the client_id of one")
		}
		found = client.ObjectKeyFromObject(c)
	}
	return found, nil
}

// method is the one of a proof, or the one that was tried.
func (t Attempt) method(proof Proof) Method {
	switch {
	case proof.Method != "":
		return proof.Method
	case t.Assertion.Reveal() != "":
		return PrivateKeyJWT
	default:
		return ClientSecret
	}
}
