package app

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/source"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/keyturn/keyturn/controllers/servicetoken"
	"github.com/keyturn/keyturn/controllers/signingkey"
	"github.com/keyturn/keyturn/controllers/tokenclient"
	"github.com/keyturn/keyturn/controllers/tokenrevocation"
	"github.com/keyturn/keyturn/internal/freshness"
	"github.com/keyturn/keyturn/internal/kube"
	"github.com/keyturn/keyturn/internal/statemetrics"
	"github.com/keyturn/keyturn/internal/webhookcert"
	"github.com/keyturn/keyturn/webhook"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=keyturn-system,resources=leases,verbs=create
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=keyturn-system,resources=leases,resourceNames=keyturn,verbs=get;update
// +kubebuilder:rbac:groups="",namespace=keyturn-system,resources=events,verbs=create

// Run runs the operator until the context ends.
func Run(ctx context.Context, cluster *rest.Config, options Options) error {
	draining := &drain{}
	ctx, stop := draining.prolong(ctx, options.Clock, options.ShutdownDelay)
	defer stop()
	cluster = rest.CopyConfig(cluster)
	cluster.QPS, cluster.Burst = options.rate()
	certificate, err := newCertificate(cluster, options)
	if err != nil {
		return err
	}
	view := newView(options)
	mgr, err := newManager(cluster, options, certificate, view, draining)
	if err != nil {
		return err
	}
	if err := mgr.Add(certificate); err != nil {
		return fmt.Errorf("add webhook certificate: %w", err)
	}
	if err := addIndexes(ctx, mgr.GetFieldIndexer(), options.Operator); err != nil {
		return err
	}
	parts, err := newShared(ctx, mgr, options, view, certificate)
	if err != nil {
		return err
	}
	defer parts.close()
	if err := addControllers(ctx, mgr, options, parts); err != nil {
		return err
	}
	if err := addProbes(mgr, certificate, draining); err != nil {
		return err
	}
	if err := addView(ctx, mgr, view); err != nil {
		return err
	}
	told := []prometheus.Collector{
		buildInfo(options.Version), certificate, view, statemetrics.New(ctx, mgr.GetCache(), options.Operator), parts.lists.Collector(ctx),
	}
	https, err := addServers(ctx, mgr, options, parts)
	if err != nil {
		return err
	}
	if https != nil {
		https.Handler = draining.handler(https.Handler)
		told = append(told, https)
	}
	unregister, err := register(told...)
	if err != nil {
		return err
	}
	defer unregister()
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run manager: %w", err)
	}
	return nil
}

// rate is --kube-api-qps and --kube-api-burst in the words of client-go, to which 0 means 5 and -1 means no limit.
func (o *Options) rate() (qps float32, burst int) {
	if o.QPS == 0 {
		return -1, o.Burst
	}
	return float32(o.QPS), o.Burst
}

func newManager(
	cluster *rest.Config, options Options, certificate *webhookcert.Manager, view *freshness.View, draining *drain,
) (ctrl.Manager, error) {
	managed := ctrl.Options{
		Scheme: newScheme(),
		Cache:  cacheOptions(options.Operator, view),
		// The names of controllers are unique in a process that runs one operator; tests run one after another in theirs.
		Controller:             config.Controller{SkipNameValidation: new(true)},
		Metrics:                server.Options{BindAddress: options.MetricsAddress},
		HealthProbeBindAddress: options.ProbeAddress,
		PprofBindAddress:       options.ProfilingAddress,
		WebhookServer: &drainedServer{drain: draining, Server: ctrlwebhook.NewServer(ctrlwebhook.Options{
			Host: options.WebhookHost, Port: options.WebhookPort,
			TLSOpts: []func(*tls.Config){func(c *tls.Config) {
				c.MinVersion = tls.VersionTLS12
				c.GetCertificate = certificate.GetCertificate
			}},
		})},
	}
	electLeader(&managed, options)
	mgr, err := ctrl.NewManager(cluster, managed)
	if err != nil {
		return nil, fmt.Errorf("make manager: %w", err)
	}
	return mgr, nil
}

func newCertificate(cluster *rest.Config, options Options) (*webhookcert.Manager, error) {
	direct, err := client.NewWithWatch(cluster, client.Options{Scheme: newScheme()})
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return webhookcert.New(direct, options.Clock, webhookcert.Options{
		Namespace:            options.Namespace,
		WebhookConfiguration: options.WebhookConfiguration,
		Names:                options.WebhookNames,
		FurtherNames:         options.httpsNames(),
		External:             options.ExternalCertificate,
	})
}

func addControllers(ctx context.Context, mgr ctrl.Manager, o Options, parts *shared) error {
	rings, permits := parts.rings, parts.permits
	if err := forget(ctx, mgr.GetCache(), rings); err != nil {
		return err
	}
	keys := &signingkey.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("keyturn-signingkey"),
		Clock: o.Clock, Operator: o.Operator, Permit: permits, Workers: o.Workers,
	}
	tokens := &servicetoken.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(),
		Recorder: kube.NewSparingRecorder(mgr.GetEventRecorder("keyturn-servicetoken"), o.Clock),
		Clock:    o.Clock, Operator: o.Operator, Permit: permits, Workers: o.Workers, Rings: rings, DenyLists: parts.lists,
	}
	clients := &tokenclient.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("keyturn-tokenclient"),
		Clock: o.Clock, Operator: o.Operator, Permit: permits, Workers: o.Workers, Rings: rings,
		ServesHTTPS: o.servesHTTPS(),
	}
	revocations := &tokenrevocation.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("keyturn-tokenrevocation"),
		Clock: o.Clock, Operator: o.Operator, Workers: o.Workers, Rings: rings,
	}
	if parts.store != nil {
		revocations.Families = parts.store
	}
	if o.Wake != nil {
		keys.Wake, tokens.Wake = wakeSource(o.Wake.SigningKeys), wakeSource(o.Wake.ServiceTokens)
		clients.Wake, revocations.Wake = wakeSource(o.Wake.TokenClients), wakeSource(o.Wake.DenyLists)
	}
	if err := keys.SetupWithManager(mgr); err != nil {
		return err
	}
	if err := tokens.SetupWithManager(mgr); err != nil {
		return err
	}
	if err := clients.SetupWithManager(mgr); err != nil {
		return err
	}
	if err := revocations.SetupWithManager(mgr); err != nil {
		return err
	}
	webhook.Register(mgr.GetWebhookServer(), webhook.Options{
		Reader: mgr.GetClient(), APIReader: mgr.GetAPIReader(), Clock: o.Clock, Operator: o.Operator, Permit: permits, Rings: rings,
		DenyLists: parts.lists,
	})
	return nil
}

func wakeSource(events chan event.GenericEvent) source.Source {
	return source.Channel(events, &handler.EnqueueRequestForObject{})
}

func addProbes(mgr ctrl.Manager, certificate *webhookcert.Manager, draining *drain) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add liveness check: %w", err)
	}
	if err := mgr.AddReadyzCheck("webhook-server", mgr.GetWebhookServer().StartedChecker()); err != nil {
		return fmt.Errorf("add readiness check: %w", err)
	}
	if err := mgr.AddReadyzCheck("webhook-certificate", certificate.Ready); err != nil {
		return fmt.Errorf("add readiness check: %w", err)
	}
	if err := mgr.AddReadyzCheck("shutdown", draining.Ready); err != nil {
		return fmt.Errorf("add readiness check: %w", err)
	}
	return nil
}
