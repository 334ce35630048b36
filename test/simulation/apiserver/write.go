package apiserver

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Create stores a new object and returns it as it is stored. A manager owns what it says.
func (s *Server) Create(user, manager string, object client.Object) (client.Object, error) {
	object = clone(object)
	name := NameOf(object)
	if object.GetResourceVersion() != "" {
		return nil, apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	if s.Lookup(name) != nil {
		return nil, apierrors.NewAlreadyExists(name.Kind.resource(), name.Name)
	}
	if err := s.place(name); err != nil {
		return nil, err
	}
	s.bear(object)
	if err := s.examine(user, nil, &object); err != nil {
		return nil, err
	}
	s.commit(name, record{object, map[string]fields{updater(manager): fieldsOf(object)}}, user)
	return object, nil
}

// Update replaces an object, except for its status, and returns it as it is stored. A resourceVersion that it has must be the
// present one.
func (s *Server) Update(user, manager string, object client.Object) (client.Object, error) {
	object = clone(object)
	name := NameOf(object)
	present := s.objects[name]
	if present.object == nil {
		return nil, apierrors.NewNotFound(name.Kind.resource(), name.Name)
	}
	if err := meets(name, present.object, object.GetUID(), object.GetResourceVersion()); err != nil {
		return nil, err
	}
	inherit(object, present.object)
	if err := s.examine(user, present.object, &object); err != nil {
		return nil, err
	}
	owners := rewritten(present.owners, updater(manager), fieldsOf(present.object), fieldsOf(object))
	return s.replace(user, name, present, record{object, owners})
}

// replace commits a record in the place of another, if it says anything else.
func (s *Server) replace(user string, name Name, present, next record) (client.Object, error) {
	next.object.SetResourceVersion(present.object.GetResourceVersion())
	if equality.Semantic.DeepEqual(present.object, next.object) {
		if sameOwners(present.owners, next.owners) {
			return present.object, nil
		}
		next.object = clone(next.object)
	}
	if !next.object.GetDeletionTimestamp().IsZero() && len(next.object.GetFinalizers()) == 0 && name.Kind != Namespaces {
		s.commit(name, record{}, user)
		return next.object, nil
	}
	s.commit(name, next, user)
	return next.object, nil
}

// Conditions are what a deletion asks of the object.
type Conditions struct {
	UID             *types.UID
	ResourceVersion *string
}

// Delete removes an object, or marks it as going while it has finalizers. A Namespace goes when it is empty; see Waste.
func (s *Server) Delete(user string, name Name, asked Conditions) error {
	present := s.objects[name]
	if present.object == nil {
		return apierrors.NewNotFound(name.Kind.resource(), name.Name)
	}
	if err := meets(name, present.object, value(asked.UID), value(asked.ResourceVersion)); err != nil {
		return err
	}
	if s.Admit != nil {
		if err := s.Admit(Review{User: user, Old: present.object}); err != nil {
			return err
		}
	}
	if len(present.object.GetFinalizers()) == 0 && name.Kind != Namespaces {
		s.commit(name, record{}, user)
		return nil
	}
	if !present.object.GetDeletionTimestamp().IsZero() {
		return nil
	}
	going := clone(present.object)
	now := metav1.Time{Time: s.Now().Truncate(1e9).Local()}
	going.SetDeletionTimestamp(&now)
	s.commit(name, record{going, present.owners}, user)
	return nil
}

func value[T any](p *T) T {
	var none T
	if p == nil {
		return none
	}
	return *p
}

// meets says whether an object is still the one that a write was decided on.
func meets(name Name, present client.Object, uid types.UID, version string) error {
	switch {
	case uid != "" && uid != present.GetUID():
		return apierrors.NewConflict(name.Kind.resource(), name.Name, fmt.Errorf("UID %s is not %s", uid, present.GetUID()))
	case version != "" && version != present.GetResourceVersion():
		return apierrors.NewConflict(name.Kind.resource(), name.Name, fmt.Errorf("the object has been modified"))
	default:
		return nil
	}
}

// inherit gives an object what nobody can change by replacing it.
func inherit(object, present client.Object) {
	object.SetUID(present.GetUID())
	object.SetCreationTimestamp(present.GetCreationTimestamp())
	object.SetDeletionTimestamp(present.GetDeletionTimestamp())
	object.SetGeneration(present.GetGeneration())
	switch object := object.(type) {
	case *v1alpha1.SigningKey:
		present := present.(*v1alpha1.SigningKey)
		object.Status = *present.Status.DeepCopy()
		if !equality.Semantic.DeepEqual(object.Spec, present.Spec) {
			object.Generation++
		}
	case *v1alpha1.ServiceToken:
		present := present.(*v1alpha1.ServiceToken)
		object.Status = *present.Status.DeepCopy()
		if !equality.Semantic.DeepEqual(object.Spec, present.Spec) {
			object.Generation++
		}
	}
}

// examine fills in defaults, and says why an object cannot be stored, or returns nil.
func (s *Server) examine(user string, old client.Object, object *client.Object) error {
	if err := judgeSchema(old, object); err != nil {
		return err
	}
	if err := immutable(old, *object); err != nil {
		return err
	}
	if s.Admit == nil {
		return nil
	}
	return s.Admit(Review{User: user, Old: old, New: *object})
}

// immutable refuses what Secrets and ConfigMaps do not let anybody change.
func immutable(old, object client.Object) error {
	var faults field.ErrorList
	switch object := object.(type) {
	case *corev1.Secret:
		object.Type = cmp.Or(object.Type, corev1.SecretTypeOpaque)
		if old, ok := old.(*corev1.Secret); ok {
			if old.Type != object.Type {
				faults = append(faults, field.Invalid(field.NewPath("type"), object.Type, "field is immutable"))
			}
			faults = append(faults, sealed(old.Immutable, object.Immutable, equality.Semantic.DeepEqual(old.Data, object.Data))...)
		}
	case *corev1.ConfigMap:
		if old, ok := old.(*corev1.ConfigMap); ok {
			faults = sealed(old.Immutable, object.Immutable, equality.Semantic.DeepEqual(old.Data, object.Data))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	name := NameOf(object)
	return apierrors.NewInvalid(name.Kind.group(), name.Name, faults)
}

// sealed refuses to change what says that it is immutable.
func sealed(before, now *bool, same bool) field.ErrorList {
	if !value(before) || value(now) && same {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set")}
}

func clone(object client.Object) client.Object { return object.DeepCopyObject().(client.Object) }
