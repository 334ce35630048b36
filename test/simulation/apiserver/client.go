package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Call is one request to the API server.
type Call struct {
	// Verb is get, list, create, update, patch, patch status, apply, apply status or delete.
	Verb string
	Name Name
}

// Writes says whether the call changes anything.
func (c Call) Writes() bool { return c.Verb != "get" && c.Verb != "list" }

// Client is a client of a Server, for one user. What Keyturn does not use is not there, and panics.
type Client struct {
	client.Client

	Server *Server
	User   string
	// Cache, if set, is what Get and List read in the place of the server.
	Cache client.Reader
	// Around, if set, is given every request to the server, to answer it by do or otherwise.
	Around func(ctx context.Context, call Call, do func() error) error
	// Known is the scheme.
	Known *runtime.Scheme
}

// Scheme returns the scheme.
func (c *Client) Scheme() *runtime.Scheme { return c.Known }

func (c *Client) send(ctx context.Context, verb string, name Name, do func() error) error {
	if c.Around == nil {
		return do()
	}
	return c.Around(ctx, Call{verb, name}, do)
}

// Get reads an object.
func (c *Client) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	if c.Cache != nil {
		return c.Cache.Get(ctx, key, into, options...)
	}
	name := Name{KindOf(into), key.Namespace, key.Name}
	return c.send(ctx, "get", name, func() error {
		if partial, ok := into.(*metav1.PartialObjectMetadata); ok {
			defer func() { partial.ManagedFields = c.Server.Managers(name) }()
		}
		return Read(c.Server.Lookup(name), name, into)
	})
}

// Read copies an object into another of its kind, or fails if there is none.
func Read(object client.Object, name Name, into client.Object) error {
	if object == nil {
		return apierrors.NewNotFound(name.Kind.resource(), name.Name)
	}
	if partial, ok := into.(*metav1.PartialObjectMetadata); ok {
		*partial = *Metadata(object)
		return nil
	}
	fill(into, clone(object))
	return nil
}

// Metadata is the metadata of an object alone, of a built-in kind.
func Metadata(object client.Object) *metav1.PartialObjectMetadata {
	out := meta.AsPartialObjectMetadata(clone(object))
	out.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(string(KindOf(object))))
	return out
}

func fill(into, from client.Object) {
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(from).Elem())
}

// List reads the objects of a kind.
func (c *Client) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if c.Cache != nil {
		return c.Cache.List(ctx, list, options...)
	}
	kind := KindOf(list)
	return c.send(ctx, "list", Name{Kind: kind}, func() error { return Select(c.Server.List(kind), list, nil, options...) })
}

// Index gives the values of an object under a field index.
type Index func(field string, object client.Object) []string

// Select fills a list with those of the objects that the options ask for.
func Select(objects []client.Object, list client.ObjectList, index Index, options ...client.ListOption) error {
	var asked client.ListOptions
	asked.ApplyOptions(options)
	var chosen []runtime.Object
	for _, object := range objects {
		if !matches(object, asked, index) {
			continue
		}
		if _, partial := list.(*metav1.PartialObjectMetadataList); partial {
			chosen = append(chosen, Metadata(object))
			continue
		}
		chosen = append(chosen, object.DeepCopyObject())
	}
	return meta.SetList(list, chosen)
}

func matches(object client.Object, asked client.ListOptions, index Index) bool {
	if asked.Namespace != "" && object.GetNamespace() != asked.Namespace {
		return false
	}
	if asked.LabelSelector != nil && !asked.LabelSelector.Matches(labelsOf(object)) {
		return false
	}
	if asked.FieldSelector == nil {
		return true
	}
	for _, requirement := range asked.FieldSelector.Requirements() {
		found := false
		for _, v := range index(requirement.Field, object) {
			found = found || v == requirement.Value
		}
		if !found {
			return false
		}
	}
	return true
}

type labelsOfObject map[string]string

func labelsOf(object client.Object) labelsOfObject { return object.GetLabels() }

func (l labelsOfObject) Has(name string) bool { _, ok := l[name]; return ok }

func (l labelsOfObject) Get(name string) string { return l[name] }

func (l labelsOfObject) Lookup(name string) (string, bool) { v, ok := l[name]; return v, ok }

// Create creates an object.
func (c *Client) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	var asked client.CreateOptions
	asked.ApplyOptions(options)
	return c.send(ctx, "create", NameOf(object), func() error {
		stored, err := c.Server.Create(c.User, asked.FieldManager, object)
		return answer(object, stored, err)
	})
}

