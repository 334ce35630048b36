package tokenservice

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Endpoint is the last part of an endpoint's path.
type Endpoint string

// The endpoints of an issuer.
const (
	Token         Endpoint = "token"      // RFC 6749 section 3.2
	Introspection Endpoint = "introspect" // RFC 7662 section 2
	Revocation    Endpoint = "revoke"     // RFC 7009 section 2
)

// Handler answers the requests of clients.
type Handler struct {
	*service
	prefix   string
	bodies   bodies
	protocol http.Handler
	next     http.Handler
}

// NewHandler makes a Handler of the endpoints of every SigningKey, with or without the path of the external URL before them. The next
// one gets all other requests.
func NewHandler(o Options, next http.Handler) *Handler {
	h := &Handler{service: &service{Options: o, limits: newLimits(o.Limits)}, next: next}
	if external, err := url.Parse(o.Operator.ExternalURL); err == nil {
		h.prefix = external.Path
	}
	h.protocol = op.RegisterServer(&server{service: h.service}, op.Endpoints{
		Token:         op.NewEndpoint(string(Token)),
		Introspection: op.NewEndpoint(string(Introspection)),
		Revocation:    op.NewEndpoint(string(Revocation)),
	}, op.WithServerCORSOptions(nil)) // No page of another origin has a client's secret.
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, endpoint, ok := parsePath(r.URL, h.prefix)
	if !ok {
		h.next.ServeHTTP(w, r)
		return
	}
	c := &call{endpoint: endpoint, key: name, address: address(r), began: h.Clock.Now()}
	answer := h.answer(r, c)
	if c.invalidClient() {
		h.limits.failed(c.address, c.now)
	}
	answer.write(w)
	h.report(c, answer)
}

// patience is how long an answer may take. The server hangs up after 10 seconds, and an API server or a database that does not answer
// at all would otherwise have clients told nothing.
const patience = 8 * time.Second

// answer is the whole answer, which nothing is sent of before it is known.
func (h *Handler) answer(r *http.Request, c *call) (a *answer) {
	a = &answer{header: http.Header{}, call: c}
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), callKey{}, c), patience)
	defer cancel()
	r = r.WithContext(ctx)
	defer h.bodies.count(r)()
	defer h.survive(a, r)
	if err := h.admit(r, c); err != nil {
		op.WriteError(a, r, err, nil)
		return a
	}
	r.URL = &url.URL{Path: "/" + string(c.endpoint)}
	h.protocol.ServeHTTP(a, r)
	return a
}

// survive makes an answer of a panic, so that clients and the audit hear of it as of any other: net/http would hang up, and say so where
// nobody looks.
func (h *Handler) survive(a *answer, r *http.Request) {
	value := recover()
	if value == nil {
		return
	}
	err := a.call.broken(value)
	h.Log.Error(a.call.reason, "cannot answer", "stack", string(debug.Stack()))
	*a = answer{header: http.Header{}, call: a.call}
	op.WriteError(a, r, err, nil)
}

// admit refuses what costs nothing to refuse, takes the request in, and finds the issuer: not before, as its owner may change it while
// a client takes its time.
func (h *Handler) admit(r *http.Request, c *call) error {
	if wait, ok := h.limits.address(c.address, c.began); !ok {
		return c.tooMany(wait)
	}
	err := guard(r, c)
	if c.now = h.Clock.Now(); err != nil {
		return err
	}
	nameNobody(r, c)
	c.clientID = claimedClient(r)
	c.signingKey, err = h.issuer(r.Context(), c)
	return err
}

// issuer returns the SigningKey whose endpoint was asked. What there is not is told from what has no endpoint by nobody.
func (h *Handler) issuer(ctx context.Context, c *call) (*v1alpha1.SigningKey, error) {
	key := &v1alpha1.SigningKey{}
	err := h.Reader.Get(ctx, c.key, key, client.UnsafeDisableDeepCopy) // A call only reads it.
	switch {
	case apierrors.IsNotFound(err):
		return nil, c.notFound("no such SigningKey")
	case err != nil:
		return nil, c.unavailable(time.Second, err)
	case h.View.Age(c.now) > h.Operator.SignerStaleness:
		return nil, c.unavailable(retryOutage, errors.New("the API server has not been heard of for too long"))
	case h.Operator.TokenEndpoint(key) == "" || !key.DeletionTimestamp.IsZero():
		return nil, c.notFound("the SigningKey has no endpoints: its issuer is no https URL, or it is being deleted")
	default:
		return key, nil
	}
}

// retryOutage is when to ask again while the API server cannot be reached.
const retryOutage = 5 * time.Second

// parsePath says which endpoint a path names: /<namespace>/<name>/<endpoint>, in the very characters. A proxy that guards a path sees
// it as it is sent, and what no SigningKey can be called need be neither looked for nor told in the audit.
func parsePath(at *url.URL, prefix string) (types.NamespacedName, Endpoint, bool) {
	endpoint := Endpoint(at.Path[strings.LastIndexByte(at.Path, '/')+1:])
	if endpoint != Token && endpoint != Introspection && endpoint != Revocation { // Most requests to the server are others.
		return types.NamespacedName{}, "", false
	}
	for _, path := range []string{at.Path, strings.TrimPrefix(at.Path, prefix)} {
		parts := strings.Split(path, "/")
		if len(parts) == 4 && parts[0] == "" && isLabel(parts[1]) && isLabel(parts[2]) && strings.HasSuffix(at.EscapedPath(), path) {
			return types.NamespacedName{Namespace: parts[1], Name: parts[2]}, endpoint, true
		}
	}
	return types.NamespacedName{}, "", false
}

// isLabel says whether something can be the name of a namespace or a SigningKey, which are DNS labels (RFC 1123).
func isLabel(name string) bool { return len(validation.IsDNS1123Label(name)) == 0 }
