package denylist

import (
	"slices"
	"time"
)

// List is a compiled deny list of one issuer. It is immutable. A nil List denies nothing.
type List struct {
	entries []Entry
	// latest has, of the entries of one kind and value, the one that denies all that the others do.
	latest map[named]Entry
	next   time.Time
}

type named struct {
	kind  Kind
	value string
}

// Compile makes a List of the entries that are not over.
func Compile(entries []Entry, now time.Time) *List {
	l := &List{latest: make(map[named]Entry, len(entries))}
	for _, e := range entries {
		if e.IsOver(now) {
			continue
		}
		l.entries = append(l.entries, e)
		if !e.Until.IsZero() && (l.next.IsZero() || e.Until.Before(l.next)) {
			l.next = e.Until
		}
		name := named{e.Kind, e.Value}
		if known, ok := l.latest[name]; !ok || e.includes(known) {
			l.latest[name] = e
		}
	}
	slices.SortFunc(l.entries, compare)
	return l
}

// includes says whether an entry of the same kind and value denies all that another one does.
func (e Entry) includes(other Entry) bool {
	return e.IssuedBefore.IsZero() || !other.IssuedBefore.IsZero() && e.IssuedBefore.After(other.IssuedBefore)
}

// Denies says whether a token is taken back, and by which entry. It takes as long for a list of thousands as for a short one.
func (l *List) Denies(t Token) (Entry, bool) {
	if l == nil {
		return Entry{}, false
	}
	for _, kind := range kinds() {
		if e, ok := l.naming(t, kind); ok && e.denies(t.IssuedAt) {
			return e, true
		}
	}
	return Entry{}, false
}

// Includes says whether an entry of the list with the same name denies all that an entry does.
func (l *List) Includes(e Entry) bool {
	own, ok := l.latest[named{e.Kind, e.Value}]
	return ok && (own.IssuedBefore.Equal(e.IssuedBefore) || own.includes(e))
}

// NotBefore is the first instant at which a token like this one can be issued that the list does not deny at once; zero if any will do.
// A key that is revoked never can issue one: that is for whoever chooses the key to know.
func (l *List) NotBefore(t Token) time.Time {
	var first time.Time
	if l == nil {
		return first
	}
	for _, kind := range kinds() {
		if e, ok := l.naming(t, kind); ok && e.IssuedBefore.After(first) {
			first = e.IssuedBefore
		}
	}
	return first
}

// naming returns the entry of a kind that names the token.
func (l *List) naming(t Token, kind Kind) (Entry, bool) {
	value := t.value(kind)
	if value == "" && kind != Everything {
		return Entry{}, false
	}
	e, ok := l.latest[named{kind, value}]
	return e, ok
}

func kinds() [5]Kind { return [...]Kind{TokenID, Subject, ClientID, KeyID, Everything} }

// Entries are the entries, in the order of the document.
func (l *List) Entries() []Entry {
	if l == nil {
		return nil
	}
	return slices.Clone(l.entries)
}

// Len is the number of entries.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return len(l.entries)
}

// Next is when the first entry is over and the list is to be compiled anew; zero if never.
func (l *List) Next() time.Time {
	if l == nil {
		return time.Time{}
	}
	return l.next
}
