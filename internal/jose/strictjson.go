package jose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// readObject reads one JSON object and returns its members by name, each value as it was written. It refuses what JSON
// parsers read differently from each other, so that nobody downstream sees another object than this package did: a
// member named twice at any depth (RFC 8725 section 2.4, RFC 7519 section 4) and text that is not UTF-8. Names keep
// their case, which encoding/json folds when it fills a struct.
func readObject(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, fmt.Errorf("%w: not JSON in UTF-8", ErrMalformed)
	}
	r := reader{text: data}
	if r.next() != '{' {
		return nil, fmt.Errorf("%w: not a JSON object", ErrMalformed)
	}
	return r.object()
}

// reader steps through text that json.Valid has accepted, and so looks for no other fault than a repeated name.
type reader struct {
	text []byte
	at   int
}

// next moves to the next byte that begins or ends a value and returns it.
func (r *reader) next() byte {
	for strings.IndexByte(" \t\r\n,:", r.text[r.at]) >= 0 {
		r.at++
	}
	return r.text[r.at]
}

func (r *reader) object() (map[string]json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	r.at++
	for r.next() != '}' {
		name := r.name()
		r.next()
		start := r.at
		if err := r.value(); err != nil {
			return nil, err
		}
		if _, again := members[name]; again {
			return nil, fmt.Errorf("%w: an object names a member twice", ErrMalformed)
		}
		members[name] = r.text[start:r.at]
	}
	r.at++
	return members, nil
}

func (r *reader) value() error {
	switch r.next() {
	case '{':
		_, err := r.object()
		return err
	case '[':
		return r.array()
	case '"':
		r.quoted()
	default:
		r.literal()
	}
	return nil
}

func (r *reader) array() error {
	r.at++
	for r.next() != ']' {
		if err := r.value(); err != nil {
			return err
		}
	}
	r.at++
	return nil
}

// literal passes a number, true, false or null.
func (r *reader) literal() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n,]}", r.text[r.at]) < 0 {
		r.at++
	}
}

// quoted passes a string and returns it as it was written, without its quotes.
func (r *reader) quoted() []byte {
	r.at++
	start := r.at
	for r.text[r.at] != '"' {
		if r.text[r.at] == '\\' {
			r.at++
		}
		r.at++
	}
	r.at++
	return r.text[start : r.at-1]
}

// name passes a string and returns what it means: "\u0061lg" names the same member as "alg".
func (r *reader) name() string {
	start := r.at
	raw := r.quoted()
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	name, _ := readString(r.text[start:r.at])
	return name
}

// readString returns the string that a JSON value is; false if it is something else. The value is of a text that readObject has
// accepted.
func readString(value json.RawMessage) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 { // It means what it is.
		return string(value[1 : len(value)-1]), true
	}
	var text string
	err := json.Unmarshal(value, &text)
	return text, err == nil
}

// readStrings returns the strings that an array of nothing else holds; false if a value is something else.
func readStrings(value json.RawMessage) ([]string, bool) {
	if len(value) == 0 || value[0] != '[' {
		return nil, false
	}
	several := []string{}
	for r := (reader{text: value, at: 1}); r.next() != ']'; {
		start := r.at
		if err := r.value(); err != nil {
			return nil, false
		}
		one, ok := readString(value[start:r.at])
		if !ok {
			return nil, false
		}
		several = append(several, one)
	}
	return several, true
}
