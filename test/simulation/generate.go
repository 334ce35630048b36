package simulation

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

const day = 24 * time.Hour

// namespaces are those that there are from the start.
func namespaces() []string { return []string{"bank", "shop", "farm"} }

// Generate makes the plan of a seed.
func Generate(seed uint64) *Plan {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // A seed must be the same world each time.
	p := &Plan{Seed: seed}
	g.physics(p)
	g.keys(p)
	g.tokens(p)
	g.watchers(p)
	g.acts(p)
	return p
}

// generator draws what a world is like.
type generator struct {
	*rand.Rand

	// period is the shortest of the periods, by which everything else is scaled.
	period time.Duration
}

func one[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

// chance is true so many times of a hundred.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return (least + time.Duration(g.Int64N(int64(most-least)))).Truncate(time.Second)
}

func (g *generator) physics(p *Plan) {
	p.Replicas = one(g, 1, 2, 2, 3)
	p.Skew = Span(one(g, 0, time.Second, 10*time.Second, time.Minute, time.Minute, 5*time.Minute))
	p.Propagation = Span(one(g, 0, 5*time.Second, time.Minute, 2*time.Minute, 2*time.Minute))
	p.Staleness = Span(one(g, time.Minute, 5*time.Minute, 5*time.Minute))
	for n := range p.Replicas {
		clock := one(g, 0, 1000, 500, g.IntN(1001))
		if n < 2 && g.chance(50) {
			clock = 1000 * n
		}
		p.Clocks = append(p.Clocks, clock)
	}
}

func (g *generator) keys(p *Plan) {
	names := []string{"bank/main", "shop/orders", "bank/second"}
	for _, name := range names[:one(g, 1, 1, 1, 2, 3)] {
		k := KeyPlan{Name: name, Algorithm: one(g, "ES256", "EdDSA")}
		k.Cache = Span(one(g, 0, 10*time.Minute, 20*time.Minute, time.Hour, time.Hour, 12*time.Hour, day))
		k.Extra = Span(one(g, 0, 0, 0, time.Minute))
		lead := time.Duration(k.Cache + p.Propagation + p.Skew + 2*k.Extra)
		k.Period = Span(g.between(lead+time.Minute, lead*3/2+2*time.Hour))
		if g.chance(70) {
			k.Period = Span(g.between(lead+time.Hour, 30*day))
		}
		margin := time.Duration(2*p.Skew+4*k.Extra) + max(time.Duration(p.Staleness), time.Duration(p.Propagation+k.Extra))
		most := min(365*day, 6*time.Duration(k.Period)-margin)
		k.Longest = Span(max(5*time.Minute, g.between(time.Duration(k.Period)/8, most/one[time.Duration](g, 1, 2, 6))))
		k.Copies, k.Everyone, k.Served = g.chance(50), g.chance(70), g.chance(60)
		p.Keys = append(p.Keys, k)
		if g.period == 0 || g.period > time.Duration(k.Period) {
			g.period = time.Duration(k.Period)
		}
	}
	p.Days = min(float64(g.period)/float64(day)*float64(4+g.IntN(5)), 365)
}

func (g *generator) tokens(p *Plan) {
	names := []string{"bank/a", "shop/b", "farm/c", "bank/d"}
	for _, name := range names[:1+g.IntN(4)] {
		k := p.Keys[g.IntN(len(p.Keys))]
		least := max(5*time.Minute, time.Duration(p.Days*float64(day))/60)
		p.Tokens = append(p.Tokens, TokenPlan{
			Name: name, Key: k.Name, Duration: Span(min(time.Duration(k.Longest), g.between(least, time.Duration(k.Longest)))), Access: g.chance(20),
		})
	}
}

