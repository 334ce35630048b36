package tokenservice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/domain/grant"
	"github.com/keyturn/keyturn/internal/domain/token"
)

// call is one request and what becomes of it. It goes through the library in the request's context.
type call struct {
	endpoint Endpoint
	key      types.NamespacedName
	address  string
	began    time.Time
	// now is when it was received whole, which a client can put off: everything is judged as of then.
	now        time.Time
	signingKey *v1alpha1.SigningKey
	grantType  string
	// clientID is who the request says that it comes from, and who it comes from once that is proved.
	clientID string
	proof    clientauth.Proof
	// bySubject says that the subject_token of an exchange is the proof.
	bySubject bool

	// What was granted, for the audit.
	subject, tokenID, keyID string
	// reason is why it was not, for the audit, with what the client is not told.
	reason error
	// failure is the error code of the answer.
	failure    string
	retryAfter time.Duration
	allow      string
}

type callKey struct{}

// callOf returns the call whose context this is.
func callOf(ctx context.Context) (*call, error) {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("the request did not come through the handler")
	}
	return c, nil
}

// IsAudited says whether what is logged with a context is of a request whose decision the audit tells of. The library logs its own
// errors, of which nobody knows what they quote.
func IsAudited(ctx context.Context) bool {
	_, err := callOf(ctx)
	return err == nil
}

// unavailable says that nobody can know, or sign, now.
func (c *call) unavailable(after time.Duration, reason error) error {
	c.retryAfter, c.reason = max(after, time.Second), reason
	e := oidc.ErrServerError().WithDescription("try again later")
	e.ErrorType = "temporarily_unavailable"
	return op.NewStatusError(e, http.StatusServiceUnavailable)
}

func (c *call) tooMany(after time.Duration) error {
	c.retryAfter, c.reason = max(after, time.Second), errors.New("too many requests")
	e := oidc.ErrServerError().WithDescription("too many requests: try again later")
	e.ErrorType = "temporarily_unavailable"
	return op.NewStatusError(e, http.StatusTooManyRequests)
}

func (c *call) notFound(why string) error {
	c.reason = errors.New(why)
	return op.NewStatusError(oidc.ErrInvalidRequest().WithDescription("there is no such issuer"), http.StatusNotFound)
}

// broken is for a panic. What it says is for the audit only where Go itself says it: anything else may quote what was sent.
func (c *call) broken(value any) error {
	c.reason = fmt.Errorf("panic with a %T", value)
	if err, ok := value.(runtime.Error); ok {
		c.reason = fmt.Errorf("panic: %w", err)
	}
	return op.NewStatusError(oidc.ErrServerError().WithDescription("this server has failed"), http.StatusInternalServerError)
}

// failed is the client's answer to an error of this package or those below it.
func (c *call) failed(err error) error {
	c.reason = err
	if refused, ok := errors.AsType[*grant.Error](err); ok {
		return refusal(refused)
	}
	if away, ok := errors.AsType[*clientauth.UnavailableError](err); ok {
		return c.unavailable(away.RetryAfter, err)
	}
	if early, ok := errors.AsType[*token.NotLawfulError](err); ok && !early.NotBefore.IsZero() {
		return c.unavailable(early.NotBefore.Sub(c.now), err)
	}
	if errors.Is(err, clientauth.ErrClient) {
		return op.NewStatusError(oidc.ErrInvalidClient().WithDescription("the client has not proved itself"), http.StatusUnauthorized)
	}
	return c.unavailable(retryOutage, err)
}

func refusal(e *grant.Error) error {
	var answer *oidc.Error
	switch e.Code {
	case grant.InvalidScope:
		answer = oidc.ErrInvalidScope()
	case grant.InvalidTarget:
		answer = oidc.ErrInvalidTarget()
	case grant.UnauthorizedClient:
		answer = oidc.ErrUnauthorizedClient()
	default:
		answer = oidc.ErrInvalidGrant()
	}
	return answer.WithDescription("%s", lawful(e.Description))
}

// lawful keeps a description to the characters that it may have (RFC 6749 section 5.2).
func lawful(description string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return '?'
		default:
			return r
		}
	}, description)
}

// invalidClient says whether the client has not proved itself.
func (c *call) invalidClient() bool { return c.failure == string(oidc.InvalidClient) }

// answer is a whole HTTP answer.
type answer struct {
	call   *call
	header http.Header
	status int
	body   []byte
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(part []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, part...)
	a.readFailure()
	return len(part), nil
}

// readFailure takes the error code from the answer: some are the library's own.
func (a *answer) readFailure() {
	if a.status < http.StatusBadRequest {
		return
	}
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}
	if json.Unmarshal(a.body, &said) != nil {
		return
	}
	said.Description = lawful(said.Description) // The library puts names into quotes.
	if body, err := json.Marshal(said); err == nil {
		a.body = body
	}
	a.call.failure = said.Error
	if a.call.reason == nil {
		a.call.reason = errors.New(said.Description)
	}
	if a.call.invalidClient() {
		a.status = http.StatusUnauthorized
	}
}

// write sends the answer. Nobody may keep one (RFC 6749 section 5.1).
func (a *answer) write(w http.ResponseWriter) {
	header := w.Header()
	maps.Copy(header, a.header)
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
	if a.call.retryAfter > 0 {
		whole := (a.call.retryAfter + time.Second - 1) / time.Second
		header.Set("Retry-After", strconv.Itoa(int(whole)))
	}
	if a.call.allow != "" {
		header.Set("Allow", a.call.allow)
	}
	if a.status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Basic realm="token", charset="UTF-8"`)
	}
	w.WriteHeader(max(a.status, http.StatusOK))
	_, _ = w.Write(a.body) // Nobody listens any more if it fails.
}
