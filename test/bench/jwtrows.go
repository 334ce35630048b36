package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
	"github.com/keyturn/keyturn/pkg/verify"
)

const benchIssuer = "https://shop.bench.example"

// accessClaims are those of an ordinary access token.
func accessClaims(now time.Time) map[string]any {
	return map[string]any{
		"iss": benchIssuer, "sub": "system:serviceaccount:shop:cart", "aud": []string{audience}, "client_id": "shop.cart", "scope": "orders:read",
		"jti": "0e3c1b52-6f5a-4f0e-9d5b-6a1f2b3c4d5e", "iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// signer is one key in the hands of Keyturn and of the floor.
type signer struct {
	key   jose.PrivateKey
	set   jose.KeySet
	plain plainJWT
	// verifier verifies anew each time, and remembers what it has verified.
	verifier, remembers *verify.Verifier
	claims              map[string]any
	compact             string
}

func newSigner(alg jose.Algorithm, now time.Time) (s signer, err error) {
	if s.key, err = jose.GenerateKey(alg); err != nil {
		return s, err
	}
	s.set, s.claims = jose.NewKeySet(s.key.Public()), accessClaims(now)
	if s.plain, err = newPlainJWT(s.key); err != nil {
		return s, err
	}
	if s.compact, err = s.plain.sign(s.claims); err != nil {
		return s, err
	}
	published, err := s.set.JSON()
	if err != nil {
		return s, err
	}
	options := verify.Options{Issuers: []verify.Issuer{{
		Name: benchIssuer, Audiences: []string{audience},
		Keys: verify.Func(func() ([]byte, string, error) { return published, "", nil }),
	}}}
	if s.verifier, err = verify.New(options); err != nil {
		return s, err
	}
	options.CacheSize = 1
	s.remembers, err = verify.New(options)
	return s, err
}

// sign encodes the claims and signs them, as for each token.
func (s signer) sign() error {
	payload, err := token.Encode(s.claims)
	if err != nil {
		return err
	}
	_, err = jose.Sign(s.key, jose.TypeAccessToken, payload)
	return err
}

// signingWith measures with one algorithm.
func (w *World) signingWith(ctx context.Context, alg jose.Algorithm) ([]Row, error) {
	s, err := newSigner(alg, w.Clock.Now())
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, one := range []struct {
		name      string
		do, floor func() error
	}{
		{"sign %s, internal/jose", s.sign, func() error { _, err := s.plain.sign(s.claims); return err }},
		{"verify %s, internal/jose", func() error { _, err := jose.Verify(s.compact, s.set); return err }, func() error { return s.plain.verify(s.compact) }},
		{
			"verify %s, pkg/verify: issuer, audience and time too", func() error { _, err := s.verifier.Verify(ctx, s.compact); return err },
			func() error { return s.plain.verify(s.compact) },
		},
		{
			"verify %s, pkg/verify, token remembered", func() error { _, err := s.remembers.Verify(ctx, s.compact); return err },
			func() error { return s.plain.verify(s.compact) },
		},
	} {
		more, err := w.compare(fmt.Sprintf(one.name, alg), one.do, one.floor)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// most is how much of the floor's time and allocations a token may take.
const most = 1.3

// compare lets two functions work in turn on one core, in many short rounds, and takes the medians.
func (w *World) compare(name string, do, floor func() error) ([]Row, error) {
	times := w.Size.Of(100, 100, 2)
	var took, floorTook, ratios []float64
	var made, floorMade float64
	for range w.Size.Of(101, 51, 1) {
		ours, allocations, err := w.timed(times, do)
		if err != nil {
			return nil, err
		}
		theirs, floorAllocations, err := w.timed(times, floor)
		if err != nil {
			return nil, err
		}
		made, floorMade = allocations, floorAllocations
		took, floorTook, ratios = append(took, ours), append(floorTook, theirs), append(ratios, ours/theirs)
	}
	time := figure(name, median(took), "ns").against("plain crypto and encoding/json", median(floorTook))
	time.Ratio = median(ratios)
	w.Say("%s: %.0f ns, ratio %.2f", name, time.Value, time.Ratio)
	return []Row{time.ratioAtMost(most), figure(name+", allocations", made, "").against("plain crypto and encoding/json", floorMade).ratioAtMost(most)}, nil
}

// timed is how many nanoseconds and allocations a function takes each time.
func (w *World) timed(times int, do func() error) (nanoseconds, allocations float64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := w.Clock.Now()
	for range times {
		if err := do(); err != nil {
			return 0, 0, err
		}
	}
	took := w.Clock.Since(began)
	runtime.ReadMemStats(&after)
	return float64(took.Nanoseconds()) / float64(times), float64(after.Mallocs-before.Mallocs) / float64(times), nil
}
