package rotation

import "time"

// NextSetChange is when the published set is planned to change next: the next key is generated, or a Retired one leaves. It
// lies in the past when the change is due and has not been made yet, and is zero while nothing is planned. A key that takes
// over changes nothing that is published.
func (r Ring) NextSetChange(p Policy) time.Time {
	a := &advance{ring: r, policy: p}
	var next time.Time
	if _, signs := r.ActiveKey(); signs && a.pending() < 0 {
		next = a.generationDue()
	}
	for _, k := range r.Keys {
		if leaves := k.RemoveAfter(); !leaves.IsZero() && (next.IsZero() || leaves.Before(next)) {
			next = leaves
		}
	}
	return next
}
