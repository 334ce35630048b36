package jose

// SignText and VerifyText reach the signature itself, for published vectors whose text is no JSON Web Token.
func (k PrivateKey) SignText(text []byte) ([]byte, error) { return k.sign(text) }

// VerifyText is the counterpart of SignText.
func (k PublicKey) VerifyText(text, signature []byte) error { return k.verify(text, signature) }
