// Package rotation decides the life of the keys of one ring: when a key is generated, when it may sign, when it stops,
// and when it leaves the published set.
//
// It is pure: a ring, a policy, what was observed and the instant go in; the next ring, what changed and the next
// instant to look again come out. It knows neither Kubernetes nor cryptography nor the clock.
//
// A key is published for a lead before it signs, so that every verifier has fetched it by then, and for as long after
// it stops as a token that it signed can live. Instants in a ring are whole seconds, as the API stores them; they are
// rounded to the side that waits longer.
package rotation
