package tokenservice_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/ringstore"
)

// BenchmarkClientCredentials grants an access token: what the token service costs beside the server that it is behind, and beside the
// signature, which is most of it.
func BenchmarkClientCredentials(b *testing.B) {
	s := begin(b, cart()...)
	cache := &remembering{Client: s.api, objects: map[string]client.Object{}}
	wall := clock.RealClock{}
	s.clock.SetTime(wall.Now())
	rings := ringstore.New(cache, cache, wall, s.options.Operator.SignerStaleness)
	s.options.Reader, s.options.Rings, s.options.Clock = cache, rings, wall
	s.options.DenyLists = denylist.New(cache, rings, s.options.Operator, wall)
	s.options.Clients = clientauth.New(clientauth.Options{Cache: cache, Client: cache, Live: cache, Clock: wall, Operator: s.options.Operator})
	s.options.Log = zap.New(zap.WriteTo(io.Discard))
	s.options.Families = nil
	s.serve()
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/bank/main/token", strings.NewReader("grant_type=client_credentials&audience="+audience))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(clientID, secret)
		w := httptest.NewRecorder()
		if s.handler.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Body.String())
		}
	}
}

// remembering answers as an informer's cache does: with the objects that it has, not with copies.
type remembering struct {
	client.Client
	objects map[string]client.Object
}

func (r *remembering) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	name := reflect.TypeOf(into).String() + key.String()
	if r.objects[name] == nil {
		if err := r.Client.Get(ctx, key, into, options...); err != nil {
			return err
		}
		r.objects[name] = into
		return nil
	}
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(r.objects[name]).Elem())
	return nil
}
