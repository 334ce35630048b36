package token_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/internal/domain/rotation"
	"github.com/keyturn/keyturn/internal/domain/token"
)

// renewal is when the token of newWorld is due: two thirds of an hour, less half the jitter of six minutes.
const renewal = 37 * time.Minute

func TestJudge(t *testing.T) {
	keep := token.Decision{Action: token.Keep, Next: at(renewal)}
	withdraw := token.Decision{Action: token.Withdraw}
	due := issue(token.Renewal)
	changed := issue(token.ClaimsChanged)
	cases := map[string]struct {
		given func(t *testing.T, w *world)
		want  token.Decision
	}{
		"a good token is kept until its renewal":        {func(*testing.T, *world) {}, keep},
		"a token is kept up to the instant of renewal":  {now(renewal - 1), keep},
		"a token is replaced at the instant of renewal": {now(renewal), due},
		"a token that expired long ago is replaced":     {now(100 * time.Hour), due},
		"a missing token is issued":                     {func(_ *testing.T, w *world) { w.have = nil }, issue(token.Missing)},
		"a token is judged by what it says, not by its form": {func(t *testing.T, w *world) {
			w.have = w.signers.sign(t, w.active, "JWT", fmt.Appendf(nil, `{ "tags" : ["\u0061","b"], "sub":%q,
				"level":3,"jti":"id","aud":["https://api.example","b"],"iss":"https://issuer.example","iat":%d,"nbf":%d,"exp":%d}`,
				w.request.Subject, at(0).Unix(), at(-time.Minute).Unix(), at(time.Hour).Unix()))
		}, keep},

		"an ended request withdraws its token":                {ends(10 * time.Minute), withdraw},
		"an ended request has none to withdraw":               {steps(none, ends(10*time.Minute)), withdraw},
		"a request ended long ago withdraws":                  {steps(now(100*time.Hour), ends(time.Hour)), withdraw},
		"an ended request withdraws also a revoked token":     {steps(revokedBySpec, ends(10*time.Minute)), withdraw},
		"a request that ends within this second gets nothing": {steps(none, now(10*time.Minute+999*time.Millisecond), ends(10*time.Minute)), withdraw},
		"a request that ends in a second gets a last token":   {steps(none, ends(10*time.Minute+time.Second)), issue(token.Missing)},
		"a token that ends with its request stays to the end": {
			steps(ends(time.Hour), reissued, now(59*time.Minute)),
			token.Decision{Action: token.Keep, Next: at(time.Hour)},
		},

		"a key revoked in the ring": {func(_ *testing.T, w *world) {
			w.keys.Ring.Keys = w.keys.Ring.Keys[1:]
			w.keys.Ring.Denied = []rotation.Denial{{ID: w.active}}
		}, issue(token.KeyRevoked)},
		"a key that the spec revokes before the ring does": {revokedBySpec, issue(token.KeyRevoked)},
		"another key's revocation":                         {func(_ *testing.T, w *world) { w.keys.Revoked = []string{w.retired} }, keep},
		"a key in no ring":                                 {signedBy(func(w *world) string { return w.unknown }), issue(token.KeyUnpublished)},
		"a Retired key that stays past the expiry":         {signedBy(func(w *world) string { return w.retired }), keep},
		"a Retired key that leaves with the expiry": {
			steps(signedBy(func(w *world) string { return w.retired }), retiredSince(-7*time.Minute)), keep,
		},
		"a Retired key that leaves before the expiry": {
			steps(signedBy(func(w *world) string { return w.retired }), retiredSince(-7*time.Minute-time.Second)),
			issue(token.KeyLeaving),
		},

		"another profile":   {asks(func(r *token.Request) { r.Type = token.TypeAccessToken }), issue(token.ProfileChanged)},
		"another issuer":    {asks(func(r *token.Request) { r.Issuer = "https://other.example" }), changed},
		"another subject":   {asks(func(r *token.Request) { r.Subject = "system:serviceaccount:shop:desk" }), changed},
		"one more audience": {asks(func(r *token.Request) { r.Audiences = append(r.Audiences, "c") }), changed},
		"one audience less": {asks(func(r *token.Request) { r.Audiences = r.Audiences[:1] }), changed},
		"one more claim":    {asks(func(r *token.Request) { r.Claims["scope"] = "orders:read" }), changed},
		"one claim less":    {asks(func(r *token.Request) { delete(r.Claims, "level") }), changed},
		"another value":     {asks(func(r *token.Request) { r.Claims["tags"] = []any{"b", "a"} }), changed},
		"a longer life":     {asks(func(r *token.Request) { r.Duration += time.Second }), changed},
		"a shorter life":    {asks(func(r *token.Request) { r.Duration -= time.Second }), changed},

		"another skew, from which only nbf follows": {asks(func(r *token.Request) { r.Skew = time.Hour }), keep},
		"another jitter moves the renewal": {
			asks(func(r *token.Request) { r.Jitter = 0 }),
			token.Decision{Action: token.Keep, Next: at(40 * time.Minute)},
		},
		"another renewBefore moves the renewal": {
			asks(func(r *token.Request) { r.RenewBefore = time.Minute }),
			token.Decision{Action: token.Keep, Next: at(59 * time.Minute)},
		},
		"another renewBefore makes the renewal due": {asks(func(r *token.Request) { r.RenewBefore = 50 * time.Minute }), due},

		"an end set behind the expiry changes nothing": {ends(time.Hour + time.Second), keep},
		"an end set on the expiry only ends the renewals": {
			ends(time.Hour), token.Decision{Action: token.Keep, Next: at(time.Hour)},
		},
		"an end set before the expiry":     {ends(time.Hour - time.Second), changed},
		"an end moved earlier":             {steps(ends(50*time.Minute), reissued, ends(40*time.Minute)), changed},
		"an end moved later":               {steps(ends(40*time.Minute), reissued, ends(50*time.Minute)), changed},
		"an end removed":                   {steps(ends(40*time.Minute), reissued, endless), changed},
		"an end removed behind the expiry": {steps(ends(2*time.Hour), reissued, endless), keep},

		"a token from a clock that is ahead by the skew": {now(-61 * time.Second), keep},
		"a token from the future":                        {now(-61*time.Second - 1), issue(token.IssuedInFuture)},
		"a token that an application signed without exp": {func(t *testing.T, w *world) {
			w.have = w.signers.sign(t, w.active, "JWT", []byte(`{"iss":"https://issuer.example"}`))
		}, changed},
		"claims that cannot be read": {func(_ *testing.T, w *world) { w.have.Claims = []byte(`[]`) }, changed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.given(t, w)
			if diff := cmp.Diff(c.want, token.Judge(w.request, w.have, w.keys, w.now)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func issue(cause token.Cause) token.Decision {
	return token.Decision{Action: token.Issue, Cause: cause}
}

func steps(each ...func(*testing.T, *world)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		t.Helper()
		for _, step := range each {
			step(t, w)
		}
	}
}

func now(since time.Duration) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) { w.now = at(since) }
}

func asks(change func(*token.Request)) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) { change(&w.request) }
}

