package jose

import "errors"

// What can be wrong with a key, a key set or a token; match with [errors.Is].
var (
	// ErrMalformed means that the text does not have the form its RFC asks for.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge means that the text is longer than [MaxTokenBytes], [MaxKeyBytes] or [MaxKeySetBytes], or that a set
	// has more than [MaxKeys] keys.
	ErrTooLarge = errors.New("too large")
	// ErrAlgorithm means that alg is missing, not one of [Algorithms], or not the one of the key.
	ErrAlgorithm = errors.New("algorithm not permitted")
	// ErrKeyID means that kid is missing, or is not the thumbprint of the key that carries it.
	ErrKeyID = errors.New("key ID missing or wrong")
	// ErrKey means that the key is weak, has halves that do not belong together, or is of the wrong kind.
	ErrKey = errors.New("key not usable")
	// ErrUnknownKey means that the key set has no key of the token's kid.
	ErrUnknownKey = errors.New("key not in the key set")
	// ErrSignature means that the signature is not the key's over this token.
	ErrSignature = errors.New("signature does not verify")
	// ErrHeader means that the token's header asks for something that this package never does.
	ErrHeader = errors.New("header not honoured")
)
