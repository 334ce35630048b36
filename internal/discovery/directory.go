package discovery

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/domain/discovery"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/ringstore"
	"github.com/keyturn/keyturn/internal/spec"
)

// Directory holds, ready to be sent, what each SigningKey publishes. It is safe for concurrent use.
type Directory struct {
	reader   client.Reader
	rings    *ringstore.Store
	operator spec.Operator
	filled   []toolscache.InformerSynced

	// refreshing is held while one entry is made anew, so that of two that are made the later one stays.
	refreshing sync.Mutex
	mu         sync.RWMutex
	entries    map[types.NamespacedName]*entry
}

// entry is what is answered for one SigningKey. It is replaced, never changed.
type entry struct {
	uid      types.UID
	believed jose.KeySet
	// jwks has no content while no key can be published, configuration if the issuer is no URL.
	jwks, configuration document
	// standing is what is known of the lifetime of an answer before it is asked for.
	standing discovery.Standing
}

// document is the content of an answer with its strong entity tag (RFC 9110 section 8.8.3).
type document struct {
	content []byte
	tag     string
}

// NewDirectory makes a Directory that is empty until it follows something. It reads from caches alone.
func NewDirectory(reader client.Reader, rings *ringstore.Store, operator spec.Operator) *Directory {
	return &Directory{reader: reader, rings: rings, operator: operator, entries: map[types.NamespacedName]*entry{}}
}

// Follow keeps the directory as the objects are in a cache, until ctx ends. It is called once, before the cache is started.
func (d *Directory) Follow(ctx context.Context, objects cache.Cache) error {
	for _, followed := range []client.Object{&v1alpha1.SigningKey{}, &corev1.Secret{}, &corev1.ConfigMap{}} {
		informer, err := objects.GetInformer(ctx, followed)
		if err != nil {
			return fmt.Errorf("follow %T: %w", followed, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { d.heed(ctx, object) },
			UpdateFunc: func(_, object any) { d.heed(ctx, object) },
			DeleteFunc: func(object any) { d.heed(ctx, object) },
		})
		if err != nil {
			return fmt.Errorf("follow %T: %w", followed, err)
		}
		d.filled = append(d.filled, registration.HasSynced)
	}
	return nil
}

// isFilled says whether all that was there at the start has been taken in.
func (d *Directory) isFilled() bool {
	for _, filled := range d.filled {
		if !filled() {
			return false
		}
	}
	return true
}

// lookup returns the entry of a SigningKey, or nil.
func (d *Directory) lookup(name types.NamespacedName) *entry {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.entries[name]
}

// JWKS returns what a SigningKey publishes at this moment, and its entity tag, for whoever verifies in this process. There is no set
// while no key can be published.
func (d *Directory) JWKS(key types.NamespacedName) (set []byte, tag string) {
	if found := d.lookup(key); found != nil {
		return found.jwks.content, found.jwks.tag
	}
	return nil, ""
}

func (d *Directory) put(name types.NamespacedName, e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e == nil {
		delete(d.entries, name)
		return
	}
	d.entries[name] = e
}

// heed makes the entry anew that an object concerns which came, changed or went.
func (d *Directory) heed(ctx context.Context, object any) {
	if last, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	name, concerned := concerns(object)
	if !concerned {
		return
	}
	d.refreshing.Lock()
	defer d.refreshing.Unlock()
	made, err := d.makeEntry(ctx, name)
	if err != nil {
		log.FromContext(ctx).Error(err, "what is published stays as it was", "signingKey", name)
		return
	}
	if before := d.lookup(name); before != nil && (made == nil || made.uid != before.uid) {
		d.rings.Forget(before.uid)
	}
	d.put(name, made)
}

// concerns names the SigningKey whose published keys an object has a part in.
func concerns(object any) (types.NamespacedName, bool) {
	switch object := object.(type) {
	case *v1alpha1.SigningKey:
		return client.ObjectKeyFromObject(object), true
	case *corev1.Secret:
		name, ok := spec.KeyOf(object)
		return name, ok && name.Namespace == object.Namespace && object.Type == v1alpha1.SecretTypeSigningKey
	case *corev1.ConfigMap:
		name, ok := spec.KeyOf(object)
		return name, ok && name.Namespace == object.Namespace
	default:
		return types.NamespacedName{}, false
	}
}

// makeEntry returns nil if there is no such SigningKey, or if it never had a ring.
func (d *Directory) makeEntry(ctx context.Context, name types.NamespacedName) (*entry, error) {
	key := &v1alpha1.SigningKey{}
	if err := d.reader.Get(ctx, name, key); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read SigningKey: %w", err)
	}
	var believed jose.KeySet
	if before := d.lookup(name); before != nil && before.uid == key.UID {
		believed = before.believed
	}
	published, err := d.publish(ctx, key, believed)
	if err != nil {
		return nil, err
	}
	if published.keys.Len() == 0 && published.believed.Len() == 0 && len(key.Status.Keys) == 0 {
		return nil, nil
	}
	return d.render(key, published)
}

func (d *Directory) render(key *v1alpha1.SigningKey, published publication) (*entry, error) {
	policy := d.operator.Policy(key)
	e := &entry{uid: key.UID, believed: published.believed, standing: discovery.Standing{
		VerifierCache: policy.VerifierCache, Propagation: policy.Propagation,
		Next: published.ring.NextSetChange(policy), Unsettled: !published.settled,
	}}
	if published.keys.Len() == 0 {
		return e, nil // An empty set is never published.
	}
	set, err := published.keys.JSON()
	if err != nil {
		return nil, fmt.Errorf("encode JWKS: %w", err)
	}
	e.jwks = newDocument(set)
	issuer, err := d.operator.Issuer(key)
	if err != nil {
		return e, nil //nolint:nilerr // The operator has lost its external URL; the keys are needed all the same.
	}
	if uri := discovery.JWKSURI(issuer, d.operator.ExternalURL, key.Namespace, key.Name); uri != "" {
		metadata := discovery.NewMetadata(issuer, uri, published.keys)
		if d.operator.TokenEndpoint(key) != "" {
			metadata.Endpoints = discovery.NewEndpoints(uri, d.operator.HasTokenStore)
		}
		configuration, err := json.Marshal(metadata)
		if err != nil {
			return nil, fmt.Errorf("encode configuration: %w", err)
		}
		e.configuration = newDocument(configuration)
	}
	return e, nil
}

func newDocument(content []byte) document {
	sum := sha256.Sum256(content)
	return document{content: content, tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
}
