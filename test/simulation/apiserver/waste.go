package apiserver

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The users that tidy up.
const (
	GarbageCollector    = "system:serviceaccount:kube-system:generic-garbage-collector"
	NamespaceController = "system:serviceaccount:kube-system:namespace-controller"
)

// Waste are the objects that should go, and who removes them: those whose owner is no more, and all that is in a Namespace that
// is being deleted.
func (s *Server) Waste() map[Name]string {
	alive := map[string]bool{}
	for _, r := range s.objects {
		alive[string(r.object.GetUID())] = true
	}
	waste := map[Name]string{}
	for name, r := range s.objects {
		switch {
		case s.isEnding(name.Namespace) && name.Namespace != "":
			waste[name] = NamespaceController
		case isOrphan(r.object, alive):
			waste[name] = GarbageCollector
		}
	}
	return waste
}

func isOrphan(object client.Object, alive map[string]bool) bool {
	refs := object.GetOwnerReferences()
	for _, ref := range refs {
		if alive[string(ref.UID)] {
			return false
		}
	}
	return len(refs) > 0
}

func (s *Server) isEnding(namespace string) bool {
	object := s.Lookup(Name{Kind: Namespaces, Name: namespace})
	return object != nil && !object.GetDeletionTimestamp().IsZero()
}

// EndNamespaces removes the Namespaces that are being deleted and are empty.
func (s *Server) EndNamespaces() {
	full := map[string]bool{}
	for name := range s.objects {
		full[name.Namespace] = true
	}
	for _, object := range s.List(Namespaces) {
		if namespace := object.(*corev1.Namespace); !namespace.DeletionTimestamp.IsZero() && !full[namespace.Name] {
			s.commit(Name{Kind: Namespaces, Name: namespace.Name}, record{}, NamespaceController)
		}
	}
}