func (g *generator) watchers(p *Plan) {
	every := func() Span { return Span(max(time.Minute, g.between(g.period/12, g.period/3))) }
	for range 1 + g.IntN(4) {
		k := p.Keys[g.IntN(len(p.Keys))]
		v := VerifierPlan{Key: k.Name, From: nameOf(k.Name).Namespace, Every: every(), Clock: one(g, 0, 1000, 500)}
		v.Keep = Span(one(g, 0, 0, 10*time.Minute, 20*time.Minute, time.Hour, 12*time.Hour, day))
		if k.Copies && g.chance(30) {
			v.From = one(g, namespaces()...)
		}
		if k.Served && g.chance(60) {
			v.From, v.Heeds, v.Keep = "https", true, 0
		}
		v.Refetches, v.Remembers = g.chance(40), g.chance(20)
		p.Verifiers = append(p.Verifiers, v)
	}
	for range 1 + g.IntN(2) {
		p.Signers = append(p.Signers, SignerPlan{
			Key: p.Keys[g.IntN(len(p.Keys))].Name, Every: every(), Clock: one(g, 0, 1000, 500), Mounts: g.chance(50),
		})
	}
}

// acts are what happens: calm worlds and wild ones.
func (g *generator) acts(p *Plan) {
	end := time.Duration(p.Days * float64(day))
	for range one(g, 0, 3, 8, 15, 25) {
		a := g.userAct(p, g.between(0, end))
		p.Acts = append(p.Acts, a)
		if (a.Do == "set the cache" || a.Do == "set the longest life") && g.chance(50) {
			// Who waits for a key to hand over sees what is remembered of the former durations.
			p.Acts = append(p.Acts, Act{At: a.At + Span(g.between(0, time.Hour)), Do: "rotate", On: a.On})
		}
		p.Acts = append(p.Acts, g.meanwhile(p, a)...)
	}
	for range one(g, 0, 3, 8, 15) {
		p.Acts = append(p.Acts, g.breakdown(p, g.between(0, end)))
	}
	if g.chance(25) {
		from := g.between(0, end*3/4)
		p.Acts = append(p.Acts, Act{At: Span(from), Do: "back up etcd"},
			Act{At: Span(from + g.between(time.Minute, end/2)), Do: "restore etcd", N: g.IntN(2)})
	}
	// Much happens at once, too: around the same instant things meet that seldom do.
	for range len(p.Acts) / 4 {
		a, b := &p.Acts[g.IntN(len(p.Acts))], p.Acts[g.IntN(len(p.Acts))]
		if b.Do != "back up etcd" && a.Do != "back up etcd" && a.Do != "restore etcd" {
			a.At = b.At + Span(g.between(0, 30*time.Second))
		}
	}
	slices.SortStableFunc(p.Acts, func(a, b Act) int { return cmp.Compare(a.At, b.At) })
}

// meanwhile is what makes an act harder to get right: the leader is frozen in the middle of it, or somebody hears of it late.
func (g *generator) meanwhile(p *Plan, a Act) []Act {
	before := func(most time.Duration) Span { return max(0, a.At-Span(g.between(0, most))) }
	switch {
	case a.Do == "revoke" && g.chance(40):
		return []Act{{At: before(2 * time.Second), Do: "freeze", Replica: -2, N: 1 + g.IntN(6), For: Span(g.between(time.Minute, 6*time.Hour))}}
	case a.Do == "rotate" && g.chance(40):
		return []Act{{At: before(2 * time.Minute), Do: "lag", Replica: g.IntN(p.Replicas), N: one(g, 3, 5), For: Span(g.between(time.Minute, 10*time.Minute))}}
	case a.Do == "set the longest life" && g.chance(30):
		return []Act{{At: before(2 * time.Second), Do: "lag", Replica: -2, N: 1, For: Span(g.between(time.Minute, longestLag))}}
	default:
		return nil
	}
}

