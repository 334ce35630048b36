package tokenservice

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/permit"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/internal/tokenstore"
)

// Authenticator proves clients, as clientauth.Authenticator does.
type Authenticator interface {
	Authenticate(ctx context.Context, key *v1alpha1.SigningKey, attempt clientauth.Attempt) (clientauth.Proof, error)
}

// DenyLists knows which tokens of a SigningKey were taken back.
type DenyLists interface {
	Of(ctx context.Context, key types.NamespacedName) (*denylist.List, error)
}

// View knows how old what the caches show can be.
type View interface {
	Age(now time.Time) time.Duration
}

// Options is what the service works with.
type Options struct {
	// Reader reads SigningKeys, TokenClients and the metadata of namespaces from caches.
	Reader    client.Reader
	Clock     clock.PassiveClock
	Operator  spec.Operator
	Permit    *permit.Checker
	Rings     *ringstore.Store
	Clients   Authenticator
	DenyLists DenyLists
	// Families keep refresh tokens; nil for a service that has none.
	Families tokenstore.Families
	View     View
	Recorder events.EventRecorder
	// Log is told of every decision, once.
	Log    logr.Logger
	Limits Limits
}
