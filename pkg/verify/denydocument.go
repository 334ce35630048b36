package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// denyVersion is the one form of a deny list that this package reads.
const denyVersion = "1"

// denyList is what a document revokes, by claim and value: tokens that were issued before an instant.
type denyList struct {
	all                          time.Time // of the issuer
	ids, subjects, clients, keys map[string]time.Time
}

// denies takes a token without iat for one that was issued before anything.
func (l *denyList) denies(token *Token) bool {
	before := func(limit time.Time) bool { return token.IssuedAt.Before(limit) }
	return before(l.all) || before(l.ids[token.ID]) || before(l.subjects[token.Subject]) ||
		before(l.clients[token.ClientID]) || before(l.keys[token.KeyID])
}

// parseDenyList reads revocations.json:
//
//	{"version": 1, "issuer": "https://…", "revocations": [
//		{"jti": "…", "until": 1800000000},
//		{"sub": "…", "issuedBefore": 1790000000, "until": 1800000000}, …]}
//
// A revocation names one of the claims jti, sub and client_id, or the header kid, or none, which means every token of the
// issuer. Without issuedBefore it means all of them, whenever they were issued. It can be forgotten at until, which is not looked
// at here: what it denies has expired by then. A list that is of another issuer, or says something that this package does not
// know, is refused whole: whoever judges by a part of it lets in what was revoked.
func parseDenyList(data []byte, issuer string) (denyList, error) {
	members, ok := readObject(data)
	if !ok {
		return denyList{}, errors.New("parse deny list: not a JSON object with each name once")
	}
	if string(members["version"]) != denyVersion {
		return denyList{}, fmt.Errorf("parse deny list: version is not %s", denyVersion)
	}
	if named, _ := readString(members["issuer"]); named != issuer {
		return denyList{}, errors.New("parse deny list: it is of another issuer")
	}
	var revocations []json.RawMessage
	if err := json.Unmarshal(members["revocations"], &revocations); err != nil || revocations == nil {
		return denyList{}, errors.New("parse deny list: member revocations is not an array")
	}
	list := denyList{
		ids: map[string]time.Time{}, subjects: map[string]time.Time{}, clients: map[string]time.Time{}, keys: map[string]time.Time{},
	}
	for i, revocation := range revocations {
		if err := list.add(revocation); err != nil {
			return denyList{}, fmt.Errorf("parse deny list: revocations[%d]: %w", i, err)
		}
	}
	return list, nil
}

func (l *denyList) add(revocation json.RawMessage) error {
	members, ok := readObject(revocation)
	if !ok {
		return errors.New("not a JSON object")
	}
	before := time.Unix(maxNumericDate, 0) // after every iat
	var byValue map[string]time.Time
	var value string
	for name, member := range members {
		claims, named := map[string]map[string]time.Time{"jti": l.ids, "sub": l.subjects, "client_id": l.clients, "kid": l.keys}[name]
		read, isText := readString(member)
		seconds, err := strconv.ParseInt(string(member), 10, 64)
		switch {
		case named && byValue == nil && isText && read != "":
			byValue, value = claims, read
		case name == "issuedBefore" && err == nil && seconds >= 0 && seconds < maxNumericDate:
			before = time.Unix(seconds, 0)
		case name == "until" && err == nil:
		default:
			return fmt.Errorf("member %s cannot be read", name)
		}
	}
	if byValue == nil {
		l.all = later(l.all, before)
		return nil
	}
	byValue[value] = later(byValue[value], before)
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
