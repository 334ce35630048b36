package token

// Cause is why a token is issued. There are few, so that issues can be counted by them.
type Cause string

// The causes.
const (
	// Missing means that no token is there, or none that verifies.
	Missing Cause = "Missing"
	// Renewal means that the token was due.
	Renewal Cause = "Renewal"
	// KeyRevoked means that the token's key is compromised.
	KeyRevoked Cause = "KeyRevoked"
	// TokenRevoked means that the token was taken back before it expires.
	TokenRevoked Cause = "TokenRevoked"
	// KeyUnpublished means that no verifier can find the token's key any more.
	KeyUnpublished Cause = "KeyUnpublished"
	// KeyLeaving means that the token would outlive the publication of its key.
	KeyLeaving Cause = "KeyLeaving"
	// ProfileChanged means that another header type is asked for.
	ProfileChanged Cause = "ProfileChanged"
	// ClaimsChanged means that other claims, or another life, are asked for.
	ClaimsChanged Cause = "ClaimsChanged"
	// IssuedInFuture means that the clock went back since the token was issued.
	IssuedInFuture Cause = "IssuedInFuture"
)

// Causes are all causes.
func Causes() []Cause {
	return []Cause{Missing, Renewal, KeyRevoked, TokenRevoked, KeyUnpublished, KeyLeaving, ProfileChanged, ClaimsChanged, IssuedInFuture}
}

// Words say the cause in an event; they hold no claim's value.
func (c Cause) Words() string {
	switch c {
	case Missing:
		return "no valid token was there"
	case Renewal:
		return "the token was due for renewal"
	case KeyRevoked:
		return "its key was revoked"
	case TokenRevoked:
		return "it was revoked"
	case KeyUnpublished:
		return "its key is no longer published"
	case KeyLeaving:
		return "its key will leave the published set before it expires"
	case ProfileChanged:
		return "the profile changed"
	case ClaimsChanged:
		return "the claims or the duration changed"
	case IssuedInFuture:
		return "it was issued in the future"
	default:
		return ""
	}
}
