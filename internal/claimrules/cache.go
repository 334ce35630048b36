package claimrules

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

// NewCache makes a Cache of the rules of that many keys.
func NewCache(size int) *Cache {
	return &Cache{compiled: lru.New(size)}
}

type outcome struct {
	rules *Rules
	err   error
}

// Compile is [Compile], done once for the same rules.
func (c *Cache) Compile(rules []v1alpha1.TokenRule) (*Rules, error) {
	sum := digest(rules)
	if known, ok := c.compiled.Get(sum); ok {
		if o, ok := known.(outcome); ok {
			return o.rules, o.err
		}
	}
	compiled, err := Compile(rules)
	c.compiled.Add(sum, outcome{rules: compiled, err: err})
	return compiled, err
}

// digest is the same for the same rules only: each text goes in after its length.
func digest(rules []v1alpha1.TokenRule) [sha256.Size]byte {
	var text []byte
	for _, r := range rules {
		for _, part := range []string{r.Expression, r.Message} {
			text = binary.AppendUvarint(text, uint64(len(part)))
			text = append(text, part...)
		}
	}
	return sha256.Sum256(text)
}
