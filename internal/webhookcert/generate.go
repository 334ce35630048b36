package webhookcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"slices"
	"time"
)

const (
	// An authority's name ends with its birth: verifiers look up issuers by name, and people tell old from new.
	authorityCommonName = "keyturn webhook CA "
	servingCommonName   = "keyturn webhook"
	// A tenth: renewal at two thirds of a backdated life then always lies ahead of the issue.
	lifeToBackdate = 10
	// Issue for want of a CA, then for want of a certificate, then a due CA: no state needs more at one instant.
	mostPlansAtOnce = 3
)

// converge carries out plans until one generates nothing, and returns the reasons of those that did.
func converge(have Material, seen Sightings, want Options, now time.Time) (Material, []string, error) {
	var reasons []string
	for range mostPlansAtOnce {
		plan := Decide(have, seen, want, now)
		if !plan.generates() {
			break
		}
		next, err := plan.generate(have, want, now)
		if err != nil {
			return have, nil, err
		}
		have, reasons = next, append(reasons, plan.Reason)
	}
	return have, reasons, nil
}

func (p Plan) generate(have Material, want Options, now time.Time) (Material, error) {
	var err error
	if p.RenewCA {
		if have, err = renewAuthority(have, want, now); err != nil {
			return have, err
		}
	}
	if p.IssueServing {
		have.serving, err = issueServing(have, p.namesFor(have, want), want, now)
	}
	return have, err
}

// namesFor never returns a name twice.
func (p Plan) namesFor(have Material, want Options) []string {
	names := want.allNames()
	if p.KeepNames {
		names = append(names, have.serving.Leaf.DNSNames...)
		for _, address := range have.serving.Leaf.IPAddresses {
			names = append(names, address.String())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// renewAuthority keeps the older authorities that are still valid: every certificate they signed expires before they do.
func renewAuthority(have Material, want Options, now time.Time) (Material, error) {
	template := validity(now, want.CALifetime, want.Backdate)
	template.Subject = pkix.Name{CommonName: authorityCommonName + now.UTC().Format(time.RFC3339)}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.MaxPathLenZero = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature

	der, key, err := sign(template, nil, nil)
	if err != nil {
		return have, fmt.Errorf("generate webhook CA: %w", err)
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return have, fmt.Errorf("generate webhook CA: %w", err)
	}
	have.signer = key
	have.authorities = slices.DeleteFunc(slices.Concat([]*x509.Certificate{authority}, have.authorities),
		func(authority *x509.Certificate) bool { return now.After(authority.NotAfter) })
	return have, nil
}

// issueServing never lets the certificate outlive its authority.
func issueServing(have Material, names []string, want Options, now time.Time) (*tls.Certificate, error) {
	life := min(want.ServingLifetime, have.authorities[0].NotAfter.Sub(now))
	template := validity(now, life, want.Backdate)
	template.Subject = pkix.Name{CommonName: servingCommonName}
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, key, err := sign(template, have.authorities[0], have.signer)
	if err != nil {
		return nil, fmt.Errorf("issue webhook certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue webhook certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// validity begins a template; certificates know whole seconds only.
func validity(now time.Time, life, backdate time.Duration) *x509.Certificate {
	return &x509.Certificate{
		NotBefore: now.Add(-min(backdate, life/lifeToBackdate)).Truncate(time.Second),
		NotAfter:  now.Add(life).Truncate(time.Second),
	}
}

// sign signs template for a fresh key, by that key itself where there is no parent. The serial number is random.
func sign(template, parent *x509.Certificate, signer crypto.Signer) ([]byte, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate: %w", err)
	}
	return der, key, nil
}
