package webhookcert

import (
	"context"
	"crypto/tls"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

// The replica's clock starts two months ago, so that every certificate it issues on its way to today's new CA is valid for the
// API server as well, whose clock nobody moves.
func TestAKubeAPIServerCallsThroughARenewalOfTheCAWithoutAFailure(t *testing.T) {
	c := newRealCluster(t)
	clk := &suspended{}
	clk.missed.Store(int64(-60 * day))
	manager := c.start(clk)
	var newest atomic.Pointer[tls.Certificate]
	c.mustCreate(c.webhooks(c.serve(manager.GetCertificate),
		c.serve(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return newest.Load(), nil })))
	c.until("the replica becomes ready", func(context.Context) error { return manager.Ready(nil) })
	first := ParseMaterial(c.secret(t.Context()).Data)
	for range 2 {
		before := ParseMaterial(c.secret(t.Context()).Data).serving.Leaf
		c.step(clk, 20*day)
		c.until("the certificate is renewed", func(context.Context) error {
			if served, err := manager.GetCertificate(nil); err != nil || served.Leaf.Equal(before) {
				return errNotYet
			}
			return manager.Ready(nil)
		})
	}
	c.until("a call succeeds", func(ctx context.Context) error { return c.call(ctx, nil) })
	stop := c.calling()

	c.step(clk, 20*day)
	c.until("there is a second CA", func(ctx context.Context) error {
		if len(ParseMaterial(c.secret(ctx).Data).authorities) != 2 {
			return errNotYet
		}
		return nil
	})
	probe, err := issueServing(ParseMaterial(c.secret(t.Context()).Data), c.options.Names, c.options, clock.RealClock{}.Now())
	if err != nil {
		t.Fatal(err)
	}
	newest.Store(probe)
	c.until("the API server trusts the second CA", func(ctx context.Context) error {
		return c.call(ctx, map[string]string{probeLabel: "true"})
	})
	if served, err := manager.GetCertificate(nil); err != nil || served.Leaf.CheckSignatureFrom(first.authorities[0]) != nil {
		t.Errorf("the second CA signed what is served before the propagation was over (%v)", err)
	}
	c.step(clk, time.Minute)
	c.until("the second CA signs", func(context.Context) error {
		if served, err := manager.GetCertificate(nil); err != nil || served.Leaf.CheckSignatureFrom(first.authorities[0]) == nil {
			return errNotYet
		}
		return manager.Ready(nil)
	})
	if err := stop(); err != nil {
		t.Errorf("a call failed during the renewal: %v", err)
	}
	if err := c.call(t.Context(), nil); err != nil {
		t.Errorf("a call failed after the renewal: %v", err)
	}
}

func TestOnAKubeAPIServerWhatSomebodyDeletesComesBackToEveryReplica(t *testing.T) {
	c := newRealCluster(t)
	replicas := []*Manager{c.start(&suspended{}), c.start(&suspended{})}
	url := c.serve(replicas[0].GetCertificate)
	c.mustCreate(c.webhooks(url, url))
	settled := func(context.Context) error {
		for _, replica := range replicas {
			if err := replica.Ready(nil); err != nil {
				return err
			}
		}
		return nil
	}
	c.until("both replicas become ready", settled)

	deleted := c.secret(t.Context())
	if err := c.Delete(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	old := ParseMaterial(deleted.Data).serving.Leaf
	c.until("both replicas serve a new certificate", func(ctx context.Context) error {
		for _, replica := range replicas {
			if served, err := replica.GetCertificate(nil); err != nil || served.Leaf.Equal(old) {
				return errNotYet
			}
		}
		return settled(ctx)
	})
	c.until("a call succeeds", func(ctx context.Context) error { return c.call(ctx, nil) })
}
