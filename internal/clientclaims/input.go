package clientclaims

import (
	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/expression"
)

const (
	clientVariable         = "client"
	serviceAccountVariable = "serviceAccount"
	requestVariable        = "request"
)

// Input is what expressions see.
type Input struct {
	Client Client
	// ServiceAccount is who asks; nil if it is none.
	ServiceAccount *ServiceAccount
	Request        Request
}

// Client is the TokenClient.
type Client struct {
	ID, Namespace, Name string
	Labels              map[string]string
}

// ServiceAccount is who asks, by a projected token.
type ServiceAccount struct {
	Namespace, Name string
	Labels          map[string]string
	// PodName and PodUID are the Pod's that the token is bound to; empty if it is bound to none.
	PodName, PodUID string
}

// Request is what is asked for, as it is granted.
type Request struct {
	GrantType         v1alpha1.GrantType
	Audiences, Scopes []string
	// SubjectClaims are the claims of the verified subject_token (RFC 8693 section 2.1); nil if there is none.
	SubjectClaims map[string]any
}

func (i Input) variables() (map[string]any, error) {
	request := map[string]any{
		"grantType": string(i.Request.GrantType), "audiences": i.Request.Audiences, "scopes": i.Request.Scopes,
	}
	if i.Request.SubjectClaims != nil {
		values, err := expression.Values(i.Request.SubjectClaims)
		if err != nil {
			return nil, &EvaluationError{Cause: "of the subject_token cannot be read: " + err.Error()}
		}
		request["subjectClaims"] = values
	}
	return map[string]any{
		clientVariable: map[string]any{
			"id": i.Client.ID, "namespace": i.Client.Namespace, "name": i.Client.Name, "labels": labels(i.Client.Labels),
		},
		serviceAccountVariable: i.ServiceAccount.members(),
		requestVariable:        request,
	}, nil
}

func (s *ServiceAccount) members() map[string]any {
	if s == nil {
		return map[string]any{}
	}
	members := map[string]any{"namespace": s.Namespace, "name": s.Name, "labels": labels(s.Labels)}
	if s.PodName != "" {
		members["podName"] = s.PodName
	}
	if s.PodUID != "" {
		members["podUID"] = s.PodUID
	}
	return members
}

// labels are an object also where there are none, so that a label can be asked for.
func labels(given map[string]string) map[string]string {
	if given == nil {
		return map[string]string{}
	}
	return given
}
