// Package app puts the operator together: flags, caches, controllers, webhooks and their certificate.
package app

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/keyturn/keyturn/internal/spec"
	"github.com/keyturn/keyturn/internal/tokenservice"
	"github.com/keyturn/keyturn/internal/webhookcert"
)

// The floors that protect production from a typing error.
const (
	defaultMinimumDuration = 5 * time.Minute
	defaultSignerStaleness = 5 * time.Minute
	defaultAddressRate     = 1000
	defaultClientRate      = 200
)

// Options is how the operator runs.
type Options struct {
	// Version is what the metrics say of this build.
	Version string
	// Namespace is where the operator keeps its own Secret and Lease.
	Namespace   string
	LeaderElect bool
	Election    Election
	// ShutdownDelay is how long a replica that is told to end goes on serving while it says that it is not ready.
	ShutdownDelay time.Duration
	Operator      spec.Operator
	// Workers is how many objects of a kind are reconciled at once.
	Workers int
	// QPS and Burst limit the requests to the API server. A QPS of 0 is no limit: requests are as many at once as Workers of the
	// controllers, and the API server's own fairness says how fast they are answered.
	QPS   float64
	Burst int

	WebhookHost string
	WebhookPort int
	// WebhookNames are the DNS names and addresses under which API servers call the webhook.
	WebhookNames         []string
	WebhookConfiguration string
	// ExternalCertificate leaves the serving certificate and the caBundle to somebody else, such as cert-manager.
	ExternalCertificate bool

	// HTTPSAddress is where JWKS and discovery are served, as host:port; "0" for nowhere.
	HTTPSAddress string
	// TLSCertFile and TLSKeyFile hold the certificate to serve there; both are empty for the one that the webhook has.
	TLSCertFile, TLSKeyFile string
	// ExtAuthzAddress is where Envoys are answered, as host:port, with the same certificate; "0" for nowhere.
	ExtAuthzAddress string
	// GateCacheSize is how many verified tokens each TokenPolicy remembers.
	GateCacheSize int

	// TokenStore is the URL of the database with refresh tokens, and TokenStoreFile a file that has it; both are empty for none.
	TokenStore, TokenStoreFile string
	// TokenLimits bound how often clients may ask.
	TokenLimits tokenservice.Limits

	MetricsAddress string
	ProbeAddress   string
	// ProfilingAddress is where profiles are served, as host:port of the loopback interface; "0" for nowhere.
	ProfilingAddress string

	// Clock tells the time; tests step it.
	Clock clock.WithTicker
	// Wake makes the controllers look again at the objects that are sent, for tests that step the clock.
	Wake *Wake
}

// Wake is how a test that steps the clock makes the controllers look again.
type Wake struct {
	SigningKeys, ServiceTokens, TokenClients chan event.GenericEvent
	// DenyLists takes the SigningKeys whose deny lists are looked at.
	DenyLists chan event.GenericEvent
}

// DefaultOptions is how the operator runs without flags.
func DefaultOptions() Options {
	return Options{
		Namespace:   os.Getenv("POD_NAMESPACE"),
		LeaderElect: true, Election: defaultElection(), ShutdownDelay: defaultShutdownDelay,
		Operator: spec.Operator{SignerStaleness: defaultSignerStaleness, MinimumDuration: defaultMinimumDuration},
		Workers:  8, Burst: 1000,
		WebhookPort: 9443, WebhookConfiguration: "keyturn",
		HTTPSAddress: ":8443", ExtAuthzAddress: "0", GateCacheSize: defaultGateCache, MetricsAddress: ":8080", ProbeAddress: ":8081", ProfilingAddress: "0",
		TokenLimits: tokenservice.Limits{PerAddress: defaultAddressRate, PerClient: defaultClientRate},
		Clock:       clock.RealClock{},
	}
}

