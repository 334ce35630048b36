package jose

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// MaxKeyBytes is the longest JWK that is read: an RSA key of 8192 bits has about 7 KiB.
const MaxKeyBytes = 16 << 10

// document is a JWK that has been read but not yet believed.
type document struct {
	members map[string]json.RawMessage
	alg     Algorithm
	key     jwk.Key
}

func readJWK(data []byte) (document, error) {
	if len(data) > MaxKeyBytes {
		return document{}, fmt.Errorf("%w: a JWK has at most %d bytes", ErrTooLarge, MaxKeyBytes)
	}
	members, err := readObject(data)
	if err != nil {
		return document{}, err
	}
	return readMembers(members)
}

func readMembers(members map[string]json.RawMessage) (document, error) {
	name, _ := readString(members["alg"])
	alg, err := ParseAlgorithm(name)
	if err != nil {
		return document{}, fmt.Errorf("member alg: %w", err)
	}
	if use, present := members["use"]; present && string(use) != `"sig"` {
		return document{}, fmt.Errorf("%w: member use is not sig", ErrKey)
	}
	key, err := parseKnown(members)
	if err != nil {
		return document{}, err
	}
	return document{members: members, alg: alg, key: key}, nil
}

// parseKnown shows the JOSE library only the members that make up a key. It would read others too (certificates, key
// operations), and take D for d.
func parseKnown(members map[string]json.RawMessage) (jwk.Key, error) {
	known := map[string]json.RawMessage{}
	for _, name := range []string{"kty", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi"} {
		if value, present := members[name]; present {
			known[name] = value
		}
	}
	data, err := json.Marshal(known)
	if err != nil {
		return nil, fmt.Errorf("%w: not JSON", ErrMalformed)
	}
	key, err := jwk.ParseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%w: not a JWK of kty EC, RSA or OKP with all its members", ErrMalformed)
	}
	return key, nil
}

// refuse fails if the key has one of the named members.
func (d document) refuse(names ...string) error {
	for _, name := range names {
		if _, present := d.members[name]; present {
			return fmt.Errorf("%w: member %s does not belong in this kind of key", ErrKey, name)
		}
	}
	return nil
}

// mustMatch fails unless each member of the canonical form is given with the same value, the kid among them.
func (d document) mustMatch(canonical []byte) error {
	var want map[string]string
	if err := json.Unmarshal(canonical, &want); err != nil {
		return fmt.Errorf("%w: no canonical form", ErrKey)
	}
	if kid, ok := readString(d.members[jwk.KeyIDKey]); !ok || kid != want[jwk.KeyIDKey] {
		return fmt.Errorf("%w: member kid is not the RFC 7638 SHA-256 thumbprint of the key", ErrKeyID)
	}
	return d.mustHave(canonical, jwk.KeyUsageKey)
}

// mustHave fails unless each member of the canonical form but some is given with the same value. Halves that do not belong
// together fail here, and so does every second way to write the same number, which the JOSE library would read.
func (d document) mustHave(canonical []byte, except ...string) error {
	var want map[string]string
	if err := json.Unmarshal(canonical, &want); err != nil {
		return fmt.Errorf("%w: no canonical form", ErrKey)
	}
	for name, value := range want {
		if given, ok := readString(d.members[name]); !slices.Contains(except, name) && (!ok || given != value) {
			return fmt.Errorf("%w: member %s is missing, not canonical or of another key", ErrKey, name)
		}
	}
	return nil
}

// encodeJWK returns a key as compact JSON whose members are in alphabetical order.
func encodeJWK(material any, alg Algorithm) ([]byte, error) {
	key, err := fromMaterial(material)
	if err != nil {
		return nil, err
	}
	id, err := thumbprint(material)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		jwk.AlgorithmKey: string(alg), jwk.KeyIDKey: id, jwk.KeyUsageKey: string(jwk.ForSignature),
	} {
		if err := key.Set(name, value); err != nil {
			return nil, fmt.Errorf("%w: cannot set member %s", ErrKey, name)
		}
	}
	encoded, err := json.Marshal(key)
	if err != nil {
		return nil, fmt.Errorf("%w: no JWK form", ErrKey)
	}
	return encoded, nil
}

// thumbprint is RFC 7638 with SHA-256, the same for both halves of a key.
func thumbprint(material any) (string, error) {
	key, err := fromMaterial(material)
	if err != nil {
		return "", err
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("%w: no thumbprint", ErrKey)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

func fromMaterial(material any) (jwk.Key, error) {
	key, err := jwk.FromRaw(material)
	if err != nil {
		return nil, fmt.Errorf("%w: no JWK form", ErrKey)
	}
	return key, nil
}
