package tokenrevocation

import (
	"time"

	"github.com/keyturn/keyturn/internal/denylist"
	domain "github.com/keyturn/keyturn/internal/domain/denylist"
)

// plan is what shall be.
type plan struct {
	// document is what the ConfigMap shall hold.
	document string
	// unpublished says, for each TokenRevocation in turn, that the document has no room for it.
	unpublished []bool
	// over says of each that the last token that it concerns has expired.
	over []bool
	// next is when the first entry is over; zero if never.
	next time.Time
}

// decide chooses what is published. Where there is no room for all, the oldest are: nobody can make a revocation ineffective by adding
// others.
func decide(issuer string, parts denylist.Gathered, now time.Time) (plan, error) {
	p := plan{unpublished: make([]bool, len(parts.Revocations)), over: make([]bool, len(parts.Revocations))}
	var entries []domain.Entry
	for _, e := range parts.Keys {
		if !e.IsOver(now) {
			entries = append(entries, e)
		}
	}
	places := make([]int, len(parts.Revocations))
	for i, r := range parts.Revocations {
		p.over[i], places[i] = r.Entry.IsOver(now), len(entries)
		if !p.over[i] {
			entries = append(entries, r.Entry)
		}
	}
	room, err := domain.Fitting(issuer, entries)
	if err != nil {
		return plan{}, err
	}
	for i := range parts.Revocations {
		p.unpublished[i] = !p.over[i] && places[i] >= room
	}
	document, err := domain.Compile(entries[:room], now).Encode(issuer)
	p.document, p.next = string(document), domain.Compile(entries, now).Next()
	return p, err
}

// takesBack says whether a document in the place of another would let tokens through that the other denies, although they are alive.
func takesBack(before, after string, now time.Time) bool {
	old, err := domain.Decode([]byte(before))
	if err != nil {
		return false // Nobody understands it.
	}
	remaining, err := domain.Decode([]byte(after))
	if err != nil {
		return true
	}
	list := domain.Compile(remaining, now)
	for _, e := range old {
		if !e.IsOver(now) && !list.Includes(e) {
			return true
		}
	}
	return false
}