// BindFlags adds the operator's flags to a set.
func (o *Options) BindFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.Namespace, "namespace", o.Namespace,
		"namespace of the operator's own Secret and Lease (default $POD_NAMESPACE, else keyturn-system)")
	flags.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect, "let only one of several replicas reconcile")
	flags.Func("watch-namespaces", "comma-separated namespaces to work in, and in no other (default all)", func(list string) error {
		o.Operator.WatchedNamespaces = strings.Split(list, ",")
		return nil
	})
	o.Election.bindFlags(flags)
	flags.DurationVar(&o.ShutdownDelay, "shutdown-delay", o.ShutdownDelay,
		"how long to go on as before after SIGTERM, not ready any more, until nobody sends requests here; 0 to end at once")
	flags.StringVar(&o.Operator.ExternalURL, "external-url", o.Operator.ExternalURL,
		"https URL under which verifiers reach --https-bind-address; the issuer of a SigningKey without spec.issuer begins with it")
	flags.DurationVar(&o.Operator.MinimumDuration, "minimum-duration", o.Operator.MinimumDuration,
		"floor on spec.rotation.period and spec.tokens.maxDuration of a SigningKey and spec.duration of a ServiceToken, at least 1s")
	flags.DurationVar(&o.Operator.SignerStaleness, "signer-staleness", o.Operator.SignerStaleness,
		"how long a signer that hears nothing from the API server goes on signing, at least 1s; retired keys stay published that much longer")
	flags.IntVar(&o.Workers, "workers", o.Workers, "how many objects of a kind are reconciled at once, 1 to 256")
	flags.Float64Var(&o.QPS, "kube-api-qps", o.QPS, "requests per second to the API server, 0 for as many as it answers: --workers bounds how many are made at once")
	flags.IntVar(&o.Burst, "kube-api-burst", o.Burst, "requests at once to the API server, where --kube-api-qps limits them")
	flags.StringVar(&o.WebhookHost, "webhook-host", o.WebhookHost, "address the webhook listens on (default all)")
	flags.IntVar(&o.WebhookPort, "webhook-port", o.WebhookPort, "port the webhook listens on")
	flags.Func("webhook-dns-names", "comma-separated DNS names and addresses under which API servers call the webhook (default keyturn-webhook.<namespace>.svc)",
		func(list string) error {
			o.WebhookNames = strings.Split(list, ",")
			return nil
		})
	flags.StringVar(&o.WebhookConfiguration, "webhook-configuration", o.WebhookConfiguration,
		"name of the ValidatingWebhookConfiguration whose caBundle the operator keeps")
	flags.StringVar(&o.HTTPSAddress, "https-bind-address", o.HTTPSAddress, "address of JWKS, discovery and the gate, 0 for none")
	flags.StringVar(&o.TLSCertFile, "tls-cert-file", o.TLSCertFile,
		"PEM file with the certificate chain for --https-bind-address, reread when it changes (default the webhook's certificate)")
	flags.StringVar(&o.TLSKeyFile, "tls-key-file", o.TLSKeyFile, "PEM file with the private key of --tls-cert-file")
	flags.StringVar(&o.TokenStore, "token-store", o.TokenStore, "URL of the database with refresh tokens: sqlite:///path/to/file.db, "+
		"for one replica, or postgres://user@host/database (default none, and no refresh tokens)")
	flags.StringVar(&o.TokenStoreFile, "token-store-file", o.TokenStoreFile,
		"file with that URL, for one that has a password, which others could see in --token-store")
	flags.Float64Var(&o.TokenLimits.PerAddress, "token-endpoint-address-qps", o.TokenLimits.PerAddress,
		"requests per second to token endpoints from one address, or IPv6 network of 64 bits; a proxy has one for all its clients; 0 for any number")
	flags.Float64Var(&o.TokenLimits.PerClient, "token-endpoint-client-qps", o.TokenLimits.PerClient,
		"requests per second to token endpoints of one client that has proved itself; 0 for any number")
	flags.StringVar(&o.ExtAuthzAddress, "ext-authz-bind-address", o.ExtAuthzAddress,
		"address of Envoy's external authorization (ext_authz, gRPC), with the certificate of --https-bind-address, 0 for none")
	flags.IntVar(&o.GateCacheSize, "gate-cache-size", o.GateCacheSize,
		"how many verified tokens the gate remembers for each TokenPolicy, 0 to 1000000")
	flags.Func("webhook-certificate", "who keeps the certificate in Secret "+webhookcert.DefaultName+" and the caBundle: "+
		"managed, the operator itself, or external, such as cert-manager (default managed)", o.setCertificate)
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", o.MetricsAddress, "address of the metrics endpoint, 0 for none")
	flags.StringVar(&o.ProbeAddress, "health-probe-bind-address", o.ProbeAddress, "address of /healthz and /readyz")
	flags.StringVar(&o.ProfilingAddress, "pprof-bind-address", o.ProfilingAddress,
		"loopback address of /debug/pprof, as in 127.0.0.1:6060, 0 for none")
}