func (g *generator) userAct(p *Plan, at time.Duration) Act {
	k := &p.Keys[g.IntN(len(p.Keys))]
	t := &p.Tokens[g.IntN(len(p.Tokens))]
	a := Act{At: Span(at), N: g.IntN(12)}
	lead := time.Duration(k.Cache + p.Propagation + p.Skew)
	switch g.IntN(12) {
	case 0, 1, 2, 3:
		a.On = k.Name
		a.Do = one(g, "set the period", "set the cache", "set the cache", "set the longest life", "set the longest life", "set propagation and skew", "set the algorithm", "rotate", "rotate", "rotate")
		switch a.Do {
		case "set the period":
			a.For = Span(g.between(lead, 2*g.period))
		case "set the cache":
			a.For = Span(one(g, 0, 10*time.Minute, time.Hour, 12*time.Hour, day))
		case "set the longest life":
			a.For = Span(g.between(5*time.Minute, 3*g.period))
		case "set propagation and skew":
			a.For = Span(one(g, 0, time.Minute, 10*time.Minute))
		}
	case 4, 5:
		a.On, a.Do = k.Name, one(g, "revoke", "revoke", "revoke", "forgive")
	case 6:
		a.On = k.Name
		a.Do = one(g, "choose copies", "rename copies", "set a rule", "allow", "delete key", "delete key by force", "create key", "create key")
	case 7, 8:
		a.On = t.Name
		a.Do = one(g, "set the duration", "renew before", "set claims", "let it end", "add a template", "delete token", "create token", "create token")
		switch a.Do {
		case "set the duration":
			a.For = Span(g.between(max(5*time.Minute, g.period/8), max(g.period/8, time.Duration(k.Longest))))
		case "let it end":
			a.For = Span(one(g, 0, g.between(time.Minute, g.period)))
		}
	case 9:
		a.On, a.Do = one(g, namespaces()...), one(g, "label namespace", "unlabel namespace", "delete namespace", "create namespace", "create namespace")
	default:
		a.On = k.Name
		a.Do = one(g, "delete ring", "corrupt ring", "strip ring", "roll back ring", "delete copy", "corrupt copy", "forge copy", "roll back copy", "roll back copy",
			"delete token Secret", "corrupt token Secret", "strip token Secret", "roll back token Secret")
		if len(a.Do) > 12 && a.Do[len(a.Do)-12:] == "token Secret" {
			a.On = t.Name
		}
	}
	return a
}

func (g *generator) breakdown(p *Plan, at time.Duration) Act {
	a := Act{At: Span(at), Replica: one(g, -2, -2, g.IntN(p.Replicas))}
	switch g.IntN(9) {
	case 0, 1:
		a.Do, a.N = "crash", g.IntN(20)
	case 2, 3:
		a.Do, a.N, a.For = "freeze", g.IntN(20), Span(g.between(time.Second, one(g, time.Minute, time.Hour, 6*time.Hour)))
	case 4, 5:
		a.Do, a.N, a.For = "lag", g.IntN(12), Span(g.between(time.Second, longestLag))
		a.Replica = g.IntN(p.Replicas)
	case 6:
		a.Do, a.For = "two leaders", Span(g.between(time.Minute, g.period/2))
	default:
		a.Replica, a.N = one(g, -1, g.IntN(p.Replicas)), g.IntN(60)
		a.Do = one(g, "unavailable", "throttled", "timeout", "lost", "lost", "conflict", "rejected", "slow")
		a.For = Span(g.between(time.Second, one(g, time.Minute, 10*time.Minute, 2*time.Hour)))
		if a.Do == "rejected" {
			a.Replica, a.N, a.On, a.For = -1, 99, one(g, namespaces()...), Span(g.between(time.Minute, 4*time.Hour))
			p.Acts = append(p.Acts, Act{At: a.At + a.For/3, Do: "rotate", On: p.Keys[0].Name})
			if g.chance(50) {
				// A copy that is gone, and cannot be written, is another case than one that is old.
				p.Acts = append(p.Acts, Act{At: a.At + a.For/6, Do: "delete copy", On: p.Keys[0].Name, N: 1 + 2*slices.Index(namespaces(), a.On)})
			}
		}
	}
	return a
}
