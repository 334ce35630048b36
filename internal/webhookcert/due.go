package webhookcert

import (
	"crypto/x509"
	"time"
)

// renewal is two thirds into a certificate's life. It is read off the certificate alone: replicas that run with different
// lifetimes, as they do during an upgrade, agree on it and never take turns in replacing each other's.
func renewal(certificate *x509.Certificate) time.Time {
	life := certificate.NotAfter.Sub(certificate.NotBefore)
	return certificate.NotBefore.Add(life / 3 * 2)
}

// urgency is five sixths into a certificate's life: half of the time that is left when it falls due.
func urgency(certificate *x509.Certificate) time.Time {
	life := certificate.NotAfter.Sub(certificate.NotBefore)
	return certificate.NotBefore.Add(life / 6 * 5)
}

// expiry is the first whole second at which a certificate is refused; at NotAfter itself it is still accepted.
func expiry(certificate *x509.Certificate) time.Time {
	return certificate.NotAfter.Add(time.Second)
}

// judgeServing plans a successor of a certificate that can still be served. Names that it has and nobody here wants do not
// count, and a successor issued for names keeps them: two replicas with different names end with one certificate for both.
func judgeServing(have Material, want Options, now time.Time) Plan {
	switch {
	case !signedByNewest(have):
		return Plan{IssueServing: true, Reason: "the serving certificate is signed by an older CA", Next: now}
	case !now.Before(renewal(have.serving.Leaf)):
		return Plan{IssueServing: true, Reason: "the serving certificate has lived two thirds of its life", Next: now}
	case covers(have.serving.Leaf, want.allNames()) != nil:
		return Plan{IssueServing: true, KeepNames: true, Reason: "the serving certificate lacks a name", Next: now}
	default:
		return Plan{}
	}
}

// signsFrom is when the newest authority may replace a certificate that can still be served; zero while it is not known. Its age
// is read off itself, so that no restart makes it younger.
func signsFrom(have Material, seen Sightings, want Options) time.Time {
	newest := have.authorities[0]
	if signedByNewest(have) {
		return newest.NotBefore
	}
	since, known := seen.since(newest)
	if !known {
		return time.Time{}
	}
	from := since.Add(want.Propagation)
	aged := earliest(newest.NotBefore.Add(want.Overlap), urgency(have.serving.Leaf))
	if aged.After(from) && covers(have.serving.Leaf, want.allNames()) == nil {
		return aged
	}
	return from
}

func signedByNewest(have Material) bool {
	return have.serving.Leaf.CheckSignatureFrom(have.authorities[0]) == nil
}
