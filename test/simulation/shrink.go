package simulation

import (
	"context"
	"slices"
)

// Shrink leaves out of a plan what it does not take to break the same invariant: acts, and whoever is in the world.
func Shrink(ctx context.Context, failed Outcome) Outcome {
	s := &shrinker{ctx: ctx, best: failed, invariant: failed.Violations[0].Invariant}
	for before := -1; before != s.tried && s.tried < mostTries; {
		before = s.tried
		dropAll(s, func(p *Plan) *[]Act { return &p.Acts })
		dropAll(s, func(p *Plan) *[]TokenPlan { return &p.Tokens })
		dropAll(s, func(p *Plan) *[]VerifierPlan { return &p.Verifiers })
		dropAll(s, func(p *Plan) *[]SignerPlan { return &p.Signers })
		dropAll(s, func(p *Plan) *[]KeyPlan { return &p.Keys })
		s.try(func(p *Plan) bool {
			p.Replicas--
			return p.Replicas > 0
		})
		if !s.better {
			break
		}
		s.better = false
	}
	return s.best
}

// mostTries bounds the time that shrinking takes.
const mostTries = 150

type shrinker struct {
	ctx       context.Context //nolint:containedctx // It lives as long as the call of Shrink.
	best      Outcome
	invariant string
	tried     int
	better    bool
}

// try plays a changed copy of the best plan, and takes it if it breaks the same.
func (s *shrinker) try(change func(*Plan) bool) bool {
	p := *s.best.Plan
	p.Acts, p.Tokens, p.Verifiers = slices.Clone(p.Acts), slices.Clone(p.Tokens), slices.Clone(p.Verifiers)
	p.Signers, p.Keys = slices.Clone(p.Signers), slices.Clone(p.Keys)
	if s.tried >= mostTries || !change(&p) {
		return false
	}
	s.tried++
	out := Play(s.ctx, &p, false)
	if len(out.Violations) == 0 || out.Violations[0].Invariant != s.invariant {
		return false
	}
	// Nothing that comes after it is needed.
	s.best, s.better = out, true
	return true
}

// dropAll leaves out half of a list, then quarters, down to single ones.
func dropAll[T any](s *shrinker, list func(*Plan) *[]T) {
	for size := (len(*list(s.best.Plan)) + 1) / 2; size > 0; size /= 2 {
		for from := 0; from < len(*list(s.best.Plan)); {
			dropped := s.try(func(p *Plan) bool {
				l := list(p)
				*l = slices.Delete(*l, from, min(from+size, len(*l)))
				return true
			})
			if !dropped {
				from += size
			}
		}
	}
}
