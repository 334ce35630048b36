// Package grpcverify is package verify for servers of gRPC: interceptors that let calls with an acceptable token pass.
//
//	interceptors := grpcverify.Interceptors{
//		Verifier: verifier,
//		Scopes:   map[string][]string{"/orders.v1.Orders/List": {"orders.read"}},
//		Public:   []string{"/grpc.health.v1.Health/Check"},
//	}
//	server := grpc.NewServer(grpc.UnaryInterceptor(interceptors.Unary), grpc.StreamInterceptor(interceptors.Stream))
//
// The token is taken from the metadata authorization, which is the Authorization header of the HTTP/2 request: "Bearer "
// and the token. A call that is refused ends with Unauthenticated, with PermissionDenied if only a scope is missing, or
// with Unavailable while the issuer's keys are not at hand. Handlers read the token with [verify.FromContext].
//
// A token is judged when a call begins. A stream outlives it.
package grpcverify

import (
	"context"
	"net/http"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/keyturn/keyturn/pkg/verify"
)

// Interceptors are what a server calls before its handlers. They are safe for concurrent use while no field is changed.
type Interceptors struct {
	// Verifier says which tokens are accepted. It must be set.
	Verifier *verify.Verifier
	// Scopes are what a token must have for a method, by its full name, /package.Service/Method. A method that is not named
	// needs a token with any scopes, or none.
	Scopes map[string][]string
	// Public are the full names of methods that are called without a token, such as those of health checks. A token that comes
	// with such a call is not looked at.
	Public []string
}

// Unary is a [grpc.UnaryServerInterceptor].
func (i Interceptors) Unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	ctx, err := i.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

// Stream is a [grpc.StreamServerInterceptor].
func (i Interceptors) Stream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	ctx, err := i.admit(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return handler(server, admitted{ServerStream: stream, context: func() context.Context { return ctx }})
}

// admitted is a stream whose context has the token.
type admitted struct {
	grpc.ServerStream
	context func() context.Context
}

func (a admitted) Context() context.Context { return a.context() }

func (i Interceptors) admit(ctx context.Context, method string) (context.Context, error) {
	if slices.Contains(i.Public, method) {
		return ctx, nil
	}
	token, refusal := i.Verifier.Authenticate(ctx, metadata.ValueFromIncomingContext(ctx, "authorization"), i.Scopes[method]...)
	if refusal != nil {
		return ctx, status.Error(code(refusal.Status), refusal.Description)
	}
	return verify.NewContext(ctx, token), nil
}

// code is the counterpart of an HTTP status. A wrong request is Unauthenticated too: there is no token to go by.
func code(status int) codes.Code {
	switch status {
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	default:
		return codes.Unauthenticated
	}
}
