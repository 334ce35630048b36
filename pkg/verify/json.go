package verify

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// readObject reads one JSON object and returns its members by name, each value as it was written. It refuses what parsers read
// differently from each other, so that nobody downstream sees another object than this package did: a member named twice at any
// depth (RFC 8725 section 2.4, RFC 7519 section 4), and text that is not UTF-8. Names keep their case. The values share the
// memory of data.
func readObject(data []byte) (map[string]json.RawMessage, bool) {
	if !utf8.Valid(data) || !json.Valid(data) || bytes.TrimSpace(data)[0] != '{' {
		return nil, false
	}
	var open []scope // from the outermost on
	for at := 0; ; at++ {
		switch data[at] {
		case '{':
			open = append(open, scope{members: map[string]json.RawMessage{}})
		case '[':
			open = append(open, scope{})
		case ':':
			open[len(open)-1].value = at + 1
		case '"':
			end := endOfString(data, at)
			open[len(open)-1].heed(data[at:end])
			at = end - 1
		case ',', '}', ']':
			within := &open[len(open)-1]
			if !within.take(data[:at]) {
				return nil, false
			}
			if data[at] == ',' {
				continue
			}
			if open = open[:len(open)-1]; len(open) == 0 {
				return within.members, true
			}
		}
	}
}

// scope is an object or array of valid JSON that has been entered and not left.
type scope struct {
	members map[string]json.RawMessage // nil for an array
	name    string                     // of the member that is being read
	value   int                        // where its value begins; 0 before that
}

// heed takes in a string, which is a name if no value has begun.
func (s *scope) heed(quoted []byte) {
	if s.members != nil && s.value == 0 {
		s.name, _ = readString(quoted)
	}
}

// take takes in the member that ends the text, if there is one. It returns false for a name that was there before.
func (s *scope) take(text []byte) bool {
	if s.members == nil || s.value == 0 {
		return true
	}
	_, again := s.members[s.name]
	s.members[s.name] = bytes.TrimSpace(text[s.value:])
	s.value = 0
	return !again
}

// endOfString returns where the string ends that begins at a quote of valid JSON: behind the other quote.
func endOfString(data []byte, start int) int {
	for at := start + 1; ; at++ {
		switch data[at] {
		case '"':
			return at + 1
		case '\\':
			at++
		}
	}
}

// readString returns the string that a value of valid JSON is; false if it is something else.
func readString(value json.RawMessage) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if inner := value[1 : len(value)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), true
	}
	var text string
	err := json.Unmarshal(value, &text)
	return text, err == nil
}
