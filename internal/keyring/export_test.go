package keyring

import "github.com/keyturn/keyturn/internal/jose"

// Add hands in key pairs as if they had been minted.
func (m *Minter) Add(keys ...jose.PrivateKey) { m.minted = append(m.minted, keys...) }
