package webhookcert

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestWhatSomebodyDestroysComesBack(t *testing.T) {
	cases := map[string]func(*testing.T, *cluster){
		"the caBundle is emptied":      func(_ *testing.T, c *cluster) { c.setBundle(nil) },
		"the caBundle is not PEM":      func(_ *testing.T, c *cluster) { c.setBundle([]byte("nonsense")) },
		"the caBundle is another CA's": func(t *testing.T, c *cluster) { c.setBundle(testData(t)[authoritiesEntry]) },
		"the caBundle of one webhook of two is emptied": func(t *testing.T, c *cluster) {
			configuration := c.configuration()
			configuration.Webhooks[1].ClientConfig.CABundle = nil
			if err := c.Update(t.Context(), configuration); err != nil {
				t.Fatal(err)
			}
		},
		"the webhook configuration is replaced": func(t *testing.T, c *cluster) {
			if err := errors.Join(c.Delete(t.Context(), testConfiguration()), c.Create(t.Context(), testConfiguration())); err != nil {
				t.Fatal(err)
			}
		},
		"the ConfigMap is deleted": func(t *testing.T, c *cluster) {
			if err := c.Delete(t.Context(), c.published()); err != nil {
				t.Fatal(err)
			}
		},
		"the ConfigMap is another CA's": func(t *testing.T, c *cluster) {
			published := c.published()
			published.Data[authoritiesEntry] = string(testData(t)[authoritiesEntry])
			if err := c.Update(t.Context(), published); err != nil {
				t.Fatal(err)
			}
		},
		"the Secret is deleted": func(t *testing.T, c *cluster) {
			if err := c.Delete(t.Context(), c.secret()); err != nil {
				t.Fatal(err)
			}
		},
		"the Secret is emptied": func(_ *testing.T, c *cluster) {
			c.damage(authoritiesEntry, authorityKeyEntry, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
		},
		"the CA is deleted":          func(_ *testing.T, c *cluster) { c.damage(authoritiesEntry) },
		"the CA's key is deleted":    func(_ *testing.T, c *cluster) { c.damage(authorityKeyEntry) },
		"the certificate is deleted": func(_ *testing.T, c *cluster) { c.damage(corev1.TLSCertKey) },
		"the private key is deleted": func(_ *testing.T, c *cluster) { c.damage(corev1.TLSPrivateKeyKey) },
	}
	for name, destroy := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, testConfiguration())
				a, b := c.start(testOptions()), c.start(testOptions())
				pause(time.Hour)
				destroy(t, c)
				pause(time.Second)
				mustBeReady(t, c, a, b)
				pause(5 * time.Minute)
				mustBeReady(t, c, a, b)
				mustServe(t, a, c.secret())
				if material := ParseMaterial(c.secret().Data); !material.canSign(a.clock.Now()) || !signedByNewest(material) {
					t.Error("the Secret is not whole again")
				}
				mustTrust(t, c, a)
			})
		})
	}
}

// damage deletes entries of the Secret as somebody else.
func (c *cluster) damage(entries ...string) {
	c.t.Helper()
	secret := c.secret()
	for _, entry := range entries {
		delete(secret.Data, entry)
	}
	if err := c.Update(c.t.Context(), secret); err != nil {
		c.t.Fatal(err)
	}
}

func TestSomebodyWhoUndoesEveryWriteIsNotRaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		manager := c.start(testOptions())
		pause(time.Minute)
		before := c.requests()["patch"]
		for range 6000 {
			if len(c.configuration().Webhooks[0].ClientConfig.CABundle) > 0 {
				c.setBundle(nil)
			}
			pause(firstRetry / 2)
			if got := c.requests()["patch"] - before; got > 30 {
				t.Fatalf("%d writes in less than ten minutes against somebody who undoes each at once", got)
			}
		}
		if got := c.requests()["patch"] - before; got < 10 {
			t.Errorf("%d attempts in ten minutes", got)
		}
		pause(2 * time.Minute)
		mustBeReady(t, c, manager)
	})
}

func TestAConflictIsSettledByReadingAgain(t *testing.T) {
	for name, test := range map[string]struct {
		verb string
		undo func(*cluster)
	}{
		"of the Secret":                {verb: "update", undo: func(c *cluster) { c.damage(corev1.TLSCertKey) }},
		"of the webhook configuration": {verb: "patch", undo: func(c *cluster) { c.setBundle([]byte("theirs")) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, testConfiguration())
				manager := c.start(testOptions())
				pause(time.Minute)
				before := c.requests()[test.verb]
				c.interfere(test.verb, func() error {
					c.interfere(test.verb, nil)
					test.undo(c)
					return nil
				})
				test.undo(c)
				pause(time.Second)
				if got := c.requests()[test.verb] - before; got != 2 {
					t.Errorf("%d requests, want the one that met the conflict and the one that settled it", got)
				}
				mustBeReady(t, c, manager)
				mustServe(t, manager, c.secret())
			})
		})
	}
}

// The other replica has written a Secret with a CA of its own after this one was deleted, and the API servers do not know it.
func TestACertificateThatCallersAcceptStaysInServiceUntilTheyAcceptTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, testConfiguration())
		manager := c.start(testOptions())
		pause(time.Minute)
		c.interfere("patch", func() error { return errors.New("connection refused") })
		if err := c.Delete(t.Context(), c.secret()); err != nil {
			t.Fatal(err)
		}
		pause(time.Minute)
		mustBeReady(t, c, manager)

		c.interfere("patch", nil)
		pause(2 * time.Minute)
		mustBeReady(t, c, manager)
		mustServe(t, manager, c.secret())
	})
}
