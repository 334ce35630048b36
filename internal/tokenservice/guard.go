package tokenservice

import (
	"cmp"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/domain/grant"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/internal/spec"
)

// The limits of a request: a request has at most two tokens, and everything else is short.
const (
	maxBodyBytes  = 64 << 10
	maxParameters = 32
)

// guard reads the parameters of a request and refuses what no client sends, before anybody reads it in another way.
func guard(r *http.Request, c *call) error {
	if err := checkHeader(r, c); err != nil {
		return err
	}
	if err := parse(r, c); err != nil {
		return err
	}
	if err := checkParameters(r.PostForm); err != nil {
		return err
	}
	if err := checkNames(r, c); err != nil {
		return err
	}
	return checkProof(r, c)
}

func checkHeader(r *http.Request, c *call) error {
	if r.Method != http.MethodPost {
		c.allow = http.MethodPost
		return refuse(http.StatusMethodNotAllowed, "send the request by POST")
	}
	switch {
	case !isForm(r.Header.Values("Content-Type")):
		return refuse(http.StatusUnsupportedMediaType, "Content-Type must be application/x-www-form-urlencoded")
	case r.Header.Get("Content-Encoding") != "":
		return refuse(http.StatusUnsupportedMediaType, "send the body without Content-Encoding")
	case r.URL.RawQuery != "":
		return refuse(http.StatusBadRequest, "send all parameters in the body: others write URLs into their logs")
	case len(r.Header.Values("Authorization")) > 1:
		return refuse(http.StatusBadRequest, "send one Authorization header")
	}
	return nil
}

// isForm says whether the values of Content-Type name a form, once.
func isForm(values []string) bool {
	const form = "application/x-www-form-urlencoded"
	if len(values) != 1 || values[0] == form {
		return len(values) == 1
	}
	kind, _, err := mime.ParseMediaType(values[0])
	return err == nil && kind == form
}

func parse(r *http.Request, c *call) error {
	r.Body = http.MaxBytesReader(nil, r.Body, maxBodyBytes)
	err := r.ParseForm()
	if err == nil {
		return nil
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body must have at most %d bytes", maxBodyBytes))
	}
	if errors.Is(err, errCrowded) {
		return c.unavailable(time.Second, err)
	}
	return refuse(http.StatusBadRequest, "the body cannot be read as application/x-www-form-urlencoded")
}

// checkNames refuses what the library would quote in its answer, and the audit with it: anybody could write long lines there, and
// who mistakes a parameter a secret.
func checkNames(r *http.Request, c *call) error {
	if kind := r.PostForm.Get("client_assertion_type"); kind != "" && kind != oidc.ClientAssertionTypeJWTAssertion {
		return refuse(http.StatusBadRequest, "client_assertion_type must be "+oidc.ClientAssertionTypeJWTAssertion)
	}
	if c.endpoint != Token {
		r.Form.Del("grant_type") // It means nothing there.
		return nil
	}
	kind := r.PostForm.Get("grant_type")
	if kind != "" && grantTypeOf(grant.Type(kind)) == "" {
		return oidc.ErrUnsupportedGrantType().WithDescription(
			"grant_type must be %s, %s or %s", grant.ClientCredentials, grant.RefreshToken, grant.TokenExchange)
	}
	c.grantType = kind
	return nil
}

// checkParameters is RFC 6749 section 3.2: parameters must not be there twice. Those that may be are of RFC 8693 section 2.1 and RFC
// 8707 section 2.
func checkParameters(form url.Values) error {
	count := 0
	for name, values := range form {
		count += len(values)
		if len(values) > 1 && name != "audience" && name != "resource" {
			return refuse(http.StatusBadRequest, "a parameter is there twice")
		}
		for _, value := range append(values, name) {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return refuse(http.StatusBadRequest, "a parameter has a control character")
			}
		}
	}
	if count > maxParameters {
		return refuse(http.StatusBadRequest, fmt.Sprintf("there are more than %d parameters", maxParameters))
	}
	return nil
}

// nameNobody lets a Pod with nothing but its token exchange it: the library wants either a client_id or an assertion, and the
// subject_token is what the client is found and proved by.
func nameNobody(r *http.Request, c *call) {
	form := r.PostForm
	nobody := form.Get("client_id") == "" && form.Get("client_secret") == "" && form.Get("client_assertion") == "" &&
		r.Header.Get("Authorization") == ""
	if nobody && isSubject(form, c) {
		r.Form.Set("client_assertion", form.Get("subject_token"))
		r.Form.Set("client_assertion_type", oidc.ClientAssertionTypeJWTAssertion)
	}
}

// checkProof lets a client prove itself in one way, and be one client (RFC 6749 section 2.3). Who tries none, or one that there is not,
// has failed to (section 5.2).
func checkProof(r *http.Request, c *call) error {
	form := r.PostForm
	ways := 0
	for _, sent := range []string{r.Header.Get("Authorization"), form.Get("client_secret"), form.Get("client_assertion")} {
		if sent != "" {
			ways++
		}
	}
	switch {
	case ways > 1:
		return refuse(http.StatusBadRequest, "prove the client in one way: by an Authorization header, a client_secret or a client_assertion")
	case ways == 0 && !isSubject(form, c):
		return c.failed(errAnonymous)
	case r.Header.Get("Authorization") == "":
		return nil
	}
	switch user := basicUser(r); {
	case user == "":
		return c.failed(errNotBasic)
	case form.Get("client_id") != "" && user != form.Get("client_id"):
		return refuse(http.StatusBadRequest, "client_id is another one than in the Authorization header")
	default:
		return nil
	}
}

var (
	errNotBasic  = errors.Join(clientauth.ErrClient, errors.New("the Authorization header cannot be read as Basic"))
	errAnonymous = errors.Join(clientauth.ErrClient, errors.New("neither a secret nor an assertion was sent"))
)

// isSubject says whether a subject_token may be all that proves the client.
func isSubject(form url.Values, c *call) bool {
	return c.grantType == string(grant.TokenExchange) && form.Get("subject_token") != ""
}

// basicUser is the client_id in the Authorization header (RFC 6749 section 2.3.1); empty if it is not Basic or cannot be read.
func basicUser(r *http.Request) string {
	user, _, _ := r.BasicAuth()
	id, _ := url.QueryUnescape(user)
	return id
}

func refuse(status int, description string) error {
	return op.NewStatusError(oidc.ErrInvalidRequest().WithDescription("%s", description), status)
}

// claimedClient is who the request says that it comes from, which is not proved yet.
func claimedClient(r *http.Request) string {
	id := cmp.Or(basicUser(r), r.PostForm.Get("client_id"))
	if assertion := r.PostForm.Get("client_assertion"); id == "" && assertion != "" {
		if said, err := jose.Parse(assertion); err == nil {
			id = said.Issuer
		}
	}
	if _, ok := spec.ParseClientID(id); !ok {
		return ""
	}
	return id
}

// address is who has sent the request, as far as this server sees.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
