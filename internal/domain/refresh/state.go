package refresh

// State is what a refresh token is worth at an instant. All but [Usable] are invalid_grant for the client (RFC 6749 section 5.2).
type State string

// The states.
const (
	// Usable is the newest token of its family, and can be used now, once.
	Usable State = "Usable"
	// Unknown is of no family, or of one that has ended and was forgotten.
	Unknown State = "Unknown"
	// Idle was not used in time.
	Idle State = "Idle"
	// Expired is of a family that has reached its absolute end.
	Expired State = "Expired"
	// Reused was used before, which ends its family.
	Reused State = "Reused"
	// Revoked is of a family that was revoked before.
	Revoked State = "Revoked"
)
