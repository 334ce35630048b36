// Package party holds those who use tokens in the end-to-end tests, in pods of their own: one presents the token that it
// mounts, one verifies what is presented, one asks for documents over and over. Each counts what it sees and tells it as
// JSON; none tells a token.
package party

import (
	"encoding/json"
	"net/http"
	"sync"
)

// Tally counts what went well and what did not, by reason.
type Tally struct {
	OK     int            `json:"ok"`
	Failed map[string]int `json:"failed,omitempty"`
}

// most bounds how many reasons are told apart, because some of them hold an age.
const most = 20

func (t *Tally) count(err error) {
	if err == nil {
		t.OK++
		return
	}
	if t.Failed == nil {
		t.Failed = map[string]int{}
	}
	reason := err.Error()
	if _, known := t.Failed[reason]; !known && len(t.Failed) >= most {
		reason = "other reasons"
	}
	t.Failed[reason]++
}

// Failures is how often it did not go well.
func (t *Tally) Failures() int {
	sum := 0
	for _, times := range t.Failed {
		sum += times
	}
	return sum
}

// report tells counts, which it reads under their lock.
func report(lock sync.Locker, counts any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(counts)
	}
}
