package e2e_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/keyturn/keyturn/test/e2e/party"
)

// What somebody writes over in the certificate's Secret, or in the ConfigMap of its CA, comes back; a replica takes
// the new certificate without a restart, and no call of the webhooks fails meanwhile.
func theCertificateIsReplacedWithoutAFailedCall(t *testing.T, c *cluster) {
	restarts := c.operatorRestarts(t)
	stop := c.callAdmission(t, samplesNamespace, time.Hour)
	verifier := c.callJWKS(t)
	secret := get(t, c, operatorNamespace, "keyturn-webhook-cert", &corev1.Secret{})
	was := secret.Data[corev1.TLSCertKey]
	damaged := []byte("damaged")
	c.update(t, secret, func() { secret.Data[corev1.TLSCertKey] = damaged })
	var is []byte
	eventually(t, "there is another certificate", func() error {
		is = get(t, c, operatorNamespace, secret.Name, &corev1.Secret{}).Data[corev1.TLSCertKey]
		if bytes.Equal(damaged, is) || bytes.Equal(was, is) {
			return errors.New("there is none, or the same")
		}
		return nil
	})
	for _, pod := range c.replicas(t) {
		for _, port := range []string{"9443", "8443"} {
			eventually(t, pod.Name+" serves it", func() error { return serves(t, net.JoinHostPort(pod.Status.PodIP, port), is) })
		}
	}
	const more = 20
	before := verifier.Seen().OK
	eventually(t, "verifiers go on", func() error {
		if got := verifier.Seen().OK - before; got < more {
			return fmt.Errorf("they have fetched %d times, want %d", got, more)
		}
		return nil
	})
	published := get(t, c, operatorNamespace, authority, &corev1.ConfigMap{})
	trusted := published.Data["ca.crt"]
	c.update(t, published, func() { published.Data["ca.crt"] = "somebody else's" })
	eventually(t, "the CA is published again", func() error {
		if got := get(t, c, operatorNamespace, authority, &corev1.ConfigMap{}).Data["ca.crt"]; got != trusted {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
	admitted, refusals := stop()
	if len(refusals) > 0 || admitted == 0 {
		t.Errorf("%d admission calls were answered and %d failed: %v", admitted, len(refusals), refusals)
	}
	fetched := verifier.Seen()
	if fetched.Failures() > 0 {
		t.Errorf("JWKS requests failed: %v", fetched.Failed)
	}
	if again := c.operatorRestarts(t) - restarts; again != 0 {
		t.Errorf("replicas were started again %d times", again)
	}
	c.report.saw(t, "certificate replaced", "%d admission calls and %d JWKS requests by new connections meanwhile, 0 lost; no replica started again",
		admitted, fetched.OK)
}

// callJWKS has somebody fetch a JWKS by a new connection each time until the test ends.
func (c *cluster) callJWKS(t *testing.T) *party.Caller {
	t.Helper()
	url := externalURL + "/" + samplesNamespace + "/orders/jwks.json"
	caller := &party.Caller{URL: url, Clients: []*http.Client{c.client(t)}}
	c.repeat(t, caller.Call)
	return caller
}

// serves says whether a server has that certificate, of which it need not be said who vouches for it.
func serves(t *testing.T, address string, want []byte) error {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // What it serves is compared byte by byte.
	connection, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	block, _ := pem.Decode(want)
	if block == nil {
		return errors.New("what is wanted is no certificate")
	}
	if got := connection.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw; !bytes.Equal(got, block.Bytes) {
		return errors.New("it serves another one")
	}
	return nil
}

func (c *cluster) operatorRestarts(t *testing.T) int {
	t.Helper()
	sum := 0
	for _, pod := range c.replicas(t) {
		sum += c.restarts(t, &pod)
	}
	return sum
}
