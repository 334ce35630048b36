package clientauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/internal/jose"
)

const (
	// rememberAccepted is for how long the API server's yes is remembered, and rememberRefused its no: somebody may be about to
	// create what was not there.
	rememberAccepted = 10 * time.Second
	rememberRefused  = time.Second
	// mostAccepted and mostRefused bound how many are.
	mostAccepted = 4096
	mostRefused  = 1024
	// reviewTimeout bounds one review, and mostReviews how many run at once.
	reviewTimeout = 5 * time.Second
	mostReviews   = 32
)

// The further attributes of a user whose token is bound to a Pod.
const (
	extraPodName = "authentication.kubernetes.io/pod-name"
	extraPodUID  = "authentication.kubernetes.io/pod-uid"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups="",resources=serviceaccounts,verbs=get

// reviews asks the API server whose tokens those of ServiceAccounts are, and remembers its answers for a moment.
type reviews struct {
	writer  client.Writer
	live    client.Reader
	clock   clock.PassiveClock
	flights singleflight.Group
	running chan struct{}

	mu                sync.Mutex
	accepted, refused map[digest]answer
}

type digest [sha256.Size]byte

// question is a token, the audience that it must have, and when it expires by what it says.
type question struct {
	token    jose.Compact
	audience string
	expiry   time.Time
}

// digest tells questions apart. An issuer has no character below the space.
func (q question) digest() digest {
	return sha256.Sum256([]byte(q.audience + "\x00" + q.token.Reveal()))
}

// answer is an Account or why there is none, and until when this counts.
type answer struct {
	account *Account
	err     error
	until   time.Time
}

func newReviews(writer client.Writer, live client.Reader, clk clock.PassiveClock) *reviews {
	return &reviews{
		writer: writer, live: live, clock: clk, running: make(chan struct{}, mostReviews),
		accepted: map[digest]answer{}, refused: map[digest]answer{},
	}
}

// of returns whose token it is. Of any number that ask the same at once, one asks the API server.
func (r *reviews) of(ctx context.Context, q question) (*Account, error) {
	id := q.digest()
	if known, ok := r.recall(id); ok {
		return known.account, known.err
	}
	flight := r.flights.DoChan(string(id[:]), func() (any, error) {
		if known, ok := r.recall(id); ok { // Another flight has landed since.
			return known.account, known.err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewTimeout) // Others wait for it too.
		defer cancel()
		account, err := r.review(ctx, q)
		reviewed.WithLabelValues(resultOf(err)).Inc()
		r.remember(id, account, err)
		return account, err
	})
	select {
	case landed := <-flight:
		account, _ := landed.Val.(*Account)
		return account, landed.Err
	case <-ctx.Done():
		return nil, unavailable(0, context.Cause(ctx))
	}
}

func (r *reviews) recall(id digest) (answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, kept := range []map[digest]answer{r.accepted, r.refused} {
		if known, ok := kept[id]; ok && r.clock.Now().Before(known.until) {
			return known, true
		}
		delete(kept, id)
	}
	return answer{}, false
}

// remember does not heed when the token expires: that is judged each time, before anybody asks.
func (r *reviews) remember(id digest, account *Account, err error) {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		keep(r.accepted, mostAccepted, id, answer{account: account, until: now.Add(rememberAccepted)})
	case errors.Is(err, ErrClient):
		keep(r.refused, mostRefused, id, answer{err: err, until: now.Add(rememberRefused)})
	}
}

// keep makes room by dropping whichever comes first.
func keep(kept map[digest]answer, most int, id digest, a answer) {
	for other := range kept {
		if len(kept) < most {
			break
		}
		delete(kept, other)
	}
	kept[id] = a
}

// review asks the API server.
func (r *reviews) review(ctx context.Context, q question) (*Account, error) {
	select {
	case r.running <- struct{}{}:
		defer func() { <-r.running }()
	case <-ctx.Done():
		return nil, unavailable(0, errors.New("too many tokens are being reviewed"))
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{
		Token: q.token.Reveal(), Audiences: []string{q.audience},
	}}
	if err := r.writer.Create(ctx, review); err != nil {
		// The API server's answer may quote what was sent.
		return nil, unavailable(0, fmt.Errorf("create TokenReview: %w", &redactedError{err}))
	}
	status := review.Status
	if !status.Authenticated || !slices.Contains(status.Audiences, q.audience) {
		return nil, refuse("the API server does not know the token, or not for this audience")
	}
	namespace, name, ok := parseUsername(status.User.Username)
	if !ok {
		return nil, refuse("the token is not of a ServiceAccount")
	}
	account := &Account{
		Namespace: namespace, Name: name, Expiry: q.expiry,
		PodName: first(status.User.Extra[extraPodName]), PodUID: first(status.User.Extra[extraPodUID]),
	}
	if err := r.describe(ctx, account, status.User.UID); err != nil {
		return nil, err
	}
	return account, nil
}

// describe reads what a token does not say. The API server may have remembered a ServiceAccount that is gone.
func (r *reviews) describe(ctx context.Context, account *Account, uid string) error {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
	err := r.live.Get(ctx, client.ObjectKey{Namespace: account.Namespace, Name: account.Name}, object)
	switch {
	case apierrors.IsNotFound(err), err == nil && string(object.UID) != uid:
		return refuse("the ServiceAccount of the token is gone")
	case err != nil:
		return unavailable(0, fmt.Errorf("read ServiceAccount: %w", err))
	}
	account.UID, account.Labels = object.UID, object.Labels
	return nil
}

func first(values authenticationv1.ExtraValue) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// redactedError says of which class an answer of the API server is, and no more.
type redactedError struct{ error }

func (e *redactedError) Error() string {
	if reason := apierrors.ReasonForError(e.error); reason != metav1.StatusReasonUnknown {
		return "the API server answers " + string(reason)
	}
	return "the API server cannot be reached"
}
