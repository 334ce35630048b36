package api_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// bound is one limit of the API: an edit that passes it, what the API server then says, and the nearest edit that it accepts.
type bound struct {
	// before, when it is not nil, is how the object is before it is updated; otherwise it is created.
	before     edit
	refused    edit
	wantErrors []string
	accepted   edit
}

// bounds are keyed by a sentence about what is refused.
type bounds map[string]bound

func join(parts ...bounds) bounds {
	all := bounds{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// check tries every bound, and then whether the kind's schema has one that no refusal has met.
func (b bounds) check(t *testing.T, base func() *unstructured.Unstructured) {
	c := suite.Client(t)
	var met []metav1.StatusCause
	tried := 0
	for _, sentence := range slices.Sorted(maps.Keys(b)) {
		t.Run(sentence, func(t *testing.T) {
			tried++
			met = append(met, b[sentence].checkRefused(t, c, base())...)
			b[sentence].checkAccepted(t, c, base())
		})
	}
	if tried < len(b) {
		return // because -run chose some of them
	}
	for _, limit := range limits(t, base().GetKind()) {
		if !slices.ContainsFunc(met, limit.explains) {
			t.Errorf("no refusal above meets this bound: %s", limit)
		}
	}
}

func (b bound) checkRefused(t *testing.T, c client.Client, object *unstructured.Unstructured) []metav1.StatusCause {
	t.Helper()
	err := b.submit(t, c, object, b.refused)
	if !apierrors.IsInvalid(err) {
		t.Fatalf("got %v, want a refusal", err)
	}
	for _, want := range b.wantErrors {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got: %v\nwant it to contain: %s", err, want)
		}
	}
	return causes(err)
}

// causes are the fields that the API server found fault with.
func causes(err error) []metav1.StatusCause {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	return status.Status().Details.Causes
}

func (b bound) checkAccepted(t *testing.T, c client.Client, object *unstructured.Unstructured) {
	t.Helper()
	if err := b.submit(t, c, object, b.accepted); err != nil {
		t.Fatalf("the neighbour was refused: %v", err)
	}
	// One object that Go cannot decode would stop every informer of its kind.
	content, err := object.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, typed(object.GetKind())); err != nil {
		t.Errorf("Go cannot read what the API server accepted: %v", err)
	}
}

// submit gives the edited object to the API server, which judges it and does not keep it.
func (b bound) submit(t *testing.T, c client.Client, object *unstructured.Unstructured, change edit) error {
	t.Helper()
	if b.before == nil {
		change.apply(t, object)
		return c.Create(t.Context(), object, client.DryRunAll)
	}
	b.before.apply(t, object)
	store(t, c, object)
	change.apply(t, object)
	if change.ofStatus() {
		return c.Status().Update(t.Context(), object, client.DryRunAll)
	}
	return c.Update(t.Context(), object, client.DryRunAll)
}

// store creates an object under a name of its own, with the status it has.
func store(t *testing.T, c client.Client, object *unstructured.Unstructured) {
	t.Helper()
	object.SetName("")
	object.SetGenerateName("subject-")
	status, hasStatus := object.Object["status"]
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	if !hasStatus {
		return
	}
	object.Object["status"] = status
	if err := c.Status().Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

func typed(kind string) client.Object {
	switch kind {
	case "SigningKey":
		return &v1alpha1.SigningKey{}
	case "ServiceToken":
		return &v1alpha1.ServiceToken{}
	case "TokenClient":
		return &v1alpha1.TokenClient{}
	case "TokenRevocation":
		return &v1alpha1.TokenRevocation{}
	default:
		return &v1alpha1.TokenPolicy{}
	}
}
