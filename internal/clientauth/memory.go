package clientauth

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// mostUsed bounds how many used assertions are remembered, and mostOfClient how many of one client, so that one does not
	// keep the others out.
	mostUsed     = 128 << 10
	mostOfClient = mostUsed / 8
)

// errMemoryFull says that no further assertion can be remembered, so that none is taken.
var errMemoryFull = errors.New("too many assertions are remembered: let clients ask less often, or let their assertions expire sooner")

// Memory is Assertions in the memory of this process: what another replica has taken, it does not know. It is safe for concurrent
// use.
type Memory struct {
	mu       sync.Mutex
	used     map[[sha256.Size]byte]bool
	ends     byEnd
	ofClient map[string]int
}

// NewMemory makes a Memory that remembers nothing yet.
func NewMemory() *Memory {
	return &Memory{used: map[[sha256.Size]byte]bool{}, ofClient: map[string]int{}}
}

// Record is of Assertions. It fails if too many are remembered.
func (m *Memory) Record(_ context.Context, assertion Assertion, now time.Time) (bool, error) {
	id, err := assertion.digest()
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	if m.used[id] {
		return false, nil
	}
	if len(m.used) >= mostUsed || m.ofClient[assertion.Client] >= mostOfClient {
		return false, errMemoryFull
	}
	m.used[id] = true
	m.ofClient[assertion.Client]++
	heap.Push(&m.ends, end{id: id, client: assertion.Client, until: assertion.Until})
	return true, nil
}

// forget drops what is refused anyway by now.
func (m *Memory) forget(now time.Time) {
	for len(m.ends) > 0 && !now.Before(m.ends[0].until) {
		gone := m.ends[0]
		heap.Pop(&m.ends)
		delete(m.used, gone.id)
		if m.ofClient[gone.client]--; m.ofClient[gone.client] == 0 {
			delete(m.ofClient, gone.client)
		}
	}
}

// digest tells assertions apart, in a form in which no field runs into the next.
func (a Assertion) digest() ([sha256.Size]byte, error) {
	text, err := json.Marshal([]string{a.Audience, a.Client, a.ID})
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("encode assertion: %w", err)
	}
	return sha256.Sum256(text), nil
}

// end is when an assertion can be forgotten.
type end struct {
	id     [sha256.Size]byte
	client string
	until  time.Time
}

// byEnd is a heap, the first end first.
type byEnd []end

func (b *byEnd) Len() int           { return len(*b) }
func (b *byEnd) Less(i, j int) bool { return (*b)[i].until.Before((*b)[j].until) }
func (b *byEnd) Swap(i, j int)      { (*b)[i], (*b)[j] = (*b)[j], (*b)[i] }

// Push is of heap.Interface.
func (b *byEnd) Push(x any) {
	if e, ok := x.(end); ok {
		*b = append(*b, e)
	}
}

// Pop is of heap.Interface.
func (b *byEnd) Pop() any {
	last := (*b)[len(*b)-1]
	*b = (*b)[:len(*b)-1]
	return last
}
