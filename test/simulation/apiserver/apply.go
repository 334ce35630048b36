package apiserver

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Apply is server-side apply with force, as far as Keyturn uses it: of Secrets and ConfigMaps. The manager owns what it
// applied, and what it applied before and does not any more goes, unless somebody else owns it too.
func (s *Server) Apply(user, manager string, raw []byte) (client.Object, error) {
	applied, err := decode(raw)
	if err != nil {
		return nil, err
	}
	name := NameOf(applied)
	present := s.objects[name]
	if present.object == nil {
		return s.applyNew(user, manager, applied)
	}
	if err := meets(name, present.object, "", applied.GetResourceVersion()); err != nil {
		return nil, err
	}
	if err := sameUID(name, present.object, applied); err != nil {
		return nil, err
	}
	object := clone(present.object)
	wanted := fieldsOf(applied)
	for path := range present.owners[manager] {
		if _, still := wanted[path]; !still && !ownedByOthers(present.owners, manager, path) {
			drop(object, path)
		}
	}
	merge(object, applied)
	if err := s.examine(user, present.object, &object); err != nil {
		return nil, err
	}
	after := fieldsOf(object)
	owners := rewritten(present.owners, manager, fieldsOf(present.object), after)
	owners[manager] = wanted
	return s.replace(user, name, present, record{object, owners})
}

// applyNew creates what is applied. An object that must have a UID or a version cannot be created.
func (s *Server) applyNew(user, manager string, object client.Object) (client.Object, error) {
	name := NameOf(object)
	if object.GetUID() != "" {
		return nil, apierrors.NewConflict(name.Kind.resource(), name.Name, fmt.Errorf("UID %s, and no existing object was found", object.GetUID()))
	}
	if err := s.place(name); err != nil {
		return nil, err
	}
	object.SetResourceVersion("")
	s.bear(object)
	if err := s.examine(user, nil, &object); err != nil {
		return nil, err
	}
	s.commit(name, record{object, map[string]fields{manager: fieldsOf(object)}}, user)
	return object, nil
}

// sameUID refuses to apply one object to another of the same name. It is no conflict: a UID cannot be changed.
func sameUID(name Name, present, applied client.Object) error {
	if uid := applied.GetUID(); uid != "" && uid != present.GetUID() {
		return apierrors.NewInvalid(name.Kind.group(), name.Name, field.ErrorList{field.Invalid(field.NewPath("metadata", "uid"), uid, "field is immutable")})
	}
	return nil
}

func ownedByOthers(owners map[string]fields, manager, path string) bool {
	for owner, owned := range owners {
		if _, owns := owned[path]; owns && owner != manager {
			return true
		}
	}
	return false
}

// ApplyStatus is server-side apply with force of the status subresource. All of a status belongs to Keyturn, so that what it
// applies is what the status is from then on. A UID in it counts for nothing: the subresource resets metadata.
func (s *Server) ApplyStatus(user, manager string, raw []byte) (client.Object, error) {
	applied, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return s.replaceStatus(user, manager, applied)
}

// decode reads an object from the JSON of an apply configuration.
func decode(raw []byte) (client.Object, error) {
	var head struct {
		Kind Kind `json:"kind"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	var object client.Object
	switch head.Kind {
	case Secrets:
		object = &corev1.Secret{}
	case ConfigMaps:
		object = &corev1.ConfigMap{}
	case SigningKeys:
		object = &v1alpha1.SigningKey{}
	case ServiceTokens:
		object = &v1alpha1.ServiceToken{}
	default:
		return nil, apierrors.NewGenericServerResponse(404, "patch", head.Kind.resource(), "", "no such kind", 0, false)
	}
	if err := json.Unmarshal(raw, object); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	// Stored objects have no type in them, as those that a typed client decodes.
	if typed, err := meta.TypeAccessor(object); err == nil {
		typed.SetKind("")
		typed.SetAPIVersion("")
	}
	return object, nil
}
