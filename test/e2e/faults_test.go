package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/keyturn/keyturn/hack/local/process"
	"github.com/keyturn/keyturn/test/e2e/party"
)

// The leader gets SIGKILL when the next key is published and does not sign yet. Nothing releases its Lease.
func theLeaderIsKilledInTheMiddleOfARotation(t *testing.T, p *parties) {
	c := p.c
	var took time.Duration
	f := p.during(t, func() {
		leader, _ := c.mustLead(t)
		was := c.identity(t)
		p.awaitPending(t)
		must(t, c.process(t, operatorNamespace, leader).Signal(syscall.SIGKILL))
		killed := c.clock.Now()
		c.awaitAnotherLeader(t, was)
		took = c.clock.Since(killed)
		p.awaitRotations(t, 1)
		c.awaitOperator(t)
	})
	c.report.saw(t, "leader killed in a rotation", "another leads after %s; %s", took.Round(time.Second), f)
}

// The leader's process stops for longer than its Lease, and goes on in the belief that it leads.
func aReplicaIsFrozenPastItsLease(t *testing.T, p *parties) {
	const calls = 20
	c := p.c
	var answered, lasted time.Duration
	f := p.during(t, func() {
		leader, other := c.mustLead(t)
		was := c.identity(t)
		thaw := freeze(t, c.process(t, operatorNamespace, leader))
		frozen := c.clock.Now()
		c.awaitAnotherLeader(t, was)
		c.awaitServed(t, leader, false)
		// The API server may hold a connection to the frozen replica, and needs its time to notice.
		eventually(t, "the other replica answers the API server", func() error { return c.admit(t.Context(), p.key.Namespace, shortToken) })
		answered = c.clock.Since(frozen)
		for range calls {
			c.mustAdmit(t, p.key.Namespace)
		}
		p.awaitRotations(t, 1)
		thaw()
		lasted = c.clock.Since(frozen)
		c.awaitServed(t, leader, true)
		c.awaitOperator(t)
		if now, _ := c.mustLead(t); now != other {
			t.Errorf("after the thaw %s leads, want %s", now, other)
		}
		p.awaitRotations(t, 1)
	})
	c.report.saw(t, "leader frozen past its Lease", "for %s, and %d admission calls through the other after %s; %s",
		lasted.Round(time.Second), calls, answered.Round(time.Second), f)
}

// freeze stops a process until thaw is called or the test ends.
func freeze(t *testing.T, process *os.Process) (thaw func()) {
	t.Helper()
	must(t, process.Signal(syscall.SIGSTOP))
	thaw = sync.OnceFunc(func() {
		if err := process.Signal(syscall.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("thaw a process: %v", err)
		}
	})
	t.Cleanup(thaw)
	return thaw
}

// Each replica is replaced by another while requests go on.
func aRollingUpdateLosesNoRequest(t *testing.T, p *parties) {
	c := p.c
	caller := newPod(p.key.Namespace, "caller", []string{
		"call", "-url=" + externalURL + "/" + p.key.Namespace + "/" + p.key.Name + "/jwks.json", "-ca=/run/ca/ca.crt",
	}, mountConfigMap("/run/ca", authority))
	c.create(t, caller)
	c.awaitPods(t, caller)
	before := counts[party.Tally](t, c, caller)
	stop := c.callAdmission(t, p.key.Namespace, shortToken)
	f := p.during(t, func() { c.restart(t) })
	admitted, refusals := stop()
	after := counts[party.Tally](t, c, caller)
	must(t, c.Delete(t.Context(), caller))
	if after.Failures() > 0 {
		t.Errorf("JWKS requests failed: %v", after.Failed)
	}
	if len(refusals) > 0 {
		t.Errorf("%d admission calls failed, the first with: %v", len(refusals), refusals[0])
	}
	got := after.OK - before.OK
	if got == 0 || admitted == 0 {
		t.Errorf("%d JWKS requests and %d admission calls were made meanwhile, want some of each", got, admitted)
	}
	c.report.saw(t, "rolling update", "%d admission calls and %d JWKS requests meanwhile, 0 lost; %s", admitted, got, f)
}

// restart replaces all replicas, as an upgrade does.
func (c *cluster) restart(t *testing.T) {
	t.Helper()
	c.rollOut(t, "rollout", "restart")
}

