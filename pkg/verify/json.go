package verify

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// readObject reads one JSON object and returns its members by name. It refuses what parsers read differently from each
// other, so that nobody downstream sees another object than this package did: a member named twice at any depth (RFC 8725
// section 2.4, RFC 7519 section 4), and text that is not UTF-8. Names keep their case.
func readObject(data []byte) (map[string]json.RawMessage, bool) {
	var members map[string]json.RawMessage
	if !utf8.Valid(data) || json.Unmarshal(data, &members) != nil || members == nil {
		return nil, false
	}
	return members, !repeatsName(data)
}

// scope is an object or array that has been entered and not left. names is nil for an array.
type scope struct {
	names  map[string]bool
	inPair bool // a name was read, and its value not yet
}

// repeatsName tells whether an object in valid JSON names a member twice.
func repeatsName(data []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // A number that no float64 holds is no fault here.
	var open []*scope
	for {
		token, err := decoder.Token()
		if err != nil {
			return false // The end: the text is valid.
		}
		if len(open) > 0 && !open[len(open)-1].heed(token) {
			return true
		}
		switch token {
		case json.Delim('{'):
			open = append(open, &scope{names: map[string]bool{}})
		case json.Delim('['):
			open = append(open, &scope{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
	}
}

// heed takes in the next token within an object. It returns false for a name that was there before.
func (s *scope) heed(token json.Token) bool {
	if s.names == nil || token == json.Delim('}') || token == json.Delim(']') {
		return true
	}
	if s.inPair = !s.inPair; !s.inPair {
		return true
	}
	name, _ := token.(string)
	again := s.names[name]
	s.names[name] = true
	return !again
}

// readString returns the string that a JSON value is; false if it is something else.
func readString(value json.RawMessage) (string, bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	var text string
	err := json.Unmarshal(value, &text)
	return text, err == nil
}