func ends(since time.Duration) func(*testing.T, *world) {
	return asks(func(r *token.Request) { r.ExpiresAt = at(since) })
}

func endless(_ *testing.T, w *world) { w.request.ExpiresAt = time.Time{} }

// reissued gives the token that the request asks for now, issued at the epoch.
func reissued(t *testing.T, w *world) {
	t.Helper()
	w.have = w.signers.issue(t, w.request, w.active, "id", epoch())
}

func none(_ *testing.T, w *world) { w.have = nil }

func revokedBySpec(_ *testing.T, w *world) { w.keys.Revoked = []string{w.active} }

func signedBy(key func(*world) string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		t.Helper()
		w.have = w.signers.issue(t, w.request, key(w), "id", epoch())
	}
}

func retiredSince(since time.Duration) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) { w.keys.Ring.Keys[1].RetiredAt = at(since) }
}

// TestJudgeLeavesItsArguments guards what several workers share: the claims come from a cache.
func TestJudgeLeavesItsArguments(t *testing.T) {
	w := newWorld(t)
	before := *w.have
	before.Claims = slices.Clone(w.have.Claims)
	token.Judge(w.request, w.have, w.keys, w.now)
	if diff := cmp.Diff(asked(), w.request); diff != "" {
		t.Errorf("request (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(before, *w.have); diff != "" {
		t.Errorf("token (-before +after):\n%s", diff)
	}
}
