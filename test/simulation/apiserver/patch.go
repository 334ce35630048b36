package apiserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Patch is a JSON merge patch (RFC 7396): an update of the object as it is now.
func (s *Server) Patch(user, manager string, name Name, patch []byte) (client.Object, error) {
	patched, err := s.patched(name, patch)
	if err != nil {
		return nil, err
	}
	present := s.Lookup(name)
	if err := meets(name, present, "", patched.GetResourceVersion()); err != nil {
		return nil, err
	}
	if err := sameUID(name, present, patched); err != nil {
		return nil, err
	}
	return s.Update(user, manager, patched)
}

// PatchStatus is a JSON merge patch of the status subresource. What it says of a UID counts for nothing.
func (s *Server) PatchStatus(user, manager string, name Name, patch []byte) (client.Object, error) {
	patched, err := s.patched(name, patch)
	if err != nil {
		return nil, err
	}
	return s.replaceStatus(user, updater(manager), patched)
}

// patched is an object as a merge patch makes it.
func (s *Server) patched(name Name, patch []byte) (client.Object, error) {
	present := s.Lookup(name)
	if present == nil {
		return nil, apierrors.NewNotFound(name.Kind.resource(), name.Name)
	}
	raw, err := json.Marshal(typed(present, name.Kind))
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	var base, change map[string]any
	if err := json.Unmarshal(raw, &base); err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	if err := json.Unmarshal(patch, &change); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if raw, err = json.Marshal(mergePatched(base, change)); err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return decode(raw)
}

func mergePatched(base, change map[string]any) map[string]any {
	merged := maps.Clone(base)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, value := range change {
		deeper, isObject := value.(map[string]any)
		below, _ := merged[name].(map[string]any)
		switch {
		case value == nil:
			delete(merged, name)
		case isObject:
			merged[name] = mergePatched(below, deeper)
		default:
			merged[name] = value
		}
	}
	return merged
}

// updater is under which name a manager owns what it has created, updated or patched. Server-side apply knows it by another.
func updater(manager string) string { return manager + " (Update)" }

// Managers are the managed fields of an object, without the fields: who has applied, and who has written otherwise.
func (s *Server) Managers(name Name) []metav1.ManagedFieldsEntry {
	var entries []metav1.ManagedFieldsEntry
	for _, owner := range slices.Sorted(maps.Keys(s.objects[name].owners)) {
		entry := metav1.ManagedFieldsEntry{
			Manager: owner, Operation: metav1.ManagedFieldsOperationApply, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1("{}"),
		}
		if manager, otherwise := cutUpdater(owner); otherwise {
			entry.Manager, entry.Operation = manager, metav1.ManagedFieldsOperationUpdate
		}
		entries = append(entries, entry)
	}
	return entries
}

func cutUpdater(owner string) (string, bool) {
	bare := len(owner) - len(updater(""))
	if bare < 0 || updater(owner[:bare]) != owner {
		return owner, false
	}
	return owner[:bare], true
}

// PatchManagers is a JSON patch (RFC 6902) of the managed fields, under a resourceVersion, as csaupgrade makes it: what somebody owned who is
// not among them any more belongs to whoever of the same name has applied.
func (s *Server) PatchManagers(user string, name Name, patch []byte) (client.Object, error) {
	var steps []struct {
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	var kept []metav1.ManagedFieldsEntry
	var version string
	if err := json.Unmarshal(patch, &steps); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	for _, step := range steps {
		into, known := map[string]any{"/metadata/managedFields": &kept, "/metadata/resourceVersion": &version}[step.Path]
		if !known {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("this server does not patch %s", step.Path))
		}
		if err := json.Unmarshal(step.Value, into); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	}
	present := s.objects[name]
	if present.object == nil {
		return nil, apierrors.NewNotFound(name.Kind.resource(), name.Name)
	}
	if err := meets(name, present.object, "", version); err != nil {
		return nil, err
	}
	owners := maps.Clone(present.owners)
	for owner, owned := range present.owners {
		manager, otherwise := cutUpdater(owner)
		if !otherwise || slices.ContainsFunc(kept, func(e metav1.ManagedFieldsEntry) bool {
			return e.Manager == manager && e.Operation == metav1.ManagedFieldsOperationUpdate
		}) {
			continue
		}
		all := maps.Clone(owned)
		maps.Copy(all, owners[manager])
		owners[manager] = all
		delete(owners, owner)
	}
	object := clone(present.object)
	s.commit(name, record{object, owners}, user)
	return object, nil
}

// replaceStatus gives an object the status of another.
func (s *Server) replaceStatus(user, owner string, given client.Object) (client.Object, error) {
	name := NameOf(given)
	present := s.objects[name]
	if present.object == nil {
		return nil, apierrors.NewNotFound(name.Kind.resource(), name.Name)
	}
	if err := meets(name, present.object, "", given.GetResourceVersion()); err != nil {
		return nil, err
	}
	object := clone(present.object)
	switch object := object.(type) {
	case *v1alpha1.SigningKey:
		object.Status = given.(*v1alpha1.SigningKey).Status
	case *v1alpha1.ServiceToken:
		object.Status = given.(*v1alpha1.ServiceToken).Status
	}
	owners := maps.Clone(present.owners)
	owners[owner+"/status"] = fields{statusField: ""}
	return s.replace(user, name, present, record{object, owners})
}
