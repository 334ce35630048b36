package jose_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/keyturn/keyturn/internal/jose"
)

func TestSignaturesOfTheRFCs(t *testing.T) {
	for _, vector := range published().Signatures {
		t.Run(vector.Source, func(t *testing.T) {
			key, err := jose.ParsePrivateKey(encode(t, withKID(vector.Alg, vector.Key)))
			if err != nil {
				t.Fatal(err)
			}
			signature, err := base64.RawURLEncoding.DecodeString(vector.Signature)
			if err != nil {
				t.Fatal(err)
			}
			if err := key.Public().VerifyText([]byte(vector.Input), signature); err != nil {
				t.Errorf("the published signature is refused: %v", err)
			}
			if err := key.Public().VerifyText([]byte(vector.Input+"A"), signature); !errors.Is(err, jose.ErrSignature) {
				t.Errorf("the signature over another text: got %v, want %v", err, jose.ErrSignature)
			}
			if vector.Alg != "RS256" && vector.Alg != "EdDSA" {
				return // the other algorithms sign with a random number
			}
			again, err := key.SignText([]byte(vector.Input))
			if err != nil {
				t.Fatal(err)
			}
			if string(again) != string(signature) {
				t.Error("signing again gives another signature than the published one")
			}
		})
	}
}

func TestTokensOfTheRFCsNameNoKeyOfOurs(t *testing.T) {
	want := map[string]error{
		"RFC 7515 appendix A.2": jose.ErrKeyID,
		"RFC 7515 appendix A.3": jose.ErrKeyID,
		"RFC 7515 appendix A.4": jose.ErrKeyID,
		"RFC 7520 section 4.1":  jose.ErrMalformed, // the payload is prose
		"RFC 7520 section 4.2":  jose.ErrMalformed,
		"RFC 7520 section 4.3":  jose.ErrMalformed,
		"RFC 8037 appendix A.4": jose.ErrKeyID,
	}
	for _, vector := range published().Signatures {
		if _, err := jose.Parse(vector.Input + "." + vector.Signature); !errors.Is(err, want[vector.Source]) {
			t.Errorf("%s: got %v, want %v", vector.Source, err, want[vector.Source])
		}
	}
}

func TestThumbprintsOfTheRFCs(t *testing.T) {
	for _, vector := range published().Thumbprints {
		t.Run(vector.Source, func(t *testing.T) {
			jwk := with(vector.Key, "alg", vector.Alg, "kid", vector.Thumbprint)
			key, err := jose.ParsePublicKey(encode(t, jwk))
			if err != nil {
				t.Fatalf("the published thumbprint is refused as kid: %v", err)
			}
			if key.ID() != vector.Thumbprint {
				t.Errorf("got ID %s, want %s", key.ID(), vector.Thumbprint)
			}
		})
	}
}

func TestTokensOfTheRFCsThatAreRefused(t *testing.T) {
	want := map[string]error{"algorithm": jose.ErrAlgorithm, "malformed": jose.ErrMalformed}
	for _, vector := range published().Refused {
		t.Run(vector.Source+", "+vector.What, func(t *testing.T) {
			if _, err := jose.Verify(vector.Token, allKeys()); !errors.Is(err, want[vector.Refusal]) {
				t.Errorf("got %v, want %v", err, want[vector.Refusal])
			}
			// The vector is what was published, and not refused for a slip of the pen.
			mac := hmac.New(sha256.New, []byte(unb64(t, vector.MAC.Key)))
			mac.Write([]byte(vector.MAC.Input))
			if vector.MAC.Key != "" && b64(string(mac.Sum(nil))) != vector.MAC.Code {
				t.Error("the code is not the key's over the input")
			}
		})
	}
}

func TestKeySetsOfTheRFCsAreNotOurs(t *testing.T) {
	for _, vector := range published().Sets {
		t.Run(vector.Source+", "+vector.What, func(t *testing.T) {
			if set, err := jose.ParseKeySet(vector.Set); !errors.Is(err, jose.ErrKey) && !errors.Is(err, jose.ErrAlgorithm) {
				t.Errorf("as a set of ours: %d keys, %v", set.Len(), err)
			}
			if err := jose.CheckClientKeySet(vector.Set); !errors.Is(err, jose.ErrKey) {
				t.Errorf("as a client's: got %v, want %v", err, jose.ErrKey)
			}
		})
	}
}
