package denylist

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// Lists are the deny lists that a replica knows. They are safe for concurrent use.
type Lists struct {
	source Source
	clock  clock.PassiveClock

	mu    sync.RWMutex
	slots map[types.NamespacedName]*slot
}

// slot is where the list of one SigningKey is.
type slot struct {
	// changes counts what has happened since that may be in no snapshot.
	changes atomic.Uint64
	current atomic.Pointer[snapshot]
	// compiling is held while the next snapshot is made, so that it is made once.
	compiling sync.Mutex
}

// snapshot is a list as of a number of changes.
type snapshot struct {
	changes  uint64
	list     *denylist.List
	document func() (Document, error)
}

// Document is a deny list as it is published, whole, with its strong entity tag (RFC 9110 section 8.8.3).
type Document struct {
	Content []byte
	Tag     string
}

// New makes Lists that read from caches alone. The cache has spec.IndexSigningKey.
func New(reader client.Reader, rings *ringstore.Store, operator spec.Operator, clk clock.PassiveClock) *Lists {
	return &Lists{
		source: Source{Reader: reader, Indexed: true, Ring: rings.Ring, Operator: operator},
		clock:  clk, slots: map[types.NamespacedName]*slot{},
	}
}

// Follow keeps the lists as the objects are in a cache, until ctx ends. It is called once, before the cache is started.
func (l *Lists) Follow(ctx context.Context, objects cache.Cache) error {
	for _, followed := range []client.Object{&v1alpha1.TokenRevocation{}, &v1alpha1.SigningKey{}, &corev1.Secret{}} {
		informer, err := objects.GetInformer(ctx, followed)
		if err == nil {
			_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
				AddFunc: l.Heed, UpdateFunc: func(_, object any) { l.Heed(object) }, DeleteFunc: l.heedEnd,
			})
		}
		if err != nil {
			return fmt.Errorf("follow %T: %w", followed, err)
		}
	}
	return nil
}

// Heed marks the list as old that an object has a part in which came, changed or went. Whoever acts on the same event as the lists calls it
// before it asks for a list: it may be told first.
func (l *Lists) Heed(object any) {
	name, concerned := concerns(object)
	if !concerned {
		return
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if known := l.slots[name]; known != nil {
		known.changes.Add(1)
	}
}

// heedEnd also drops what is kept of a SigningKey that is no more.
func (l *Lists) heedEnd(object any) {
	if last, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	l.Heed(object)
	if key, ok := object.(*v1alpha1.SigningKey); ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.slots, client.ObjectKeyFromObject(key))
	}
}

// concerns names the SigningKey in whose list an object has a part.
func concerns(object any) (types.NamespacedName, bool) {
	switch object := object.(type) {
	case *v1alpha1.TokenRevocation:
		return spec.RevokedKey(object), true
	case *v1alpha1.SigningKey:
		return client.ObjectKeyFromObject(object), true
	case *corev1.Secret:
		name, ok := spec.KeyOf(object)
		return name, ok && name.Namespace == object.Namespace && object.Type == v1alpha1.SecretTypeSigningKey
	default:
		return types.NamespacedName{}, false
	}
}

// Of returns the deny list of a SigningKey that is there: nil, which denies nothing, if there is none of that name. It waits, until ctx ends,
// only while the caches are being filled. An error means that nobody can know now what is denied.
func (l *Lists) Of(ctx context.Context, key types.NamespacedName) (*denylist.List, error) {
	s, err := l.snapshot(ctx, key)
	if err != nil || s == nil {
		return nil, err
	}
	return s.list, nil
}

// Document returns the deny list of a SigningKey as it is published; nothing if there is no SigningKey of that name, or it has no issuer.
func (l *Lists) Document(ctx context.Context, key types.NamespacedName) (Document, error) {
	s, err := l.snapshot(ctx, key)
	if err != nil || s == nil {
		return Document{}, err
	}
	return s.document()
}

func (l *Lists) snapshot(ctx context.Context, key types.NamespacedName) (*snapshot, error) {
	l.mu.RLock()
	known := l.slots[key]
	l.mu.RUnlock()
	if known != nil {
		if s, ok := l.latest(known); ok {
			return s, nil
		}
	}
	return l.compile(ctx, key)
}

// latest returns what was compiled last, unless something has changed since, or an entry is over.
func (l *Lists) latest(of *slot) (*snapshot, bool) {
	s := of.current.Load()
	if s == nil || s.changes != of.changes.Load() {
		return nil, false
	}
	next := s.list.Next()
	return s, next.IsZero() || l.clock.Now().Before(next)
}

func (l *Lists) compile(ctx context.Context, name types.NamespacedName) (*snapshot, error) {
	key := &v1alpha1.SigningKey{}
	if err := l.source.Reader.Get(ctx, name, key); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read SigningKey: %w", err)
	}
	of := l.slot(name)
	of.compiling.Lock()
	defer of.compiling.Unlock()
	if s, ok := l.latest(of); ok {
		return s, nil
	}
	changes := of.changes.Load() // What happens from here on may be missing below.
	if err := l.source.Reader.Get(ctx, name, key); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	gathered, err := l.source.Gather(ctx, key)
	if err != nil {
		return nil, err
	}
	list := denylist.Compile(gathered.Entries(), l.clock.Now())
	s := &snapshot{changes: changes, list: list, document: sync.OnceValues(func() (Document, error) { return l.render(key, list) })}
	of.current.Store(s)
	return s, nil
}

// slot returns the one of a SigningKey that is there.
func (l *Lists) slot(name types.NamespacedName) *slot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slots[name] == nil {
		l.slots[name] = &slot{}
	}
	return l.slots[name]
}

func (l *Lists) render(key *v1alpha1.SigningKey, list *denylist.List) (Document, error) {
	issuer, err := l.source.Operator.Issuer(key)
	if err != nil {
		return Document{}, nil //nolint:nilerr // The operator has lost its external URL: there is no issuer whose list it is.
	}
	content, err := list.Encode(issuer)
	if err != nil {
		return Document{}, err
	}
	sum := sha256.Sum256(content)
	return Document{Content: content, Tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}, nil
}
