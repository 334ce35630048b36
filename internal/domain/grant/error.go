package grant

// Code is an error code of the token endpoint.
type Code string

// The codes of this package: those of RFC 6749 section 5.2, and invalid_target of RFC 8693 section 2.2.2 and RFC 8707 section 2.
const (
	InvalidGrant       Code = "invalid_grant"
	InvalidScope       Code = "invalid_scope"
	InvalidTarget      Code = "invalid_target"
	UnauthorizedClient Code = "unauthorized_client"
)

// Error is why nothing is granted. It is for the client, and has nothing but what is the client's own.
type Error struct {
	Code        Code
	Description string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Description }
