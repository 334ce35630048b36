package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/pkg/verify"
)

// Published is what SigningKeys publish at this moment.
type Published interface {
	// JWKS returns the JWK Set of a SigningKey and its entity tag, which another set has not; no set while no key can be
	// published.
	JWKS(key types.NamespacedName) (set []byte, tag string)
}

// DenyLists gives the deny list of a SigningKey: the tokens that TokenRevocations take back.
type DenyLists func(key types.NamespacedName) verify.DenyFunc

// Directory holds the TokenPolicies ready to judge by. It is safe for concurrent use.
type Directory struct {
	reader    client.Reader
	published Published
	operator  spec.Operator
	compiler  *compiler
	filled    []toolscache.InformerSynced

	// refreshing is held while policies are made anew, so that of two that are made the later one stays.
	refreshing sync.Mutex
	mu         sync.RWMutex
	policies   map[types.NamespacedName]*policy
}

// NewDirectory makes a Directory that is empty until it follows something. It reads from caches alone. Each policy remembers up
// to cacheSize tokens that it has verified.
func NewDirectory(
	reader client.Reader, published Published, denyLists DenyLists, operator spec.Operator, clk clock.PassiveClock, cacheSize int,
) *Directory {
	d := &Directory{reader: reader, published: published, operator: operator, policies: map[types.NamespacedName]*policy{}}
	d.compiler = &compiler{
		sources: newSources(clk.Now), published: func(key types.NamespacedName) verify.KeySource { return publishedKeys(published, key) },
		denyLists: denyLists, cacheSize: cacheSize, shortest: operator.LongestView(), clock: clk.Now,
	}
	return d
}

// Follow keeps the directory as the objects are in a cache, until ctx ends. It is called once, before the cache is started.
func (d *Directory) Follow(ctx context.Context, objects cache.Cache) error {
	for _, followed := range []client.Object{&v1alpha1.TokenPolicy{}, &v1alpha1.SigningKey{}} {
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

func (d *Directory) lookup(name types.NamespacedName) *policy {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.policies[name]
}

// heed makes the policies anew that an object concerns which came, changed or went.
func (d *Directory) heed(ctx context.Context, object any) {
	if last, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	d.refreshing.Lock()
	defer d.refreshing.Unlock()
	switch object := object.(type) {
	case *v1alpha1.TokenPolicy:
		d.refresh(ctx, client.ObjectKeyFromObject(object))
	case *v1alpha1.SigningKey:
		for _, name := range d.referring(client.ObjectKeyFromObject(object)) {
			d.refresh(ctx, name)
		}
	}
}

// referring are the policies that accept the tokens of a SigningKey, or would if it were there.
func (d *Directory) referring(key types.NamespacedName) []types.NamespacedName {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var names []types.NamespacedName
	for name, policy := range d.policies {
		if policy.inputs.refersTo(key) {
			names = append(names, name)
		}
	}
	return names
}

// refresh makes a policy anew if what it is made of has changed. One that cannot be read does not stay as it was: what it would
// let in might not be wanted any more.
func (d *Directory) refresh(ctx context.Context, name types.NamespacedName) {
	object := &v1alpha1.TokenPolicy{}
	err := d.reader.Get(ctx, name, object)
	if client.IgnoreNotFound(err) != nil {
		log.FromContext(ctx).Error(err, "the policy lets nobody in until it can be read", "tokenPolicy", name)
	}
	before := d.lookup(name)
	if err != nil || !object.DeletionTimestamp.IsZero() {
		d.replace(name, before, nil)
		return
	}
	in, found := d.gather(ctx, object)
	if before != nil && before.inputs == in {
		return
	}
	d.replace(name, before, d.compiler.compile(object, in, found))
}

func (d *Directory) replace(name types.NamespacedName, before, after *policy) {
	d.mu.Lock()
	if after == nil {
		delete(d.policies, name)
	} else {
		d.policies[name] = after
	}
	d.mu.Unlock()
	if before != nil {
		before.release(d.compiler.sources)
	}
	if after == nil {
		forgetMetrics(name)
	}
}

// gather reads what else a policy is made of, and sums it up.
func (d *Directory) gather(ctx context.Context, object *v1alpha1.TokenPolicy) (inputs, map[types.NamespacedName]signingKey) {
	found := map[types.NamespacedName]signingKey{}
	var summed strings.Builder
	for _, name := range spec.PolicyKeyRefs(object) {
		key := d.find(ctx, name)
		found[name] = key
		fmt.Fprintf(&summed, "%s %s %q %s %v\n", name, key.uid, key.issuer, key.cache, key.problem)
	}
	return inputs{uid: object.UID, generation: object.Generation, keys: summed.String()}, found
}

// refersTo says whether a SigningKey is among the inputs.
func (i inputs) refersTo(key types.NamespacedName) bool {
	return strings.HasPrefix(i.keys, key.String()+" ") || strings.Contains(i.keys, "\n"+key.String()+" ")
}

func (d *Directory) find(ctx context.Context, name types.NamespacedName) signingKey {
	if !d.operator.Watches(name.Namespace) {
		return signingKey{problem: fmt.Errorf("the operator does not watch namespace %s and knows no SigningKey there: "+
			"refer to one that it knows, or add the namespace to its --watch-namespaces", name.Namespace)}
	}
	key := &v1alpha1.SigningKey{}
	err := d.reader.Get(ctx, name, key)
	switch {
	case apierrors.IsNotFound(err):
		return signingKey{problem: fmt.Errorf("there is no SigningKey %s: apply it, or correct the reference", name)}
	case err != nil:
		return signingKey{problem: errors.New("the SigningKey cannot be read: the operator's log tells why")}
	}
	issuer, err := d.operator.Issuer(key)
	return signingKey{uid: key.UID, issuer: issuer, cache: d.operator.Policy(key).VerifierCache, problem: err}
}
