package app

import (
	"context"
	"fmt"
	"net"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keyturn/keyturn/controllers/tokenpolicy"
	"github.com/keyturn/keyturn/internal/discovery"
	"github.com/keyturn/keyturn/internal/gate"
)

// defaultGateCache is a few megabytes for a policy with many callers.
const defaultGateCache = 1000

// addGate follows the TokenPolicies on every replica, and reports on them on the one that leads.
func addGate(ctx context.Context, mgr ctrl.Manager, o Options, published *discovery.Directory, parts *shared) (*gate.Gate, error) {
	policies := gate.NewDirectory(mgr.GetClient(), published, parts.lists.Denies, o.Operator, o.Clock, o.GateCacheSize)
	if err := policies.Follow(ctx, mgr.GetCache()); err != nil {
		return nil, err
	}
	reports := &tokenpolicy.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("keyturn-tokenpolicy"),
		Clock: o.Clock, Gate: policies, Workers: o.Workers,
	}
	if err := reports.SetupWithManager(mgr); err != nil {
		return nil, err
	}
	return gate.New(policies, parts.view, o.Clock), nil
}

// addExtAuthz answers Envoys, on every replica.
func addExtAuthz(mgr ctrl.Manager, o Options, decides *gate.Gate, certificate served) error {
	if !o.servesExtAuthz() {
		return nil
	}
	server := &gate.Server{Address: o.ExtAuthzAddress, Authorizer: gate.NewAuthorizer(decides), Certificate: certificate}
	if err := mgr.Add(server); err != nil {
		return fmt.Errorf("add ext_authz server: %w", err)
	}
	if err := mgr.AddReadyzCheck("ext-authz-server", server.Ready); err != nil {
		return fmt.Errorf("add readiness check: %w", err)
	}
	return nil
}

func (o *Options) servesExtAuthz() bool { return o.ExtAuthzAddress != "0" }

func (o *Options) checkExtAuthz() error {
	if !o.servesExtAuthz() {
		return nil
	}
	if _, _, err := net.SplitHostPort(o.ExtAuthzAddress); err != nil {
		return fmt.Errorf("--ext-authz-bind-address=%q: must be host:port, as in :9444, or 0 for none", o.ExtAuthzAddress)
	}
	return nil
}
