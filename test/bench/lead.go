package main

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// follower are flags of an operator that waits for the lead, and looks often.
func follower() []string {
	return []string{"--leader-elect=true", "--leader-elect-retry-period=100ms"}
}

// holdLead keeps an operator with those flags from reconciling: it starts and fills its caches, and then waits. So what it uses
// while it works can be told from what its start takes. The returned function gives it the lead.
func (p *Plane) holdLead(ctx context.Context) (release func() error, err error) {
	holder, forLong := "bench", int32((24 * time.Hour).Seconds())
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "keyturn-system", Name: "keyturn"},
	}
	if err := client.IgnoreNotFound(p.Client.Delete(ctx, lease)); err != nil {
		return nil, fmt.Errorf("delete lease: %w", err)
	}
	now := metav1.NewMicroTime(p.clock.Now())
	lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &forLong, AcquireTime: &now, RenewTime: &now}
	if err := p.Client.Create(ctx, lease); err != nil {
		return nil, fmt.Errorf("create lease: %w", err)
	}
	return func() error {
		lease.Spec.HolderIdentity = new("")
		if err := p.Client.Update(ctx, lease); err != nil {
			return fmt.Errorf("release lease: %w", err)
		}
		return nil
	}, nil
}
