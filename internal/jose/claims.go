package jose

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// maxNumericDate is the first second of the year 10000, which RFC 3339 and so Kubernetes cannot write.
const maxNumericDate = 253402300800

// readClaims reads the registered claims (RFC 7519 section 4.1).
func (t *Token) readClaims(payload []byte) error {
	members, err := readObject(payload)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	claims := claimReader{members: members}
	t.Claims = payload
	t.Issuer, t.Subject, t.ID = claims.text("iss"), claims.text("sub"), claims.text("jti")
	t.Audience = claims.texts("aud")
	t.IssuedAt, t.NotBefore, t.Expiry = claims.instant("iat"), claims.instant("nbf"), claims.instant("exp")
	return claims.err
}

// claimReader reads claims of known kinds. An absent claim is the zero value; err is the first fault met.
type claimReader struct {
	members map[string]json.RawMessage
	err     error
}

func (r *claimReader) fail(name, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: claim %s is not %s", ErrMalformed, name, want)
	}
}

func (r *claimReader) text(name string) string {
	value, present := r.members[name]
	text, ok := readString(value)
	if present && !ok {
		r.fail(name, "a text")
	}
	return text
}

// texts reads a text, or an array of texts, as RFC 7519 section 4.1.3 lets aud be either.
func (r *claimReader) texts(name string) []string {
	value, present := r.members[name]
	if !present {
		return nil
	}
	if one, ok := readString(value); ok {
		return []string{one}
	}
	several, ok := readStrings(value)
	if !ok {
		r.fail(name, "a text or an array of texts")
	}
	return several
}

// instant reads a NumericDate, which may have a fraction (RFC 7519 section 2): exactly for whole seconds, to the
// microsecond otherwise, which is all that a float64 holds of today's instants.
func (r *claimReader) instant(name string) time.Time {
	value, present := r.members[name]
	if !present {
		return time.Time{}
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil || seconds < 0 || seconds >= maxNumericDate {
		r.fail(name, "a number of seconds since 1970 and before the year 10000")
		return time.Time{}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), 0).Add(time.Duration(math.Round(fraction*1e6)) * time.Microsecond).UTC()
}