// Update replaces an object.
func (c *Client) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	var asked client.UpdateOptions
	asked.ApplyOptions(options)
	return c.send(ctx, "update", NameOf(object), func() error {
		stored, err := c.Server.Update(c.User, asked.FieldManager, object)
		return answer(object, stored, err)
	})
}

// Patch is a JSON merge patch, or a JSON patch of the managed fields.
func (c *Client) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	var asked client.PatchOptions
	asked.ApplyOptions(options)
	raw, err := patch.Data(object)
	if err != nil {
		return err
	}
	name := NameOf(object)
	return c.send(ctx, "patch", name, func() error {
		if patch.Type() == types.JSONPatchType {
			stored, err := c.Server.PatchManagers(c.User, name, raw)
			if err != nil {
				return err
			}
			return Read(stored, name, object)
		}
		stored, err := c.Server.Patch(c.User, asked.FieldManager, name, raw)
		return answer(object, stored, err)
	})
}

func answer(into, stored client.Object, err error) error {
	if err == nil {
		fill(into, clone(stored))
	}
	return err
}

// Delete deletes an object.
func (c *Client) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	var asked client.DeleteOptions
	asked.ApplyOptions(options)
	var conditions Conditions
	if p := asked.Preconditions; p != nil {
		conditions = Conditions{p.UID, p.ResourceVersion}
	}
	return c.send(ctx, "delete", NameOf(object), func() error { return c.Server.Delete(c.User, NameOf(object), conditions) })
}

// Apply is server-side apply, always with force.
func (c *Client) Apply(ctx context.Context, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
	var asked client.ApplyOptions
	asked.ApplyOptions(options)
	return c.apply(ctx, "apply", object, func(raw []byte) (client.Object, error) { return c.Server.Apply(c.User, asked.FieldManager, raw) })
}

// Status returns what applies the status subresource.
func (c *Client) Status() client.SubResourceWriter { return &statusWriter{client: c} }

type statusWriter struct {
	client.SubResourceWriter

	client *Client
}

func (w *statusWriter) Apply(ctx context.Context, object runtime.ApplyConfiguration, options ...client.SubResourceApplyOption) error {
	var asked client.SubResourceApplyOptions
	asked.ApplyOpts(options)
	return w.client.apply(ctx, "apply status", object, func(raw []byte) (client.Object, error) {
		return w.client.Server.ApplyStatus(w.client.User, asked.FieldManager, raw)
	})
}

// Patch is a JSON merge patch of the status.
func (w *statusWriter) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	var asked client.SubResourcePatchOptions
	asked.ApplyOptions(options)
	raw, err := patch.Data(object)
	if err != nil {
		return err
	}
	name := NameOf(object)
	return w.client.send(ctx, "patch status", name, func() error {
		stored, err := w.client.Server.PatchStatus(w.client.User, asked.FieldManager, name, raw)
		return answer(object, stored, err)
	})
}

// apply sends an apply configuration, and fills it with the answer as a real client does.
func (c *Client) apply(ctx context.Context, verb string, object runtime.ApplyConfiguration, do func([]byte) (client.Object, error)) error {
	raw, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encode apply configuration: %w", err)
	}
	var named struct {
		Kind     Kind              `json:"kind"`
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &named); err != nil {
		return fmt.Errorf("read apply configuration: %w", err)
	}
	name := Name{named.Kind, named.Metadata.Namespace, named.Metadata.Name}
	return c.send(ctx, verb, name, func() error {
		stored, err := do(raw)
		if err != nil {
			return err
		}
		answered, err := json.Marshal(typed(stored, name.Kind))
		if err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
		empty(object)
		return json.Unmarshal(answered, object)
	})
}

// empty forgets all that an apply configuration says.
func empty(object runtime.ApplyConfiguration) {
	v := reflect.ValueOf(object).Elem()
	v.Set(reflect.Zero(v.Type()))
}

// typed gives a copy of an object its kind and version, as the server's answers have them.
func typed(object client.Object, kind Kind) client.Object {
	object = clone(object)
	version := corev1.SchemeGroupVersion
	if kind == SigningKeys || kind == ServiceTokens {
		version = v1alpha1.GroupVersion
	}
	object.GetObjectKind().SetGroupVersionKind(version.WithKind(string(kind)))
	return object
}
