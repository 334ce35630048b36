package operator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	realclock "k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/test/controlplane"
)

// operatorUser is who the operator is; its own writes do not pass its own webhooks.
const operatorUser = "system:serviceaccount:keyturn-system:keyturn"

// patience bounds every wait on a condition; it is never waited for when all is well.
const patience = 30 * time.Second

// operator is a running operator and its clock.
type operator struct {
	t        *testing.T
	clock    *clocktesting.FakeClock
	wake     *app.Wake
	requests *requests
	options  app.Options
	// tellToEnd is what SIGTERM does, and stop waits until it is done. ended is closed then, and failure is why.
	tellToEnd, stop func()
	ended           chan struct{}
	failure         error
	// reconcilesBefore is how many reconciles this process had done before, and busyBefore what its metrics count as waiting
	// or running though nothing is. A controller that starts sets the number of its running workers to zero.
	reconcilesBefore, busyBefore float64
}

// world is what one test works with.
type world struct {
	t  *testing.T
	c  client.Client
	op *operator
}

// begin starts an operator for one test. The clock starts at the present, at a whole second.
func begin(t *testing.T, change ...setup) *world {
	t.Helper()
	searched(t)
	c := overheard(t)
	installWebhooks(t, c)
	clock := clocktesting.NewFakeClock(realclock.RealClock{}.Now().Truncate(time.Second))
	w := &world{t: t, c: c, op: startOperator(t, clock, change...)}
	t.Cleanup(func() {
		defer w.op.stop()
		w.clear()
	})
	return w
}

// clear removes what the test declared, so that the next one's operator finds an empty cluster.
func (w *world) clear() {
	ctx := context.WithoutCancel(w.t.Context())
	var tokens v1alpha1.ServiceTokenList
	var keys v1alpha1.SigningKeyList
	var clients v1alpha1.TokenClientList
	var revocations v1alpha1.TokenRevocationList
	w.must(w.c.List(ctx, &tokens), w.c.List(ctx, &keys), w.c.List(ctx, &clients), w.c.List(ctx, &revocations))
	for i := range revocations.Items {
		w.must(client.IgnoreNotFound(w.c.Delete(ctx, &revocations.Items[i])))
	}
	for i := range clients.Items {
		w.must(client.IgnoreNotFound(w.c.Delete(ctx, &clients.Items[i])))
	}
	for i := range tokens.Items {
		w.must(client.IgnoreNotFound(w.c.Delete(ctx, &tokens.Items[i])))
	}
	for i := range keys.Items {
		w.must(client.IgnoreNotFound(w.c.Delete(ctx, &keys.Items[i])))
	}
}

// overheard is an administrator's client, of which it is noted what it is told.
func overheard(t *testing.T) client.Client {
	t.Helper()
	config := suite.Config(t)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return overhearing{next} })
	c, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// setup changes how an operator is started, and its access to the API server.
type setup func(*app.Options, *rest.Config)

// startOperator runs the program in this process until stop is called.
func startOperator(t *testing.T, clock *clocktesting.FakeClock, change ...setup) *operator {
	t.Helper()
	searched(t)
	o := &operator{t: t, clock: clock, requests: &requests{}, options: app.DefaultOptions()}
	o.wake = &app.Wake{
		SigningKeys: make(chan event.GenericEvent), ServiceTokens: make(chan event.GenericEvent), TokenClients: make(chan event.GenericEvent),
		DenyLists: make(chan event.GenericEvent),
	}
	o.options.LeaderElect, o.options.ShutdownDelay = false, 0
	o.options.WebhookHost, o.options.WebhookPort = "127.0.0.1", webhookPort(t)
	o.options.WebhookNames = []string{"127.0.0.1"}
	o.options.MetricsAddress, o.options.ProbeAddress, o.options.HTTPSAddress = "0", "0", "127.0.0.1:0"
	o.options.Clock, o.options.Wake = clock, o.wake
	o.reconcilesBefore, o.busyBefore = gauge(t, reconciles), gauge(t, waiting)
	config := suite.Config(t)
	config.Impersonate = rest.ImpersonationConfig{UserName: operatorUser, Groups: []string{"system:masters"}}
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper { return &recorder{requests: o.requests, next: next} }
	for _, f := range change {
		f(&o.options, config)
	}
	everything.secrets.DatabaseURL(o.options.TokenStore)
	if err := o.options.Complete(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	o.tellToEnd, o.ended = cancel, make(chan struct{})
	go func() {
		defer close(o.ended)
		o.failure = app.Run(ctx, config, o.options)
	}()
	o.stop = sync.OnceFunc(func() {
		cancel()
		o.awaitEnd()
		if o.failure != nil {
			t.Errorf("operator: %v", o.failure)
		}
	})
	return o
}

// awaitEnd waits until an operator that was told to end has done so, and lets the time pass that it goes on.
func (o *operator) awaitEnd() {
	o.t.Helper()
	err := wait.PollUntilContextTimeout(context.WithoutCancel(o.t.Context()), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		select {
		case <-o.ended:
			return true, nil
		default:
			o.clock.Step(o.options.ShutdownDelay)
			return false, nil
		}
	})
	if err != nil {
		o.t.Errorf("the operator does not end: %v", err)
	}
}

