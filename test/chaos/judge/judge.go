// Package judge watches a cluster from outside while it is disturbed: independent verifiers judge every token from its issue to
// its expiry. It shares no code with the operator.
package judge

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/test/verifier"
)

// Declared is what the SigningKeys declare of those who verify.
type Declared struct {
	Audience                 string
	Cache, Propagation, Skew time.Duration
}

// Judge reads what is published and issued, as kubelets and pods do, and has it judged.
type Judge struct {
	api      client.Client
	clock    clock.WithTicker
	declared Declared
	out      io.Writer
	start    time.Time

	mu      sync.Mutex
	count   Count
	issuers map[string]*issuer
	tokens  map[string]token
}

// Count is what was judged.
type Count struct {
	Tokens, Verifications, Failures int
}

// Since is what was judged after the earlier count.
func (c Count) Since(earlier Count) Count {
	return Count{
		Tokens: c.Tokens - earlier.Tokens, Verifications: c.Verifications - earlier.Verifications, Failures: c.Failures - earlier.Failures,
	}
}

// issuer is one that has published keys.
type issuer struct {
	published *verifier.Published
	latest    string
	verifiers []*verifier.Verifier
	keys      map[string]*key
}

// key is what was seen of one key ID.
type key struct {
	// published is when it was first seen in the JWKS, revoked when somebody revoked it, and gone when it was not there after that.
	published, revoked, gone time.Time
	// restored is when a restore of etcd brought it back into the JWKS. lost says that one took
	// it away, or its revocation.
	restored time.Time
	lost     bool
}

// token is one that was seen in a Secret.
type token struct {
	of, compact, issuer, keyID string
	expires                    time.Time
}

// New returns a judge that tells out of failures. The clock is that of the operator.
func New(api client.Client, wall clock.WithTicker, declared Declared, out io.Writer) *Judge {
	return &Judge{
		api: api, clock: wall, declared: declared, out: out, start: wall.Now(),
		issuers: map[string]*issuer{}, tokens: map[string]token{},
	}
}

// How often the cluster is looked at, and how often every live token is judged.
const (
	lookEvery  = 100 * time.Millisecond
	judgeEvery = 100 * time.Millisecond
)

// Run goes on until the context ends.
func (j *Judge) Run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { j.repeat(ctx, lookEvery, j.look) })
	both.Go(func() { j.repeat(ctx, judgeEvery, j.judge) })
	both.Wait()
}

func (j *Judge) repeat(ctx context.Context, every time.Duration, do func(context.Context)) {
	ticker := j.clock.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			do(ctx)
		}
	}
}

// Count is what was judged until now.
func (j *Judge) Count() Count {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.count
}

// Fail counts what somebody else has found.
func (j *Judge) Fail(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail(format, args...)
}

func (j *Judge) fail(format string, args ...any) {
	j.count.Failures++
	_, _ = fmt.Fprintf(j.out, "%7.1fs  FAIL   %s\n", j.clock.Since(j.start).Seconds(), fmt.Sprintf(format, args...))
}

// Say tells what happens.
func (j *Judge) Say(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = fmt.Fprintf(j.out, "%7.1fs  %s\n", j.clock.Since(j.start).Seconds(), fmt.Sprintf(format, args...))
}
