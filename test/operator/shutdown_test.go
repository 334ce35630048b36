package operator

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/app"
)

const shutdownDelay = 10 * time.Second

// address is a free port of this machine.
func address(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
}

// replica runs an operator as one of several.
func replica(webhook, probes string) setup {
	return func(options *app.Options, _ *rest.Config) {
		_, port, _ := net.SplitHostPort(webhook)
		options.WebhookPort, _ = strconv.Atoi(port)
		options.ProbeAddress, options.LeaderElect, options.ShutdownDelay = probes, true, shutdownDelay
		options.Election = app.Election{LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 100 * time.Millisecond}
	}
}

// probe says whether an operator says that it is ready, as the kubelet asks.
func (w *world) probe(probes string) error {
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+probes+"/readyz", nil)
	w.must(err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(response.Body)
		return fmt.Errorf("%s: %s", response.Status, said)
	}
	return nil
}

// service leads connections to one of several servers, as a Service does: a new one to the present server, an old one stays.
type service struct {
	present atomic.Value
	mu      sync.Mutex
	open    map[string]int
}

// serve listens where the webhook configuration points to.
func (s *service) serve(t *testing.T) {
	t.Helper()
	s.open = map[string]int{}
	listener, err := listen(t, webhookPort(t))
	if err != nil {
		t.Fatal(err)
	}
	var connections sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		connections.Wait()
	})
	connections.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { s.lead(ctx, connection) })
		}
	})
}

func (s *service) lead(ctx context.Context, client net.Conn) {
	to := s.present.Load().(string)
	s.count(to, 1)
	defer s.count(to, -1)
	defer func() { _ = client.Close() }()
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	both.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	both.Wait()
}

func (s *service) count(to string, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[to] += by
}

func (s *service) connections(to string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[to]
}

// callers create SigningKeys without end, each a call of the webhook that must not fail, and count them.
func (w *world) callers(ns string) (calls *atomic.Int64, stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	calls = &atomic.Int64{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				err := w.c.Create(ctx, newKey(ns, "probe"), client.DryRunAll)
				if err != nil && ctx.Err() == nil {
					w.t.Errorf("a call failed: %v", err)
					return
				}
				calls.Add(1)
			}
		})
	}
	return calls, func() {
		cancel()
		all.Wait()
	}
}

func TestAReplicaThatIsToldToEndGoesOnUntilNobodyCallsItAnyMore(t *testing.T) {
	ns := suite.Namespace(t, nil)
	old, oldProbes, next, nextProbes := address(t), address(t), address(t), address(t)
	s := &service{}
	s.present.Store(old)
	s.serve(t)
	w := begin(t, replica(old, oldProbes))
	w.eventually("the first replica is ready", func() error { return w.probe(oldProbes) })
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, []*v1alpha1.ServiceToken{newToken(ns, "cart", "shop")})
	leaving := w.op
	w.op = startOperator(t, leaving.clock, replica(next, nextProbes))
	w.eventually("the second replica is ready", func() error { return w.probe(nextProbes) })
	leader := w.leads()
	calls, stop := w.callers(ns)
	defer stop()
	more := func(what string) {
		before := calls.Load()
		w.eventually(what, func() error {
			if n := calls.Load() - before; n < 20 {
				return fmt.Errorf("%d calls", n)
			}
			return nil
		})
	}
	more("calls before")

	leaving.tellToEnd()
	w.eventually("it is not ready any more", func() error {
		if err := w.probe(oldProbes); err == nil {
			return fmt.Errorf("it is ready")
		}
		return nil
	})
	more("calls while nobody knows yet")
	if now := w.leader(); now != leader {
		t.Errorf("the leader is %q, was %q", now, leader)
	}
	s.present.Store(next)
	w.eventually("no connection to it is left", func() error {
		if n := s.connections(old); n > 0 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	select {
	case <-leaving.ended:
		t.Error("it has ended before its time")
	default:
		leaving.stop()
	}
	if now := w.leads(); now == leader {
		t.Errorf("%s still leads", now)
	}
	more("calls after")
}

// leader is who holds the Lease, or nobody.
func (w *world) leader() string {
	w.t.Helper()
	lease, err := read(w, client.ObjectKey{Namespace: "keyturn-system", Name: "keyturn"}, &coordinationv1.Lease{})
	w.must(client.IgnoreNotFound(err))
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// leads waits until somebody leads.
func (w *world) leads() (leader string) {
	w.t.Helper()
	w.eventually("somebody leads", func() error {
		if leader = w.leader(); leader == "" {
			return fmt.Errorf("nobody does")
		}
		return nil
	})
	return leader
}

func TestTheLeaseIsReleasedAtTheEnd(t *testing.T) {
	probes := address(t)
	w := begin(t, replica(net.JoinHostPort("127.0.0.1", strconv.Itoa(webhookPort(t))), probes), func(options *app.Options, _ *rest.Config) {
		options.ShutdownDelay = 0
	})
	w.leads()
	w.op.stop()
	if leader := w.leader(); leader != "" {
		t.Errorf("%s still holds the Lease", leader)
	}
}

func TestALeaderWhoseLeaseSomebodyElseHoldsEndsWithAnError(t *testing.T) {
	w := begin(t, replica(net.JoinHostPort("127.0.0.1", strconv.Itoa(webhookPort(t))), address(t)), func(options *app.Options, _ *rest.Config) {
		options.ShutdownDelay = 0
	})
	deposed := w.op
	w.op = &operator{t: t, clock: deposed.clock, stop: func() {}}
	w.leads()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "keyturn-system", Name: "keyturn"}}
	w.patch(lease, func() {
		lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds = new("somebody-else"), new(int32(3600))
	})
	defer func() { w.must(w.c.Delete(context.WithoutCancel(t.Context()), lease)) }()
	deposed.awaitEnd()
	if err := deposed.failure; err == nil || err.Error() != "run manager: leader election lost" {
		t.Errorf("it ends with %v", err)
	}
}
