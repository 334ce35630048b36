package operator

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	realclock "k8s.io/utils/clock"

	"github.com/keyturn/keyturn/hack/local/certs"
	"github.com/keyturn/keyturn/internal/app"
)

// issue writes a certificate for 127.0.0.1 into a folder, as a mounted Secret changes.
func issue(t *testing.T, folder, name string) {
	t.Helper()
	authority, err := certs.NewAuthority(name, realclock.RealClock{}.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Server(name, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{"tls.crt": pair.Certificate, "tls.key": pair.Key} {
		if err := os.WriteFile(filepath.Join(folder, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACertificateInFilesIsServedAndFollowed(t *testing.T) {
	folder := t.TempDir()
	issue(t, folder, "first")
	w, v := beginServing(t, func(o *app.Options, _ *rest.Config) {
		o.TLSCertFile, o.TLSKeyFile = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	})
	serves := func(name string) func() error {
		return func() error {
			dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}} //nolint:gosec // It looks at what is served.
			conn, err := dialer.DialContext(t.Context(), "tcp", w.op.options.HTTPSAddress)
			if err != nil {
				return err
			}
			served := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
			if served != name {
				err = fmt.Errorf("the certificate %s is served", served)
			}
			return errors.Join(err, conn.Close())
		}
	}
	w.must(serves("first")(), v.isReady())
	issue(t, folder, "second")
	w.eventually("the second certificate is served", serves("second"))
}
