package clientclaims

import (
	"crypto/sha256"
	"encoding/binary"

	"k8s.io/utils/lru"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// Cache keeps what was compiled last. It is safe for concurrent use.
type Cache struct {
	compiled *lru.Cache
}

// NewCache makes a Cache of the claims of that many clients.
func NewCache(size int) *Cache {
	return &Cache{compiled: lru.New(size)}
}

type outcome struct {
	claims *Claims
	err    error
}

// Compile is [Compile], done once for the same expressions.
func (c *Cache) Compile(expressions []v1alpha1.ClaimExpression) (*Claims, error) {
	sum := digest(expressions)
	if known, ok := c.compiled.Get(sum); ok {
		if o, ok := known.(outcome); ok {
			return o.claims, o.err
		}
	}
	compiled, err := Compile(expressions)
	c.compiled.Add(sum, outcome{claims: compiled, err: err})
	return compiled, err
}

// digest is the same for the same expressions only: each text goes in after its length.
func digest(expressions []v1alpha1.ClaimExpression) [sha256.Size]byte {
	var text []byte
	for _, e := range expressions {
		for _, part := range []string{e.Name, e.Expression} {
			text = binary.AppendUvarint(text, uint64(len(part)))
			text = append(text, part...)
		}
	}
	return sha256.Sum256(text)
}