func (o *Options) setCertificate(keeper string) error {
	switch keeper {
	case "managed", "external":
		o.ExternalCertificate = keeper == "external"
		return nil
	default:
		return errors.New(`must be "managed" or "external"`)
	}
}

// Complete fills in what follows from other options and says what is wrong with them.
func (o *Options) Complete() error {
	if o.Namespace == "" {
		o.Namespace = "keyturn-system"
	}
	if len(o.WebhookNames) == 0 {
		service := "keyturn-webhook." + o.Namespace
		o.WebhookNames = []string{service + ".svc"}
		if !o.ExternalCertificate { // API servers use the short name, so that no more is asked of others.
			o.WebhookNames = append(o.WebhookNames, service+".svc.cluster.local")
		}
	}
	o.Operator.ExternalURL = strings.TrimSuffix(o.Operator.ExternalURL, "/")
	return errors.Join(
		atLeastSecond("--minimum-duration", o.Operator.MinimumDuration),
		atLeastSecond("--signer-staleness", o.Operator.SignerStaleness),
		checkNamespaces("--watch-namespaces", o.Operator.WatchedNamespaces),
		o.Election.check(),
		notNegative("--shutdown-delay", o.ShutdownDelay),
		between("--workers", o.Workers, 1, 256),
		between("--webhook-port", o.WebhookPort, 1, 65535),
		checkExternalURL(o.Operator.ExternalURL),
		o.checkHTTPS(),
		checkProfiling(o.ProfilingAddress),
		o.completeTokenStore(),
		o.checkExtAuthz(),
		between("--gate-cache-size", o.GateCacheSize, 0, 1_000_000),
	)
}

func atLeastSecond(name string, d time.Duration) error {
	if d < time.Second || d%time.Second != 0 {
		return fmt.Errorf("%s=%s: must be whole seconds, at least 1s", name, d)
	}
	return nil
}

func notNegative(name string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s=%s: must not be negative", name, d)
	}
	return nil
}

func between(name string, n, least, most int) error {
	if n < least || n > most {
		return fmt.Errorf("%s=%d: must be between %d and %d", name, n, least, most)
	}
	return nil
}

func (o *Options) checkHTTPS() error {
	if (o.TLSCertFile == "") != (o.TLSKeyFile == "") {
		return fmt.Errorf("--tls-cert-file=%q and --tls-key-file=%q: give both or neither", o.TLSCertFile, o.TLSKeyFile)
	}
	if !o.servesHTTPS() {
		return nil
	}
	if _, _, err := net.SplitHostPort(o.HTTPSAddress); err != nil {
		return fmt.Errorf("--https-bind-address=%q: must be host:port, as in :8443, or 0 for none", o.HTTPSAddress)
	}
	return nil
}

// checkProfiling keeps profiles from the network: a profile of the heap shows what the program holds, and anybody who may ask for one
// can keep it busy. Whoever may forward a port of the Pod reaches the loopback interface.
func checkProfiling(address string) error {
	if address == "0" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("--pprof-bind-address=%q: must be a loopback address and a port, as in 127.0.0.1:6060, or 0 for none", address)
	}
	return nil
}

func checkExternalURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("--external-url=%q: must be an https URL without user, query and fragment", text)
	}
	if host := u.Hostname(); !webhookcert.IsName(strings.ToLower(host)) {
		return fmt.Errorf("--external-url=%q: the host %q is neither a DNS name nor an IP address", text, host)
	}
	return nil
}
