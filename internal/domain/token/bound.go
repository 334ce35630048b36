package token

import "encoding/json"

// MostBytes is [MostBytes] of the payload.
func (r Request) MostBytes() int {
	const instants, id = 3 * number, 64
	names := 0
	for _, name := range append(RegisteredClaims(), "client_id") {
		names += mostBytes(name) + len(`:,`)
	}
	return mostBytes(r.Claims) + mostBytes(r.Issuer) + 2*mostBytes(r.Subject) + mostBytes(r.Audiences) + instants + id + names
}

// MostBytes is a bound on how long claims are that [Encode] writes, or more than [MaxClaimsBytes] will ever be where there is a value whose
// length is not known. It costs less than to encode them, so that whoever has a limit encodes only what may be near it.
func MostBytes(claims map[string]any) int { return mostBytes(claims) }

const (
	// escaped is what a byte of text becomes at most, as in \u0000.
	escaped = 6
	// number is the longest of Go's numbers: a float64 with its sign, 17 digits, a point, zeros or an exponent.
	number  = 32
	unknown = 1 << 30
)

func mostBytes(value any) int {
	switch v := value.(type) {
	case nil, bool, int, int64, uint64, float64:
		return number
	case json.Number:
		return len(v)
	case string:
		return escaped*len(v) + len(`""`)
	case []string:
		return sumBytes(v)
	case []any:
		return sumBytes(v)
	case map[string]any:
		sum := len(`{}`)
		for name, member := range v {
			sum += mostBytes(name) + len(`:`) + mostBytes(member) + len(`,`)
		}
		return sum
	default:
		return unknown
	}
}

func sumBytes[T any](list []T) int {
	sum := len(`[]`)
	for _, element := range list {
		sum += mostBytes(element) + len(`,`)
	}
	return sum
}
