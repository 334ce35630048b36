package verify

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxNumericDate is the first second of the year 10000, which RFC 3339 cannot write.
const maxNumericDate = 253402300800

// readClaims reads the registered claims (RFC 7519 section 4.1), and scope and client_id (RFC 8693 sections 4.2
// and 4.3).
func (t *Token) readClaims(payload []byte) error {
	members, ok := readObject(payload)
	if !ok {
		return fmt.Errorf("%w: payload is not a JSON object with each name once", ErrMalformed)
	}
	claims := claimReader{members: members}
	t.Claims = payload
	t.Issuer, t.Subject, t.ID = claims.text("iss"), claims.text("sub"), claims.text("jti")
	t.Audience = claims.texts("aud")
	t.IssuedAt, t.NotBefore, t.Expiry = claims.instant("iat"), claims.instant("nbf"), claims.instant("exp")
	t.ClientID, _ = readString(members["client_id"])
	if scope, ok := readString(members["scope"]); ok {
		t.Scopes = strings.Fields(scope)
	}
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
	var several []*string
	if err := json.Unmarshal(value, &several); err != nil || several == nil {
		r.fail(name, "a text or an array of texts")
		return nil
	}
	texts := make([]string, 0, len(several))
	for _, one := range several {
		if one == nil {
			r.fail(name, "a text or an array of texts")
			return nil
		}
		texts = append(texts, *one)
	}
	return texts
}

// instant reads a NumericDate, which may have a fraction (RFC 7519 section 2): to the microsecond, which is all that a
// float64 holds of today's instants.
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
