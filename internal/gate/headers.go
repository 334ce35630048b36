package gate

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// maxHeaderValue is the longest value of an identity header in bytes. Proxies commonly take 4 to 8 KiB of headers in an answer.
const maxHeaderValue = 2 << 10

// Header is one that the protected service gets. An empty value means that it must not get any.
type Header struct{ Name, Value string }

// identify makes the policy's headers of a token's claims. It fails if a claim cannot be told by a header such that the service
// reads what the issuer has signed.
func identify(headers []v1alpha1.ClaimHeader, claims map[string]any) ([]Header, error) {
	told := make([]Header, 0, len(headers))
	for _, header := range headers {
		value, err := headerValue(claims[header.Claim])
		if _, present := claims[header.Claim]; present && err != nil {
			return nil, fmt.Errorf("claim %q for header %s %w", header.Claim, header.Name, err)
		}
		told = append(told, Header{Name: header.Name, Value: value})
	}
	return told, nil
}

// A valueError says why no header can have the value of a claim.
type valueError string

func (e valueError) Error() string { return string(e) }

func headerValue(claim any) (string, error) {
	value, ok := scalar(claim)
	if list, isList := claim.([]any); isList {
		value, ok = joined(list)
	}
	switch {
	case !ok:
		return "", valueError("is neither a text, a number, a boolean nor a list of such that can stand between commas")
	case len(value) > maxHeaderValue:
		return "", valueError(fmt.Sprintf("is longer than %d bytes", maxHeaderValue))
	case !isFieldValue(value):
		return "", valueError("has characters other than printable ASCII, or a space at an end")
	}
	return value, nil
}

// joined puts commas between the members of a list, which have none themselves.
func joined(list []any) (string, bool) {
	members := make([]string, 0, len(list))
	for _, one := range list {
		member, ok := scalar(one)
		if !ok || member == "" || strings.Contains(member, ",") || strings.TrimSpace(member) != member {
			return "", false
		}
		members = append(members, member)
	}
	return strings.Join(members, ","), true
}

func scalar(claim any) (string, bool) {
	switch claim := claim.(type) {
	case string:
		return claim, true
	case json.Number:
		return claim.String(), true
	case bool:
		return fmt.Sprint(claim), true
	default:
		return "", false
	}
}

// isFieldValue knows what every reader of a field value (RFC 9110 section 5.5) reads alike: no line break that would begin another
// header, no byte of which it is not known what it stands for, no space that is taken off.
func isFieldValue(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) && strings.TrimSpace(text) == text
}