// step moves the operator's clock and makes its controllers look at every object, as their own timers would.
func (w *world) step(d time.Duration) {
	w.t.Helper()
	w.op.clock.Step(d)
	w.look()
}

func (w *world) look() {
	w.t.Helper()
	var keys v1alpha1.SigningKeyList
	var tokens v1alpha1.ServiceTokenList
	var clients v1alpha1.TokenClientList
	w.must(w.c.List(w.t.Context(), &keys), w.c.List(w.t.Context(), &tokens), w.c.List(w.t.Context(), &clients))
	watches := w.op.options.Operator.Watches
	for i := range keys.Items {
		if watches(keys.Items[i].Namespace) {
			w.op.wake.SigningKeys <- event.GenericEvent{Object: &keys.Items[i]}
			w.op.wake.DenyLists <- event.GenericEvent{Object: &keys.Items[i]}
		}
	}
	for i := range tokens.Items {
		if watches(tokens.Items[i].Namespace) {
			w.op.wake.ServiceTokens <- event.GenericEvent{Object: &tokens.Items[i]}
		}
	}
	for i := range clients.Items {
		if watches(clients.Items[i].Namespace) {
			w.op.wake.TokenClients <- event.GenericEvent{Object: &clients.Items[i]}
		}
	}
}

func (w *world) now() time.Time { return w.op.clock.Now() }

func (w *world) must(errs ...error) {
	w.t.Helper()
	for _, err := range errs {
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// eventually waits until check returns nil, and fails with its last error if it never does.
func (w *world) eventually(what string, check func() error) {
	w.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(w.t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		w.t.Fatalf("%s: %v", what, last)
	}
}

// read returns a fresh copy of an object.
func read[T client.Object](w *world, name client.ObjectKey, into T) (T, error) {
	err := w.c.Get(w.t.Context(), name, into)
	return into, err
}

// requests are the calls an operator made to the API server.
type requests struct {
	mu    sync.Mutex
	calls []call
	// away says that the API server cannot be reached, and silent that it does not even say so; streams are the watches that are open.
	away    bool
	silent  bool
	streams []io.Closer
}

type call struct{ method, path, query string }

func (c call) String() string { return c.method + " " + c.path }

// writes counts calls that change something; Leases and the webhook certificate are the operator's own.
func (r *requests) writes() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []call
	for _, c := range r.calls {
		own := bytes.Contains([]byte(c.path), []byte("/keyturn-system/")) || bytes.Contains([]byte(c.path), []byte("admissionregistration"))
		if c.method != http.MethodGet && !own {
			found = append(found, c)
		}
	}
	return found
}

// has says whether a call of that method, or of any if that is empty, was made whose path holds part.
func (r *requests) has(method, part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.calls, func(c call) bool { return (c.method == method || method == "") && strings.Contains(c.path, part) })
}

func (r *requests) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = nil
}

