package gate

import (
	"context"
	"net/http"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"k8s.io/apimachinery/pkg/types"
)

// contextPolicy is the entry of context_extensions that names the policy, as <namespace>/<name>. It is in Envoy's configuration of a
// virtual host or route, and no caller can change it.
const contextPolicy = "policy"

// Authorizer answers Envoy: it is the service envoy.service.auth.v3.Authorization.
type Authorizer struct {
	authv3.UnimplementedAuthorizationServer

	gate *Gate
}

// NewAuthorizer makes an Authorizer.
func NewAuthorizer(gate *Gate) *Authorizer { return &Authorizer{gate: gate} }

// Check implements authv3.AuthorizationServer. It never returns an error: Envoy can be told to let requests in when there is one.
func (a *Authorizer) Check(ctx context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	attributes := request.GetAttributes()
	namespace, name, _ := strings.Cut(attributes.GetContextExtensions()[contextPolicy], "/")
	answer := a.gate.Decide(ctx, types.NamespacedName{Namespace: namespace, Name: name}, asked(attributes.GetRequest().GetHttp()))
	if answer.Status == http.StatusOK {
		return admitted(answer), nil
	}
	return denied(answer), nil
}

// asked takes from the request what Envoy knows of it by itself. Of several headers of one name Envoy makes one with commas, and
// no token has a comma.
func asked(request *authv3.AttributeContext_HttpRequest) Incoming {
	values := func(name string) []string { return headerValues(request, name) }
	return Incoming{
		Authorization: values("Authorization"),
		Method:        []string{request.GetMethod()},
		Host:          []string{request.GetHost()},
		URI:           []string{request.GetPath()},
		Override:      overrides(values),
	}
}

// headerValues reads either form in which Envoy sends headers; their names are in lower case.
func headerValues(request *authv3.AttributeContext_HttpRequest, name string) []string {
	name = strings.ToLower(name)
	var values []string
	for _, header := range request.GetHeaderMap().GetHeaders() {
		if strings.ToLower(header.GetKey()) == name {
			values = append(values, header.GetValue()+string(header.GetRawValue()))
		}
	}
	if value, present := request.GetHeaders()[name]; present {
		values = append(values, value)
	}
	return values
}

func admitted(answer Answer) *authv3.CheckResponse {
	ok := &authv3.OkHttpResponse{}
	for _, header := range answer.Headers {
		if header.Value == "" {
			ok.HeadersToRemove = append(ok.HeadersToRemove, strings.ToLower(header.Name))
			continue
		}
		ok.Headers = append(ok.Headers, option(header.Name, header.Value))
	}
	return &authv3.CheckResponse{
		Status:       &status.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: ok},
	}
}

func denied(answer Answer) *authv3.CheckResponse {
	no := &authv3.DeniedHttpResponse{
		Status: &typev3.HttpStatus{Code: typev3.StatusCode(answer.Status)}, //nolint:gosec // One of four that Decide answers with.
		Body:   answer.Description + "\n",
	}
	headers := answer.denial()
	for name, value := range headers {
		no.Headers = append(no.Headers, option(name, value))
	}
	slices.SortFunc(no.Headers, func(a, b *corev3.HeaderValueOption) int {
		return strings.Compare(a.GetHeader().GetKey(), b.GetHeader().GetKey())
	})
	return &authv3.CheckResponse{
		Status:       &status.Status{Code: codeOf(answer.Status), Message: answer.Description},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: no},
	}
}

func option(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

func codeOf(status int) int32 {
	switch status {
	case http.StatusUnauthorized:
		return int32(codes.Unauthenticated)
	case http.StatusForbidden:
		return int32(codes.PermissionDenied)
	case http.StatusNotFound:
		return int32(codes.NotFound)
	default:
		return int32(codes.Unavailable)
	}
}
