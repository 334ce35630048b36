package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/discovery"
	"github.com/keyturn/keyturn/internal/freshness"
	"github.com/keyturn/keyturn/internal/gate"
	"github.com/keyturn/keyturn/internal/webhookcert"
)

func newView(o Options) *freshness.View { return freshness.New(o.Clock, o.Operator.LongestView()) }

// addView fills every cache from the start and on every replica: whoever is asked first, or takes over, finds them filled.
func addView(ctx context.Context, mgr ctrl.Manager, view *freshness.View) error {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	for _, kept := range []client.Object{
		&v1alpha1.SigningKey{}, &v1alpha1.ServiceToken{}, &v1alpha1.TokenClient{}, &v1alpha1.TokenPolicy{}, &v1alpha1.TokenRevocation{},
		&corev1.Secret{}, &corev1.ConfigMap{}, namespace,
	} {
		if _, err := mgr.GetCache().GetInformer(ctx, kept); err != nil {
			return fmt.Errorf("fill cache: %w", err)
		}
	}
	if err := mgr.AddReadyzCheck("cluster-view", logged(mgr.GetLogger().WithName("freshness"), view.Fresh)); err != nil {
		return fmt.Errorf("add readiness check: %w", err)
	}
	return nil
}

// logged logs when a check begins to fail, and when it succeeds again: the probe's answer withholds the reason.
func logged(logger logr.Logger, check healthz.Checker) healthz.Checker {
	var failing atomic.Bool
	return func(request *http.Request) error {
		err := check(request)
		switch before := failing.Swap(err != nil); {
		case err != nil && !before:
			logger.Info("the view of the cluster is too old, so this replica is not ready", "reason", err.Error())
		case err == nil && before:
			logger.Info("the view of the cluster is fresh")
		}
		return err
	}
}

// addServers serves what verifiers fetch, and decides for those who do not verify themselves, on every replica. It returns the HTTPS
// server, or nil if there is none.
func addServers(ctx context.Context, mgr ctrl.Manager, o Options, parts *shared) (*discovery.Server, error) {
	directory := discovery.NewDirectory(mgr.GetClient(), parts.rings, o.Operator)
	if err := directory.Follow(ctx, mgr.GetCache()); err != nil {
		return nil, err
	}
	decides, err := addGate(ctx, mgr, o, directory, parts)
	if err != nil || !o.servesHTTPS() && !o.servesExtAuthz() {
		return nil, err
	}
	served, err := servedCertificate(mgr, o, parts.certificate)
	if err != nil {
		return nil, err
	}
	if err := addExtAuthz(mgr, o, decides, served); err != nil || !o.servesHTTPS() {
		return nil, err
	}
	documents := discovery.NewHandler(directory, parts.lists, parts.view, o.Clock, o.Operator.ExternalURL, rand.Float64).Measured()
	server := &discovery.Server{
		Address: o.HTTPSAddress, Certificate: served,
		Handler: gate.NewHandler(decides, o.Operator.ExternalURL, tokenEndpoints(mgr, o, parts, documents)),
	}
	if err := mgr.Add(server); err != nil {
		return nil, fmt.Errorf("add HTTPS server: %w", err)
	}
	if err := mgr.AddReadyzCheck("https-server", server.Ready); err != nil {
		return nil, fmt.Errorf("add readiness check: %w", err)
	}
	return server, nil
}

// served gives the certificate for a handshake.
type served = func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// servedCertificate is the one in the files that the flags name, else the webhook's.
func servedCertificate(mgr ctrl.Manager, o Options, certificate *webhookcert.Manager) (served, error) {
	if o.TLSCertFile == "" {
		return certificate.GetCertificate, nil
	}
	files, err := certwatcher.New(o.TLSCertFile, o.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read --tls-cert-file and --tls-key-file: %w", err)
	}
	if err := mgr.Add(files); err != nil {
		return nil, fmt.Errorf("watch --tls-cert-file: %w", err)
	}
	return files.GetCertificate, nil
}

func (o *Options) servesHTTPS() bool { return o.HTTPSAddress != "0" }

// httpsNames are the names under which verifiers and proxies reach the servers, if it has the webhook's certificate: its Service, and
// the host of the external URL.
func (o *Options) httpsNames() []string {
	if !o.servesHTTPS() && !o.servesExtAuthz() || o.TLSCertFile != "" {
		return nil
	}
	service := "keyturn." + o.Namespace + ".svc"
	names := []string{service, service + ".cluster.local"}
	if external, err := url.Parse(o.Operator.ExternalURL); err == nil && external.Hostname() != "" {
		names = append(names, strings.ToLower(external.Hostname()))
	}
	return names
}