type recorder struct {
	requests *requests
	next     http.RoundTripper
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	away, silent := r.requests.add(request)
	if silent {
		<-request.Context().Done()
		return nil, request.Context().Err()
	}
	if away {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	response, err := r.next.RoundTrip(request)
	if err == nil && request.URL.Query().Get("watch") == "true" {
		r.requests.follow(response.Body)
	}
	return response, err
}

// add notes a request and says whether the API server is away, and whether nobody says so.
func (r *requests) add(request *http.Request) (away, silent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call{method: request.Method, path: request.URL.Path, query: request.URL.RawQuery})
	return r.away, r.silent
}

func (r *requests) follow(stream io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams = append(r.streams, stream)
}

// cut takes the API server away from the operator, or gives it back.
func (r *requests) cut(away bool) {
	r.mu.Lock()
	streams := r.streams
	r.away, r.streams = away, nil
	r.mu.Unlock()
	for _, stream := range streams {
		_ = stream.Close() // Most have ended before.
	}
}

// hush lets the API server answer nothing any more, as one that is frozen, or behind a network that drops everything.
func (r *requests) hush(silent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = silent
}

// reads are the calls that ask for something once.
func (r *requests) reads() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.calls), func(c call) bool {
		return c.method != http.MethodGet || strings.Contains(c.query, "watch=true")
	})
}

// installWebhooks installs the configuration of config/webhook, pointed at this process, once for all tests.
func installWebhooks(t *testing.T, c client.Client) {
	t.Helper()
	folder, err := controlplane.Path("config", "webhook")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fs.ReadFile(os.DirFS(folder), "manifests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	hooks := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := yaml.UnmarshalStrict(raw, hooks); err != nil {
		t.Fatal(err)
	}
	for i := range hooks.Webhooks {
		config := &hooks.Webhooks[i].ClientConfig
		url := fmt.Sprintf("https://127.0.0.1:%d%s", webhookPort(t), *config.Service.Path)
		config.Service, config.URL = nil, &url
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "keyturn-system"}}
	for _, object := range []client.Object{namespace, hooks} {
		if err := client.IgnoreAlreadyExists(c.Create(t.Context(), object)); err != nil {
			t.Fatal(err)
		}
	}
}

// webhookPort is a free port, the same for every operator of this process, so that one configuration serves all.
func webhookPort(t *testing.T) int {
	t.Helper()
	firstPort.Do(func() { sharedPort = freePort(t) })
	return sharedPort
}

var (
	firstPort  sync.Once
	sharedPort int
	portsTried atomic.Int32
)

// freePort is a port that nobody listens on, and below those that the kernel gives to connections: it is not bound yet, and one
// that is to be bound again and again must stay free meanwhile. Other processes begin to look elsewhere.
func freePort(t *testing.T) int {
	t.Helper()
	const lowest, ports, tries = 20000, 12000, 100
	for range tries {
		port := lowest + (os.Getpid()*tries+int(portsTried.Add(1)))%ports
		if listener, err := listen(t, port); err == nil {
			if err := listener.Close(); err != nil {
				t.Fatal(err)
			}
			return port
		}
	}
	t.Fatalf("none of %d ports is free", tries)
	return 0
}

func listen(t *testing.T, port int) (net.Listener, error) {
	t.Helper()
	return (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// logged is all that operators of this process have logged.
var logged = &logBuffer{}

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) write(prefix, args string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.WriteString(prefix + " " + args + "\n")
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Everything is logged that --zap-log-level lets anybody see.
func init() {
	app.SetLogger(funcr.New(logged.write, funcr.Options{Verbosity: 7}))
}

// objectWrites are the writes to objects of that namespace and name, with or without a subresource.
func (r *requests) objectWrites(ns, name string) []call {
	var found []call
	for _, c := range r.writes() {
		path := strings.TrimSuffix(c.path, "/status")
		if strings.Contains(path, "/namespaces/"+ns+"/") && strings.HasSuffix(path, "/"+name) {
			found = append(found, c)
		}
	}
	return found
}

// The metrics by which a test knows that an operator has come to rest.
const (
	reconciles = "controller_runtime_reconcile_total"
	waiting    = "workqueue_depth"
	running    = "controller_runtime_active_workers"
)

// gauge is the sum of all series of one metric of the process.
func gauge(t testing.TB, name string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sum
}
