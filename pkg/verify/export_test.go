package verify

import "net/http"

// Read reads a token and judges its algorithm and signature by a JWK Set, and nothing else.
func Read(given string, set []byte) (Token, error) {
	keys, err := parseKeySet(set)
	if err != nil {
		return Token{}, err
	}
	read, err := parseCompact(given)
	if err != nil {
		return Token{}, err
	}
	return read.token, keys.check(read)
}

// Keys returns the keys of a JWK Set, by ID, with what each is for.
func Keys(set []byte) (map[string]Algorithm, error) {
	keys, err := parseKeySet(set)
	if err != nil {
		return nil, err
	}
	algorithms := map[string]Algorithm{}
	for id, key := range keys {
		algorithms[id] = key.alg
	}
	return algorithms, nil
}

// Verifies judges a signature by the key of that ID, as if it were for the algorithm.
func Verifies(set []byte, id string, alg Algorithm, text, signature []byte) bool {
	keys, err := parseKeySet(set)
	return err == nil && alg.verifies(keys[id].public, text, signature)
}

// Through fetches from a server that is not on any network.
func (f Fetch) Through(transport http.RoundTripper) Fetch {
	f.transport = transport
	return f
}

// Remembered is how many tokens are remembered.
func (v *Verifier) Remembered() int { return len(v.remembers.tokens) }

// Denied judges a token by a deny list, and by nothing else.
func Denied(list []byte, issuer string, token *Token) (bool, error) {
	read, err := parseDenyList(list, issuer)
	return err == nil && read.denies(token), err
}
