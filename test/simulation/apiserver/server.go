package apiserver

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Kind is a kind of objects that the server keeps.
type Kind string

// The kinds.
const (
	Namespaces    Kind = "Namespace"
	Secrets       Kind = "Secret"
	ConfigMaps    Kind = "ConfigMap"
	SigningKeys   Kind = "SigningKey"
	ServiceTokens Kind = "ServiceToken"

	TokenClients     Kind = "TokenClient"
	TokenPolicies    Kind = "TokenPolicy"
	TokenRevocations Kind = "TokenRevocation"
)

// Kinds are all kinds of which there are objects, in the order in which they are listed. Nobody creates TokenClients, TokenPolicies
// or TokenRevocations.
func Kinds() []Kind { return []Kind{Namespaces, SigningKeys, ServiceTokens, Secrets, ConfigMaps} }

// KindOf is the kind of an object or of a list of them.
func KindOf(object any) Kind {
	switch object := object.(type) {
	case *corev1.Namespace, *corev1.NamespaceList:
		return Namespaces
	case *corev1.Secret, *corev1.SecretList:
		return Secrets
	case *corev1.ConfigMap, *corev1.ConfigMapList:
		return ConfigMaps
	case *v1alpha1.SigningKey, *v1alpha1.SigningKeyList:
		return SigningKeys
	case *v1alpha1.ServiceToken, *v1alpha1.ServiceTokenList:
		return ServiceTokens
	case *v1alpha1.TokenClient, *v1alpha1.TokenClientList:
		return TokenClients
	case *v1alpha1.TokenPolicy, *v1alpha1.TokenPolicyList:
		return TokenPolicies
	case *v1alpha1.TokenRevocation, *v1alpha1.TokenRevocationList:
		return TokenRevocations
	case *metav1.PartialObjectMetadata:
		return Kind(object.Kind)
	case *metav1.PartialObjectMetadataList:
		return Namespaces // the only kind of which Keyturn lists metadata alone
	default:
		panic(fmt.Sprintf("%T is no kind of this server", object))
	}
}

func (k Kind) resource() schema.GroupResource {
	switch k {
	case SigningKeys, ServiceTokens:
		return schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: map[Kind]string{SigningKeys: "signingkeys", ServiceTokens: "servicetokens"}[k]}
	default:
		return schema.GroupResource{Resource: map[Kind]string{Namespaces: "namespaces", Secrets: "secrets", ConfigMaps: "configmaps"}[k]}
	}
}

func (k Kind) group() schema.GroupKind {
	return schema.GroupKind{Group: k.resource().Group, Kind: string(k)}
}

// Name says which object is meant.
type Name struct {
	Kind            Kind
	Namespace, Name string
}

// NameOf is the Name of an object.
func NameOf(object client.Object) Name {
	return Name{KindOf(object), object.GetNamespace(), object.GetName()}
}

// String writes kind, namespace and name.
func (n Name) String() string {
	if n.Namespace == "" {
		return fmt.Sprintf("%s %s", n.Kind, n.Name)
	}
	return fmt.Sprintf("%s %s/%s", n.Kind, n.Namespace, n.Name)
}

func compareNames(a, b Name) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Event is one change that was committed. Old is nil for an object that came, New for one that went. Nobody may change them.
type Event struct {
	Name     Name
	Old, New client.Object
	// By is the user who made the request.
	By string
	// Version is the revision of the store after the change.
	Version int64
}

// Server keeps the objects. It is for one goroutine at a time.
type Server struct {
	// Now is the server's clock.
	Now func() time.Time
	// Admit asks the webhooks; nil if there are none.
	Admit func(Review) error
	// Committed is told of every change, after it.
	Committed func(Event)

	objects map[Name]record
	version int64
	born    int
}

// record is an object and who owns its fields: by user, the fields that they applied or wrote last. It is replaced, never changed.
type record struct {
	object client.Object
	owners map[string]fields
}

// Review is what a webhook is asked. Old or New is nil.
type Review struct {
	User     string
	Old, New client.Object
}

// New makes a Server without objects, whose store is at revision 1.
func New(now func() time.Time) *Server {
	return &Server{Now: now, objects: map[Name]record{}, version: 1}
}

// Lookup returns the object of that name, which nobody may change, or nil.
func (s *Server) Lookup(name Name) client.Object { return s.objects[name].object }

// List returns all objects of a kind, which nobody may change, in the order of their names.
func (s *Server) List(kind Kind) []client.Object {
	var names []Name
	for name := range s.objects {
		if name.Kind == kind {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, compareNames)
	objects := make([]client.Object, 0, len(names))
	for _, name := range names {
		objects = append(objects, s.objects[name].object)
	}
	return objects
}

// commit stores a record under a new revision, or removes it if it has no object, and tells of it.
func (s *Server) commit(name Name, r record, by string) {
	old := s.objects[name].object
	s.version++
	if r.object == nil {
		delete(s.objects, name)
	} else {
		r.object.SetResourceVersion(strconv.FormatInt(s.version, 10))
		s.objects[name] = r
	}
	if s.Committed != nil {
		s.Committed(Event{Name: name, Old: old, New: r.object, By: by, Version: s.version})
	}
}

// bear gives a new object what the server gives every object.
func (s *Server) bear(object client.Object) {
	s.born++
	object.SetUID(types.UID(fmt.Sprintf("uid-%d", s.born)))
	object.SetCreationTimestamp(metav1.Time{Time: s.Now().Truncate(time.Second).Local()})
	object.SetDeletionTimestamp(nil)
	if kind := KindOf(object); kind == SigningKeys || kind == ServiceTokens {
		object.SetGeneration(1)
	}
}

// place says why an object cannot come into being in its namespace, or returns nil.
func (s *Server) place(name Name) error {
	if name.Namespace == "" {
		return nil
	}
	namespace := s.Lookup(Name{Kind: Namespaces, Name: name.Namespace})
	if namespace == nil {
		return apierrors.NewNotFound(Namespaces.resource(), name.Namespace)
	}
	if namespace.GetDeletionTimestamp().IsZero() {
		return nil
	}
	err := apierrors.NewForbidden(name.Kind.resource(), name.Name, fmt.Errorf("namespace %s is being terminated", name.Namespace))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause})
	return err
}

// Snapshot is a backup of the store.
type Snapshot struct {
	objects map[Name]record
	version int64
}

// Backup takes a snapshot of the store.
func (s *Server) Backup() Snapshot { return Snapshot{maps.Clone(s.objects), s.version} }

// Lookup returns the object of that name in the backup, or nil.
func (b Snapshot) Lookup(name Name) client.Object { return b.objects[name].object }

// Restore brings back what the store held when the snapshot was taken. The revision goes back with it, unless it is bumped, as
// etcdutl can: then it goes on from the present. It tells of every object that differs.
func (s *Server) Restore(from Snapshot, bump bool, by string) {
	before := s.objects
	s.objects = maps.Clone(from.objects)
	if !bump {
		s.version = from.version
	}
	var names []Name
	for name := range before {
		names = append(names, name)
	}
	for name := range s.objects {
		if _, both := before[name]; !both {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, compareNames)
	for _, name := range names {
		was, is := before[name].object, s.objects[name].object
		if was != is && s.Committed != nil {
			s.Committed(Event{Name: name, Old: was, New: is, By: by, Version: s.version})
		}
	}
}
