package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/keyturn/keyturn/hack/local/certs"
	"github.com/keyturn/keyturn/hack/local/process"
	"github.com/keyturn/keyturn/test/chaos/proxy"
)

// operator is its name among the programs of the cluster.
const operator = "keyturn"

// replica is one process of the operator, again and again, behind a proxy of its own.
type replica struct {
	world   *world
	name    string
	program process.Program
	proxy   *proxy.Proxy
	// webhook, https and probe are its addresses.
	webhook, https, probe string
	lives                 int
	pid                   int
	exited                <-chan struct{}
}

func (w *world) newReplica(ctx context.Context, name string, addresses []string) (*replica, error) {
	r := &replica{
		world: w, name: operator + "-" + name, program: w.local.Programs[operator],
		webhook: addresses[0], https: addresses[1], probe: addresses[2],
	}
	access, err := clientcmd.BuildConfigFromFlags("", filepath.Join(folder, "operator.kubeconfig"))
	if err != nil {
		return nil, fmt.Errorf("read the operator's kubeconfig: %w", err)
	}
	authority, err := certs.NewAuthority("keyturn-chaos", w.clock.Now())
	if err != nil {
		return nil, err
	}
	pair, err := authority.Server("proxy", "127.0.0.1")
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("read the proxy's certificate: %w", err)
	}
	if r.proxy, err = proxy.Listen(ctx, access, certificate); err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(folder, "pki", r.name+".kubeconfig")
	if err := (certs.Kubeconfig{Cluster: "keyturn-chaos", Server: r.proxy.URL(), User: operator}).Write(kubeconfig, authority); err != nil {
		return nil, err
	}
	r.program.IdentityFile = filepath.Join(folder, "pid", r.name+".json")
	r.program.Args = slices.Concat(r.program.Args, r.flags(kubeconfig))
	return r, nil
}

// flags overrule those of the cluster's own operator.
func (r *replica) flags(kubeconfig string) []string {
	_, webhookPort, _ := net.SplitHostPort(r.webhook) // It is one that was listened on.
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--webhook-port=" + webhookPort,
		"--https-bind-address=" + r.https,
		"--health-probe-bind-address=" + r.probe,
		"--metrics-bind-address=0",
		"--token-store=",
	}
}

// start starts the process, and returns when it is ready.
func (r *replica) start(ctx context.Context, flags ...string) error {
	r.lives++
	program := r.program
	program.LogFile = filepath.Join(folder, "log", fmt.Sprintf("%s-%03d.log", r.name, r.lives))
	program.Args = slices.Concat(program.Args, flags)
	if err := r.launch(ctx, program); err != nil {
		return err
	}
	return r.world.eventually(ctx, r.name+" is ready", func(ctx context.Context) error {
		if r.ended() { // As where it begins before the API server serves all that it asks for. A kubelet starts it again.
			return errors.Join(fmt.Errorf("%s has ended: its log tells why", r.name), r.launch(ctx, program))
		}
		return r.ready(ctx)
	})
}

func (r *replica) launch(ctx context.Context, program process.Program) error {
	daemon, err := process.Start(ctx, program)
	if err != nil {
		return err
	}
	identity, err := process.ReadFile(program.IdentityFile)
	if err != nil {
		return err
	}
	r.exited, r.pid = daemon.Exited(), identity.PID
	return nil
}

// ready asks the replica's own readiness check.
func (r *replica) ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.probe+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not ready: %s", r.name, response.Status)
	}
	return nil
}

// signal sends a signal to the process, and does nothing if it has ended.
func (r *replica) signal(what syscall.Signal) error {
	if r.ended() {
		return nil
	}
	found, err := os.FindProcess(r.pid)
	if err != nil {
		return fmt.Errorf("find %s: %w", r.name, err)
	}
	if err := found.Signal(what); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", r.name, err)
	}
	return nil
}

// ended says that the process has.
func (r *replica) ended() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// kill ends the process at once, if it runs.
func (r *replica) kill() error {
	if r.exited == nil {
		return nil
	}
	if err := r.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-r.exited
	return nil
}

// onSmallDisk has a folder of the program be a file system of its own, in memory. It goes when the program ends. Without root the
// program is root in a user namespace.
func onSmallDisk(program process.Program, folder string) process.Program {
	flags := []string{"--mount"}
	if os.Geteuid() != 0 {
		flags = append(flags, "--user", "--map-root-user")
	}
	const mount = `mount -t tmpfs -o size=` + diskSize + `,mode=0700 tmpfs "$1" && shift && exec "$@"`
	program.Args = slices.Concat(flags, []string{"--", "/bin/sh", "-c", mount, "disk", folder, program.Path}, program.Args)
	program.Path = "unshare"
	return program
}
