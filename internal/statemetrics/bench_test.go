package statemetrics_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/internal/statemetrics"
)

// shelf lists objects as a cache does that is told not to copy them.
type shelf struct {
	client.Reader
	keys, tokens []runtime.Object
}

func (s *shelf) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if _, ok := list.(*v1alpha1.SigningKeyList); ok {
		return meta.SetList(list, s.keys)
	}
	return meta.SetList(list, s.tokens)
}

// BenchmarkScrape is one scrape with 100 SigningKeys and 10,000 ServiceTokens in 100 namespaces.
func BenchmarkScrape(b *testing.B) {
	s := &shelf{}
	for i := range 100 {
		key := signingKey(holds(v1alpha1.KeyStatus{State: v1alpha1.KeyActive, ActivatedAt: at(1)}), is("Ready", "True", "Ready"))
		key.Name = fmt.Sprint("key-", i)
		s.keys = append(s.keys, key)
	}
	for i := range 10_000 {
		s.tokens = append(s.tokens, serviceToken(fmt.Sprint("ns-", i%100), fmt.Sprint("token-", i), names(fmt.Sprint("key-", i%100)), ready("True", "Issued", at(9), at(5))))
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(statemetrics.New(b.Context(), s, spec.Operator{}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
