package verify

import (
	"crypto/sha256"
	"sync"
)

// memory remembers verified tokens by their SHA-256, up to a number: what one more would be too many for, takes the place of
// an arbitrary one. Only tokens that were accepted get in, so nobody can fill it with others.
type memory struct {
	size   int
	mu     sync.RWMutex
	tokens map[[sha256.Size]byte]memorized
}

// memorized is a token with what has to be still so. It holds no key.
type memorized struct {
	token   *Token
	issuer  *issuer
	version version
}

func newMemory(size int) *memory {
	return &memory{size: size, tokens: map[[sha256.Size]byte]memorized{}}
}

func (m *memory) digest(compact string) [sha256.Size]byte {
	if m.size == 0 || len(compact) > maxTokenBytes {
		return [sha256.Size]byte{}
	}
	const ordinary = 2 << 10
	if len(compact) > ordinary {
		return sha256.Sum256([]byte(compact))
	}
	var text [ordinary]byte // On the stack: most requests do nothing else that is as large as their token.
	return sha256.Sum256(text[:copy(text[:], compact)])
}

func (m *memory) lookup(digest [sha256.Size]byte) (memorized, bool) {
	if m.size == 0 {
		return memorized{}, false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	found, ok := m.tokens[digest]
	return found, ok
}

func (m *memory) forget(digest [sha256.Size]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tokens, digest)
}

// remember keeps a copy: whoever has asked for the token may change theirs.
func (m *memory) remember(digest [sha256.Size]byte, accepted *compact, of *issuer, by version) {
	if m.size == 0 {
		return
	}
	kept := memorized{token: accepted.token.clone(), issuer: of, version: by}
	m.mu.Lock()
	defer m.mu.Unlock()
	for other := range m.tokens {
		if len(m.tokens) < m.size {
			break
		}
		delete(m.tokens, other)
	}
	m.tokens[digest] = kept
}
