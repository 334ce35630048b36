package grpcverify_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
	"github.com/keyturn/keyturn/pkg/verify/grpcverify"
)

const (
	check = "/grpc.health.v1.Health/Check" // one answer
	watch = "/grpc.health.v1.Health/Watch" // a stream of answers
	list  = "/grpc.health.v1.Health/List"
)

// service notes who calls it.
type service struct {
	grpc_health_v1.UnimplementedHealthServer
	callers []string
}

func (s *service) note(ctx context.Context) {
	caller := "nobody"
	if token, ok := verify.FromContext(ctx); ok {
		caller = token.Subject
	}
	s.callers = append(s.callers, caller)
}

func (s *service) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	s.note(ctx)
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func (s *service) List(ctx context.Context, _ *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	s.note(ctx)
	return &grpc_health_v1.HealthListResponse{}, nil
}

func (s *service) Watch(_ *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	s.note(stream.Context())
	return stream.Send(&grpc_health_v1.HealthCheckResponse{})
}

// serve starts a server of the service and returns a client of it.
func serve(t *testing.T, service *service, interceptors grpcverify.Interceptors) grpc_health_v1.HealthClient {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.UnaryInterceptor(interceptors.Unary), grpc.StreamInterceptor(interceptors.Stream))
	grpc_health_v1.RegisterHealthServer(server, service)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	dial := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) })
	connection, err := grpc.NewClient("passthrough:///memory", dial, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	})
	return grpc_health_v1.NewHealthClient(connection)
}

// call calls a method and returns how it ended.
func call(ctx context.Context, client grpc_health_v1.HealthClient, method string) error {
	var err error
	switch method {
	case check:
		_, err = client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	case list:
		_, err = client.List(ctx, &grpc_health_v1.HealthListRequest{})
	case watch:
		var stream grpc.ServerStreamingClient[grpc_health_v1.HealthCheckResponse]
		if stream, err = client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{}); err == nil {
			_, err = stream.Recv()
		}
	}
	return err
}

func newKey(t *testing.T) (token func(claims string) string, keys string) {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jose.NewKeySet(key.Public()).JSON()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(claims string) string {
		signed, err := jose.Sign(key, jose.TypeAccessToken, []byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		return signed.Reveal()
	}, path
}

func TestCallsPassWithATokenAlone(t *testing.T) {
	token, keys := newKey(t)
	const all = `{"iss":"orders","aud":"api","sub":"alice","exp":1800000060,"scope":"watch"}`
	good, poor := "Bearer "+token(all), "Bearer "+token(`{"iss":"orders","aud":"api","sub":"alice","exp":1800000060}`)
	expired := "Bearer " + token(`{"iss":"orders","aud":"api","sub":"alice","exp":1799999999}`)
	tests := map[string]struct {
		method        string
		authorization []string
		keys          string
		code          codes.Code
		says          string
		caller        string
	}{
		"a method with a token":                {list, []string{good}, keys, codes.OK, "", "alice"},
		"a stream with a token":                {watch, []string{good}, keys, codes.OK, "", "alice"},
		"a method without":                     {list, nil, keys, codes.Unauthenticated, "the request has no Bearer token", ""},
		"a stream without":                     {watch, nil, keys, codes.Unauthenticated, "the request has no Bearer token", ""},
		"two tokens":                           {list, []string{good, good}, keys, codes.Unauthenticated, "the request does not have one Authorization header with the word Bearer and one token", ""},
		"an expired token":                     {list, []string{expired}, keys, codes.Unauthenticated, "the token has expired", ""},
		"a stream without the scope":           {watch, []string{poor}, keys, codes.PermissionDenied, "the token lacks a scope that is required", ""},
		"a method that needs no scope":         {list, []string{poor}, keys, codes.OK, "", "alice"},
		"no keys":                              {list, []string{good}, keys + "x", codes.Unavailable, "the keys that verify the token are not at hand", ""},
		"a public method without a token":      {check, nil, keys, codes.OK, "", "nobody"},
		"a public method with a useless token": {check, []string{expired}, keys, codes.OK, "", "nobody"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			verifier, err := verify.New(verify.Options{
				Issuers: []verify.Issuer{{Name: "orders", Audiences: []string{"api"}, Keys: verify.File{Path: test.keys}}},
				Clock:   func() time.Time { return time.Unix(1800000000, 0) },
			})
			if err != nil {
				t.Fatal(err)
			}
			service := &service{}
			client := serve(t, service, grpcverify.Interceptors{
				Verifier: verifier, Scopes: map[string][]string{watch: {"watch"}}, Public: []string{check},
			})
			ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": test.authorization})
			answer := status.Convert(call(ctx, client, test.method))
			if answer.Code() != test.code || answer.Message() != test.says {
				t.Errorf("got %v %q, want %v %q", answer.Code(), answer.Message(), test.code, test.says)
			}
			var want []string
			if test.caller != "" {
				want = []string{test.caller}
			}
			if diff := cmp.Diff(want, service.callers); diff != "" {
				t.Errorf("callers (-want +got):\n%s", diff)
			}
		})
	}
}
