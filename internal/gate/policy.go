package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/requestrules"
	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/pkg/verify"
)

// policy is a TokenPolicy ready to judge by. It is replaced, never changed.
type policy struct {
	name types.NamespacedName
	// inputs is what it was made of: the same inputs make the same policy.
	inputs inputs
	// problem is why nobody is let in; nil if somebody can be.
	problem error
	// missing is why the tokens of some issuer are not accepted; nil if those of all can be.
	missing error

	verifier *verify.Verifier
	scopes   []string
	rules    *requestrules.Rules
	hasRules bool
	headers  []v1alpha1.ClaimHeader
	issuers  []issuer
	// patience is how old the view of the cluster may be by which it judges.
	patience time.Duration
	// lines limits what refusals write to the log.
	lines *rate.Limiter
}

// inputs are comparable.
type inputs struct {
	uid        types.UID
	generation int64
	// keys is what of the SigningKeys goes into the policy.
	keys string
}

// issuer is one whose tokens are accepted, with where its keys come from.
type issuer struct {
	name string
	// signed is the SigningKey; external is set instead for an issuer elsewhere.
	signed   types.NamespacedName
	external *v1alpha1.ExternalIssuer
	// shared are the keys of an issuer elsewhere.
	shared *verify.Shared
}

// A compiler makes policies.
type compiler struct {
	sources *sources
	// published gives the keys of a SigningKey.
	published func(types.NamespacedName) verify.KeySource
	denyLists DenyLists
	cacheSize int
	// shortest is how old the view of the cluster can be of a replica that is ready.
	shortest time.Duration
	clock    func() time.Time
}

// signingKey is what goes into a policy of a SigningKey.
type signingKey struct {
	uid    types.UID
	issuer string
	cache  time.Duration // how long a verifier may keep its keys
	// problem is why its tokens are not accepted; nil if they are.
	problem error
}

// longestPatience bounds policies without a SigningKey: it is what SigningKeys allow their verifiers unless told otherwise.
const longestPatience = time.Hour

// compile makes the policy of an object. Whatever is wrong with it makes one that lets nobody in.
func (c *compiler) compile(object *v1alpha1.TokenPolicy, in inputs, keys map[types.NamespacedName]signingKey) *policy {
	made := &policy{
		name:   types.NamespacedName{Namespace: object.Namespace, Name: object.Name},
		inputs: in, scopes: texts(object.Spec.Scopes), headers: object.Spec.Headers, patience: longestPatience,
		lines: rate.NewLimiter(linesPerSecond, lineBurst),
	}
	if err := errors.Join(made.checkHeaders(), made.compileRules(object.Spec.Rules)); err != nil {
		made.problem = kube.Problemf(v1alpha1.ReasonInvalidSpec, "%v", err)
		return made
	}
	made.findIssuers(object, keys, c.shortest)
	if made.problem == nil {
		made.makeVerifier(c, object)
	}
	return made
}

// checkHeaders finds what the API cannot: names that differ in case alone are one header.
func (p *policy) checkHeaders() error {
	names := map[string]bool{}
	for i, header := range p.headers {
		name := strings.ToLower(header.Name)
		if names[name] {
			return fmt.Errorf("spec.headers[%d].name: %s is the name of another: the case of letters makes no difference", i, header.Name)
		}
		names[name] = true
	}
	return nil
}

func (p *policy) compileRules(of []v1alpha1.RequestRule) error {
	compiled, err := requestrules.Compile(of)
	if err != nil {
		return fmt.Errorf("spec.rules: %w", err)
	}
	p.rules, p.hasRules = compiled, len(of) > 0
	return nil
}

func (p *policy) findIssuers(object *v1alpha1.TokenPolicy, keys map[types.NamespacedName]signingKey, shortest time.Duration) {
	var missing []error
	places := map[string]int{}
	for i, given := range object.Spec.Issuers {
		found := issuer{external: given.External}
		if name, ours := spec.PolicyKeyRef(object, given); ours {
			found = issuer{name: keys[name].issuer, signed: name}
			if err := keys[name].problem; err != nil {
				missing = append(missing, fmt.Errorf("spec.issuers[%d].signingKeyRef: %w", i, err))
				continue
			}
			p.patience = min(p.patience, max(keys[name].cache, shortest))
		} else {
			found.name = given.External.Issuer
		}
		if before, twice := places[found.name]; twice {
			p.problem = kube.Problemf(v1alpha1.ReasonInvalidSpec,
				"spec.issuers[%d]: its issuer %s is that of spec.issuers[%d], and the keys of either would sign for both: remove one",
				i, found.name, before)
			return
		}
		places[found.name] = i
		p.issuers = append(p.issuers, found)
	}
	if len(missing) > 0 {
		p.missing = kube.Problemf(v1alpha1.ReasonSigningKeyNotFound, "%v", errors.Join(missing...))
	}
	if len(p.issuers) == 0 {
		p.problem = p.missing
	}
}

// makeVerifier takes the keys of external issuers, which release gives back.
func (p *policy) makeVerifier(c *compiler, object *v1alpha1.TokenPolicy) {
	options := verify.Options{
		ClockSkew: spec.PolicySkew(object), CacheSize: c.cacheSize, Clock: c.clock,
		Recalled: func(_ context.Context, found bool) { countRecall(found) },
	}
	if p.hasRules || len(p.headers) > 0 {
		options.Prepare = p.prepare
	}
	for i := range p.issuers {
		accepted, err := p.issuers[i].accept(c, object)
		if err != nil {
			p.problem = kube.Problemf(v1alpha1.ReasonInvalidSpec, "issuer %s %v", p.issuers[i].name, err)
			return
		}
		options.Issuers = append(options.Issuers, accepted)
	}
	verifier, err := verify.New(options)
	if err != nil {
		p.problem = kube.Problemf(v1alpha1.ReasonInvalidSpec, "%v", err)
		return
	}
	p.verifier = verifier
}

// accept says which tokens of the issuer are accepted.
func (i *issuer) accept(c *compiler, object *v1alpha1.TokenPolicy) (verify.Issuer, error) {
	accepted := verify.Issuer{Name: i.name, Audiences: texts(object.Spec.Audiences)}
	if i.external == nil {
		accepted.Keys = c.published(i.signed)
		if spec.HeedsDenyList(object) {
			accepted.DenyList = c.denyLists(i.signed)
		}
		return accepted, nil
	}
	shared, err := c.sources.take(i.external)
	if err != nil {
		return accepted, err
	}
	i.shared = shared
	accepted.Keys, accepted.Algorithms = shared, algorithms(i.external.Algorithms)
	return accepted, nil
}

// release gives back what the policy has taken. It goes on judging the requests that have it already.
func (p *policy) release(s *sources) {
	for _, one := range p.issuers {
		if one.shared != nil {
			s.release(termsOf(one.external))
		}
	}
}

func texts[T ~string](of []T) []string {
	made := make([]string, 0, len(of))
	for _, one := range of {
		made = append(made, string(one))
	}
	return made
}
