package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keyturn/keyturn/internal/expression"
	"github.com/keyturn/keyturn/internal/requestrules"
	"github.com/keyturn/keyturn/pkg/verify"
)

// View knows how old what a Directory holds can be.
type View interface {
	Age(now time.Time) time.Duration
	// IsStale says whether that is too old for a replica that is ready.
	IsStale(now time.Time) bool
}

// Gate decides. It is safe for concurrent use.
type Gate struct {
	directory *Directory
	view      View
	clock     clock.PassiveClock
}

// New makes a Gate of the policies of a Directory.
func New(directory *Directory, view View, clk clock.PassiveClock) *Gate {
	return &Gate{directory: directory, view: view, clock: clk}
}

// Answer is what a proxy is told.
type Answer struct {
	// Status is 200 for a request that is let in. Otherwise it is for the caller: 401 without an acceptable token, 403 for one
	// that may not do this, 404 if there is no such policy, 503 while nobody can know.
	Status int
	// Headers are the identity headers, with 200 only: each of the policy's, in its order.
	Headers []Header
	// Challenge is the value of WWW-Authenticate (RFC 6750 section 3); empty for none.
	Challenge string
	// Description is for the caller. It has nothing of the request and nothing of the token.
	Description string
	// RetryAfter is when to ask again, in whole seconds; 0 unless Status is 503.
	RetryAfter time.Duration

	reason Reason
	// detail is for the log alone.
	detail error
	token  *verify.Token
}

// unavailable is how soon to ask again while something must change first.
const (
	startsWithin = time.Second
	mendsWithin  = 10 * time.Second
)

// Decide judges a request by a policy. It waits only for the keys of an external issuer, and until ctx ends or for 5 seconds.
func (g *Gate) Decide(ctx context.Context, name types.NamespacedName, incoming Incoming) Answer {
	started := g.clock.Now()
	policy := g.directory.lookup(name)
	answer := g.survive(ctx, policy, incoming)
	now := g.clock.Now()
	count(policy, answer, now.Sub(started))
	record(ctx, policy, incoming, answer, now)
	return answer
}

// survive makes an answer of a panic: behind Envoy it would end the program, and with it all that the operator does.
func (g *Gate) survive(ctx context.Context, policy *policy, incoming Incoming) (answer Answer) {
	defer func() {
		if value := recover(); value != nil {
			err := fmt.Errorf("panic with a %T", value) // What it says may quote the request.
			log.FromContext(ctx).WithName("gate").Error(err, "cannot decide", "stack", string(debug.Stack()))
			answer = unavailable(Failed, mendsWithin, "this server has failed", err)
		}
	}()
	return g.judge(ctx, policy, incoming)
}

func (g *Gate) judge(ctx context.Context, policy *policy, incoming Incoming) Answer {
	now := g.clock.Now()
	switch {
	case !g.directory.isFilled():
		return unavailable(Starting, startsWithin, "the policies are being read", nil)
	case policy == nil:
		return Answer{Status: http.StatusNotFound, Description: "there is no such policy", reason: PolicyUnknown}
	case policy.problem != nil:
		return unavailable(PolicyInvalid, mendsWithin, "the policy cannot be evaluated", policy.problem)
	case g.view.Age(now) > policy.patience:
		return unavailable(ViewTooOld, mendsWithin, "what is known of the cluster is too old", nil)
	}
	token, refusal := policy.verifier.Authenticate(ctx, incoming.Authorization, policy.scopes...)
	if refusal != nil {
		return g.refusal(refusal, now)
	}
	answer := policy.authorize(token, incoming)
	answer.token = token
	return answer
}

// refusal passes a refusal on. Proxies such as nginx know no other answers than 2xx, 401 and 403.
func (g *Gate) refusal(refusal *verify.Refusal, now time.Time) Answer {
	if errors.Is(refusal.Err, verify.ErrUnknownKey) && g.view.IsStale(now) {
		return unavailable(ViewTooOld, mendsWithin, "the key may be newer than what is known of the cluster", refusal.Err)
	}
	answer := Answer{
		Status: refusal.Status, Challenge: refusal.Challenge, Description: refusal.Description, RetryAfter: refusal.RetryAfter,
		reason: reasonOf(refusal.Err), detail: refusal.Err,
	}
	if answer.Status == http.StatusBadRequest {
		answer.Status = http.StatusUnauthorized
	}
	return answer
}

func unavailable(reason Reason, after time.Duration, description string, detail error) Answer {
	return Answer{
		Status: http.StatusServiceUnavailable, Description: description, RetryAfter: after, reason: reason, detail: detail,
	}
}

// forbidden is RFC 6750 section 3.1: the request needs more than the token provides. The description can be quoted.
func forbidden(reason Reason, description string, detail error) Answer {
	return Answer{
		Status: http.StatusForbidden, Description: description, reason: reason, detail: detail,
		Challenge: fmt.Sprintf(`Bearer realm="api", error="insufficient_scope", error_description="%s"`, description),
	}
}

// prepared is what a policy needs of a token for each request: made once, for as long as the token is remembered.
type prepared struct {
	claims  requestrules.Claims
	headers []Header
	// unreadable says why there are no claims, and unusable why there are no headers.
	unreadable, unusable error
}

func (p *policy) prepare(token *verify.Token) any {
	claims, err := readClaims(token)
	if err != nil {
		return &prepared{unreadable: err}
	}
	made := &prepared{claims: requestrules.NewClaims(claims)}
	made.headers, made.unusable = identify(p.headers, claims)
	return made
}

// authorize judges what a token that was verified may do.
func (p *policy) authorize(token *verify.Token, incoming Incoming) Answer {
	accepted := Answer{Status: http.StatusOK, reason: Accepted}
	has, ok := token.Prepared.(*prepared)
	if !ok { // The policy has neither rules nor headers.
		return accepted
	}
	if has.unreadable != nil {
		return forbidden(ClaimUnusable, "the token has claims that cannot be read", has.unreadable)
	}
	if p.hasRules {
		request, err := incoming.canonical()
		if err != nil {
			return forbidden(RequestUnclear, err.Error(), nil)
		}
		if err := p.rules.Check(has.claims, request); err != nil {
			return forbidden(RuleSaysNo, messageOf(err), err)
		}
	}
	if has.unusable != nil {
		return forbidden(ClaimUnusable, "the token has a claim that cannot be handed on", has.unusable)
	}
	accepted.Headers = has.headers
	return accepted
}

func readClaims(token *verify.Token) (map[string]any, error) {
	var claims map[string]any
	decoder := json.NewDecoder(bytes.NewReader(token.Claims))
	decoder.UseNumber()
	if err := decoder.Decode(&claims); err != nil {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	return claims, nil
}

// messageOf is what a rule says to whoever it refuses. Claims that it cannot be evaluated on are no fault of its own.
func messageOf(err error) string {
	if refusal, ok := errors.AsType[*expression.RefusalError](err); ok {
		return refusal.Message
	}
	return "the token has claims that a rule of the policy cannot be evaluated on"
}
