package discovery

import (
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/domain/grant"
	"github.com/keyturn/keyturn/internal/jose"
)

// Metadata is the configuration document of an issuer: OpenID Provider Metadata (OpenID Connect Discovery 1.0 section 3), and
// the same document is Authorization Server Metadata (RFC 8414 section 2). It lists what works, and nothing else. What both
// specifications demand all the same is filled in as Kubernetes does for its ServiceAccount issuer.
type Metadata struct {
	// Issuer is the "iss" of the tokens, to the letter.
	Issuer string `json:"issuer"`
	// JWKSURI is where the JWK Set is.
	JWKSURI string `json:"jwks_uri"`
	// ResponseTypes are demanded by both specifications; nobody can ask for a response.
	ResponseTypes []string `json:"response_types_supported"`
	// SubjectTypes says that a subject has the same name for every audience.
	SubjectTypes []string `json:"subject_types_supported"`
	// Algorithms are those of the keys that are published, newest key first, each once. RS256 is not among them unless a key
	// has it, although OpenID Connect Discovery would have it listed always.
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
	*Endpoints
}

// Endpoints are what clients find at an issuer that has a token endpoint (RFC 8414 section 2).
type Endpoints struct {
	Token                   string   `json:"token_endpoint"`
	TokenMethods            []string `json:"token_endpoint_auth_methods_supported"`
	TokenAlgorithms         []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	GrantTypes              []string `json:"grant_types_supported"`
	Introspection           string   `json:"introspection_endpoint"`
	IntrospectionMethods    []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAlgorithms []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	Revocation              string   `json:"revocation_endpoint"`
	RevocationMethods       []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAlgorithms    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
}

// NewEndpoints describes the endpoints beside a JWK Set. Without a token store there are no refresh tokens.
func NewEndpoints(jwksURI string, hasTokenStore bool) *Endpoints {
	beside := strings.TrimSuffix(jwksURI, jwksFile)
	methods := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	var algorithms []string
	for _, one := range jose.Algorithms() {
		algorithms = append(algorithms, string(one))
	}
	grants := []string{string(grant.ClientCredentials), string(grant.TokenExchange)}
	if hasTokenStore {
		grants = append(grants, string(grant.RefreshToken))
	}
	return &Endpoints{
		Token: beside + "token", TokenMethods: methods, TokenAlgorithms: algorithms, GrantTypes: grants,
		Introspection: beside + "introspect", IntrospectionMethods: methods, IntrospectionAlgorithms: algorithms,
		Revocation: beside + "revoke", RevocationMethods: methods, RevocationAlgorithms: algorithms,
	}
}

// NewMetadata describes an issuer that publishes these keys. It has no endpoints yet.
func NewMetadata(issuer, jwksURI string, keys jose.KeySet) Metadata {
	var algorithms []string
	for _, key := range keys.Keys() {
		if name := string(key.Algorithm()); !slices.Contains(algorithms, name) {
			algorithms = append(algorithms, name)
		}
	}
	return Metadata{
		Issuer: issuer, JWKSURI: jwksURI,
		ResponseTypes: []string{"id_token"}, SubjectTypes: []string{"public"}, Algorithms: algorithms,
	}
}

const jwksFile = "jwks.json"

// JWKSURI is where verifiers find the JWK Set of the SigningKey of that namespace and name: below the external URL if there is
// one, otherwise below the issuer. It is empty for an issuer that is no https URL: a verifier that knows such a name alone
// has nowhere to look for a document.
func JWKSURI(issuer, externalURL, namespace, name string) string {
	switch {
	case !strings.HasPrefix(issuer, "https://"):
		return ""
	case externalURL != "":
		return externalURL + "/" + namespace + "/" + name + "/" + jwksFile
	default:
		// OpenID Connect Discovery section 4: a terminating slash goes before anything is appended.
		return strings.TrimSuffix(issuer, "/") + "/" + jwksFile
	}
}
