package denylist

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The limits of a document that has to fit into a ConfigMap, which has 1 MiB with everything in it.
const (
	MaxEntries = 10_000
	MaxBytes   = 900 << 10
)

// version is the form of the document. pkg/verify reads it too.
const version = 1

type document struct {
	Version     int          `json:"version"`
	Issuer      string       `json:"issuer"`
	Revocations []revocation `json:"revocations"`
}

// revocation names what is taken back as the token has it. At most one of the first four is there. Instants are NumericDates (RFC 7519
// section 2).
type revocation struct {
	TokenID      string `json:"jti,omitempty"`
	Subject      string `json:"sub,omitempty"`
	ClientID     string `json:"client_id,omitempty"`
	KeyID        string `json:"kid,omitempty"`
	IssuedBefore *int64 `json:"issuedBefore,omitempty"`
	Until        *int64 `json:"until,omitempty"`
}

// Encode writes the document of an issuer, whole. The same entries are always the same bytes.
func (l *List) Encode(issuer string) ([]byte, error) {
	doc := document{Version: version, Issuer: issuer, Revocations: []revocation{}}
	for _, e := range l.Entries() {
		doc.Revocations = append(doc.Revocations, e.encode())
	}
	encoded, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode deny list: %w", err)
	}
	return encoded, nil
}

func (e Entry) encode() revocation {
	r := revocation{IssuedBefore: numericDate(e.IssuedBefore), Until: numericDate(e.Until)}
	switch e.Kind {
	case TokenID:
		r.TokenID = e.Value
	case Subject:
		r.Subject = e.Value
	case ClientID:
		r.ClientID = e.Value
	case KeyID:
		r.KeyID = e.Value
	case Everything:
	}
	return r
}

func numericDate(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	seconds := t.Unix()
	return &seconds
}

// Fitting says how many of the entries, from the first one on, a document of the issuer has room for within MaxEntries and MaxBytes.
func Fitting(issuer string, entries []Entry) (int, error) {
	empty, err := (*List)(nil).Encode(issuer)
	if err != nil {
		return 0, err
	}
	size := len(empty)
	for i, e := range entries {
		encoded, err := json.Marshal(e.encode())
		if err != nil {
			return 0, fmt.Errorf("encode deny list: %w", err)
		}
		size += len(encoded) + len(",")
		if size > MaxBytes || i == MaxEntries {
			return i, nil
		}
	}
	return len(entries), nil
}

// Decode reads the entries of a document that Encode has made. It is for whoever is about to replace one; applications read it with
// pkg/verify.
func Decode(data []byte) ([]Entry, error) {
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil || doc.Version != version {
		return nil, errors.New("decode deny list: not a document of this version")
	}
	entries := make([]Entry, 0, len(doc.Revocations))
	for _, r := range doc.Revocations {
		entries = append(entries, r.decode())
	}
	slices.SortFunc(entries, compare)
	return entries, nil
}

func (r revocation) decode() Entry {
	e := Entry{IssuedBefore: instant(r.IssuedBefore), Until: instant(r.Until)}
	for kind, value := range map[Kind]string{TokenID: r.TokenID, Subject: r.Subject, ClientID: r.ClientID, KeyID: r.KeyID} {
		if value != "" {
			e.Kind, e.Value = kind, value
		}
	}
	return e
}

func instant(seconds *int64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return time.Unix(*seconds, 0).UTC()
}