// rollOut has kubectl do something to the Deployment, and waits until its replicas are replaced.
func (c *cluster) rollOut(t *testing.T, do ...string) {
	t.Helper()
	deployment := []string{"deployment/" + operatorName, "--namespace=" + operatorNamespace}
	c.kubectl(t, slices.Insert(do, 2, deployment...)...)
	c.kubectl(t, append([]string{"rollout", "status", operatorTimeout}, deployment...)...)
	c.awaitOperator(t)
}

// callAdmission asks the webhook of ServiceTokens over and over until stop is called, which returns what came of it.
func (c *cluster) callAdmission(t *testing.T, namespace string, life time.Duration) (stop func() (admitted int, refusals []error)) {
	t.Helper()
	var admitted int
	var refusals []error
	end := c.repeat(t, func(ctx context.Context) {
		switch err := c.admit(ctx, namespace, life); {
		case ctx.Err() != nil:
		case err != nil:
			refusals = append(refusals, err)
		default:
			admitted++
		}
	})
	return func() (int, []error) {
		end()
		return admitted, refusals
	}
}

// repeat does something ten times a second until end is called or the test ends.
func (c *cluster) repeat(t *testing.T, do func(context.Context)) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := c.clock.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			do(ctx)
			select {
			case <-ticker.C():
			case <-ctx.Done():
			}
		}
	}()
	end = func() {
		cancel()
		<-ended
	}
	t.Cleanup(end)
	return end
}

// A replica that cannot reach the API server any more gets no requests, until it can.
func aReplicaIsCutOffFromTheAPIServer(t *testing.T, p *parties) {
	c := p.c
	var noticed time.Duration
	f := p.during(t, func() {
		_, follower := c.mustLead(t)
		mend := c.cutOff(t, follower)
		cut := c.clock.Now()
		c.awaitServed(t, follower, false)
		noticed = c.clock.Since(cut)
		c.mustAdmit(t, p.key.Namespace)
		mend()
		c.awaitServed(t, follower, true)
		c.awaitOperator(t)
	})
	c.report.saw(t, "replica cut off from the API server", "gets no requests after %s, and again when it is back; %s", noticed.Round(time.Second), f)
}

// cutOff drops, in a pod's own network, what is sent to the API server, until mend is called or the test ends.
func (c *cluster) cutOff(t *testing.T, pod string) (mend func()) {
	t.Helper()
	address := get(t, c, "default", "kubernetes", &corev1.Service{}).Spec.ClusterIP
	network := fmt.Sprintf("--net=/proc/%d/ns/net", c.process(t, operatorNamespace, pod).Pid)
	c.run(t, "nsenter", network, "iptables", "--insert", "OUTPUT", "--destination", address, "--jump", "DROP")
	mend = sync.OnceFunc(func() {
		c.run(t, "nsenter", network, "iptables", "--delete", "OUTPUT", "--destination", address, "--jump", "DROP")
	})
	t.Cleanup(mend)
	return mend
}

// The API server stops for longer than the operator may go without it. Nothing rotates, what is there verifies, and all goes
// on when it is back.
func theAPIServerDoesNotAnswer(t *testing.T, p *parties) {
	const times = 20
	c := p.c
	var lasted time.Duration
	f := p.during(t, func() {
		replicas := c.replicas(t)
		before := counts[party.Presented](t, c, p.presenters[0])
		thaw := freeze(t, c.apiServer(t))
		frozen := c.clock.Now()
		for _, pod := range replicas {
			eventually(t, pod.Name+" says that its view of the cluster is too old", func() error {
				_, err := c.ask(t, "http://"+net.JoinHostPort(pod.Status.PodIP, "8081")+"/readyz")
				return refusedFor(err, "cluster-view failed")
			})
		}
		eventually(t, "tokens are presented meanwhile", func() error {
			if more := counts[party.Presented](t, c, p.presenters[0]).OK - before.OK; more < times {
				return fmt.Errorf("%d were accepted, want %d", more, times)
			}
			return nil
		})
		thaw()
		lasted = c.clock.Since(frozen)
		c.awaitOperator(t)
		p.awaitGranted(t)
		p.awaitRotations(t, 1)
	})
	c.report.saw(t, "API server frozen", "for %s, in which both replicas stop being ready; %s", lasted.Round(time.Second), f)
}

// apiServer is the process of the cluster's API server.
func (c *cluster) apiServer(t *testing.T) *os.Process {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.folder, "pid", "kube-apiserver.json"))
	must(t, err)
	var identity process.Identity
	must(t, json.Unmarshal(text, &identity))
	found, err := os.FindProcess(identity.PID)
	must(t, err)
	return found
}
