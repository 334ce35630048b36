package party

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/test/verifier"
)

// Judged is what one verifier of a Judge has seen.
type Judged struct {
	Verified Tally `json:"verified"`
	Fetched  Tally `json:"fetched"`
}

// Judge verifies the bearer tokens it is presented with, by every one of its verifiers.
type Judge struct {
	clock     clock.PassiveClock
	mu        sync.Mutex
	verifiers []*verifier.Verifier
	counts    map[string]*Judged
}

// NewJudge returns a Judge whose verifiers' habits differ.
func NewJudge(clk clock.PassiveClock, verifiers ...*verifier.Verifier) *Judge {
	j := &Judge{clock: clk, verifiers: verifiers, counts: map[string]*Judged{}}
	for _, v := range verifiers {
		counts := &Judged{}
		j.counts[v.Habit] = counts
		source := v.Source
		v.Source = func(ctx context.Context, now time.Time) ([]byte, time.Duration, error) {
			text, fresh, err := source(ctx, now)
			counts.Fetched.count(err)
			return text, fresh, err
		}
	}
	return j
}

// Mounted is the source of a JWK Set in a file, which is kept for as long as it may be.
func Mounted(file string, keep time.Duration) verifier.Source {
	return func(context.Context, time.Time) ([]byte, time.Duration, error) {
		text, err := os.ReadFile(file)
		return text, keep, err
	}
}

// Verify answers 204 if every verifier accepts the bearer token, else 401 and what they have against it.
func (j *Judge) Verify(w http.ResponseWriter, r *http.Request) {
	compact, bears := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bears {
		http.Error(w, "there is no bearer token", http.StatusUnauthorized)
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var refusals []string
	for _, v := range j.verifiers {
		err := v.Verify(r.Context(), j.clock.Now(), compact)
		j.counts[v.Habit].Verified.count(err)
		if err != nil {
			refusals = append(refusals, v.Habit+": "+err.Error())
		}
	}
	if len(refusals) > 0 {
		http.Error(w, strings.Join(refusals, "; "), http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Counts tells, by habit, what was seen.
func (j *Judge) Counts() http.HandlerFunc { return report(&j.mu, j.counts) }
