package apiserver

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fields are the paths of fields with what they hold. Paths begin with what they are part of: "label/", "annotation/", "data/",
// "binary/", "owner/" and "type".
type fields map[string]string

// statusField stands for all of a status, which has one owner. Nobody who replaces an object changes it.
const statusField = "status"

// fieldsOf are the fields of an object that can have owners: of Secrets and ConfigMaps all that Keyturn writes, of others the
// metadata.
func fieldsOf(object client.Object) fields {
	f := fields{}
	for k, v := range object.GetLabels() {
		f["label/"+k] = v
	}
	for k, v := range object.GetAnnotations() {
		f["annotation/"+k] = v
	}
	for _, ref := range object.GetOwnerReferences() {
		f["owner/"+string(ref.UID)] = ref.String()
	}
	switch object := object.(type) {
	case *corev1.Secret:
		for k, v := range object.Data {
			f["data/"+k] = string(v)
		}
		if object.Type != "" {
			f["type"] = string(object.Type)
		}
	case *corev1.ConfigMap:
		for k, v := range object.Data {
			f["data/"+k] = v
		}
		for k, v := range object.BinaryData {
			f["binary/"+k] = string(v)
		}
	}
	return f
}

// drop removes a field from an object.
func drop(object client.Object, path string) {
	part, name, _ := strings.Cut(path, "/")
	switch part {
	case "label":
		object.SetLabels(without(object.GetLabels(), name))
	case "annotation":
		object.SetAnnotations(without(object.GetAnnotations(), name))
	case "owner":
		object.SetOwnerReferences(slices.DeleteFunc(object.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return string(r.UID) == name }))
	case "data":
		switch object := object.(type) {
		case *corev1.Secret:
			object.Data = without(object.Data, name)
		case *corev1.ConfigMap:
			object.Data = without(object.Data, name)
		}
	}
}

func without[V any](m map[string]V, name string) map[string]V {
	m = maps.Clone(m)
	delete(m, name)
	if len(m) == 0 {
		return nil
	}
	return m
}

// merge puts the fields of what was applied into an object.
func merge(object, applied client.Object) {
	object.SetLabels(joined(object.GetLabels(), applied.GetLabels()))
	object.SetAnnotations(joined(object.GetAnnotations(), applied.GetAnnotations()))
	refs := slices.Clone(object.GetOwnerReferences())
	for _, ref := range applied.GetOwnerReferences() {
		i := slices.IndexFunc(refs, func(r metav1.OwnerReference) bool { return r.UID == ref.UID })
		if i < 0 {
			refs = append(refs, ref)
			continue
		}
		refs[i] = ref
	}
	object.SetOwnerReferences(refs)
	switch object := object.(type) {
	case *corev1.Secret:
		applied := applied.(*corev1.Secret)
		object.Data = joined(object.Data, applied.Data)
		if applied.Type != "" {
			object.Type = applied.Type
		}
	case *corev1.ConfigMap:
		object.Data = joined(object.Data, applied.(*corev1.ConfigMap).Data)
	}
}

func joined[V any](base, more map[string]V) map[string]V {
	if len(more) == 0 {
		return base
	}
	m := maps.Clone(base)
	if m == nil {
		m = map[string]V{}
	}
	maps.Copy(m, more)
	return m
}

// rewritten are the owners after somebody has replaced an object: who changes a field owns it alone, and what is gone has no
// owner.
func rewritten(owners map[string]fields, by string, before, after fields) map[string]fields {
	next := map[string]fields{}
	for owner, owned := range owners {
		if _, ofStatus := owned[statusField]; ofStatus {
			next[owner] = owned
			continue
		}
		kept := maps.Clone(owned)
		maps.DeleteFunc(kept, func(path, _ string) bool {
			value, there := after[path]
			return !there || owner != by && value != before[path]
		})
		next[owner] = kept
	}
	mine := maps.Clone(next[by])
	if mine == nil {
		mine = fields{}
	}
	for path, value := range after {
		if was, there := before[path]; !there || was != value {
			mine[path] = value
		}
	}
	next[by] = mine
	return next
}

// sameOwners says whether the same own the same fields, whatever these hold.
func sameOwners(before, after map[string]fields) bool {
	return maps.EqualFunc(owning(before), owning(after), func(a, b fields) bool {
		return maps.EqualFunc(a, b, func(_, _ string) bool { return true })
	})
}

// owning are those owners that own anything.
func owning(owners map[string]fields) map[string]fields {
	owners = maps.Clone(owners)
	maps.DeleteFunc(owners, func(_ string, owned fields) bool { return len(owned) == 0 })
	return owners
}
