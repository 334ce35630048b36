package main

import (
	"context"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/verifier"
)

// total is what the demo saw. Its text is the last line.
type total struct {
	rotations, tokens, asked, refreshed, verifications, presented, failures int
}

func (t total) String() string {
	return "demo: " + t.counts()
}

func (t total) counts() string {
	return fmt.Sprintf("%d rotations, %d tokens issued (%d asked for, %d refreshed), %d verifications, %d times at the gate, %d failures",
		t.rotations, t.tokens, t.asked, t.refreshed, t.verifications, t.presented, t.failures)
}

// live is a token that was seen in a Secret. It is judged until it expires, also after its Secret holds a newer one.
type live struct {
	compact string
	issuer  string
	expires time.Time
}

// observer follows what happens and lets the verifiers judge. Everything runs on one goroutine.
type observer struct {
	out   io.Writer
	clock clock.WithTicker
	start time.Time
	total total

	rings   map[string]ring
	sources map[string]*verifier.Published
	judges  map[string][]*verifier.Verifier
	tokens  map[string]live

	// started are the customers that run, by the name of their TokenClient.
	started map[string]bool
	reports chan report
}

// How often the verifiers judge every live token, and how often the count is printed.
const (
	judgeEvery = 100 * time.Millisecond
	countEvery = 5 * time.Second
)

// observe follows the cluster until the context ends.
func observe(ctx context.Context, api client.WithWatch, out io.Writer) (total, error) {
	wall := clock.RealClock{}
	o := &observer{
		out: out, clock: wall, start: wall.Now(),
		rings: map[string]ring{}, sources: map[string]*verifier.Published{},
		judges: map[string][]*verifier.Verifier{}, tokens: map[string]live{},
		started: map[string]bool{}, reports: make(chan report),
	}
	changes, stop, err := follow(ctx, api,
		&v1alpha1.SigningKeyList{}, &v1alpha1.TokenClientList{}, &corev1.SecretList{}, &corev1.ConfigMapList{})
	if err != nil {
		return o.total, err
	}
	defer stop()
	judge, count := o.clock.NewTicker(judgeEvery), o.clock.NewTicker(countEvery)
	defer judge.Stop()
	defer count.Stop()
	for {
		select {
		case <-ctx.Done():
			return o.total, nil
		case object := <-changes:
			if object == nil {
				return o.total, fmt.Errorf("the API server closed a watch: run the demo for a shorter time")
			}
			if found, ok := object.(*v1alpha1.TokenClient); ok {
				o.seeClient(ctx, api, found)
			}
			o.see(object)
		case told := <-o.reports:
			o.hear(told)
		case <-judge.C():
			o.judge(ctx, o.clock.Now())
		case <-count.C():
			o.say("", "%s", o.total.counts())
		}
	}
}

// follow watches several kinds in the demo's namespace, in one channel.
func follow(ctx context.Context, api client.WithWatch, lists ...client.ObjectList) (<-chan client.Object, func(), error) {
	merged := make(chan client.Object)
	ctx, cancel := context.WithCancel(ctx)
	for _, list := range lists {
		w, err := api.Watch(ctx, list, client.InNamespace(namespace))
		if err != nil {
			cancel()
			return nil, nil, fmt.Errorf("watch %T: %w", list, err)
		}
		go forward(ctx, w, merged)
	}
	return merged, cancel, nil
}

// forward sends what a watch sees, and nil when it has ended.
func forward(ctx context.Context, w watch.Interface, into chan<- client.Object) {
	defer w.Stop()
	for event := range w.ResultChan() {
		object, ok := event.Object.(client.Object)
		if !ok || event.Type == watch.Deleted {
			continue
		}
		select {
		case into <- object:
		case <-ctx.Done():
			return
		}
	}
	select {
	case into <- nil:
	case <-ctx.Done():
	}
}

func (o *observer) see(object client.Object) {
	switch object := object.(type) {
	case *v1alpha1.SigningKey:
		o.seeKey(object)
	case *corev1.ConfigMap:
		if jwks, ok := object.Data[v1alpha1.ConfigMapKeyJWKS]; ok {
			issuer := object.Data[v1alpha1.ConfigMapKeyIssuer]
			o.sourceOf(issuer).Publish(o.clock.Now(), jwks)
		}
	case *corev1.Secret:
		if object.Type == v1alpha1.SecretTypeToken {
			o.seeToken(object)
		}
	}
}

func (o *observer) sourceOf(issuer string) *verifier.Published {
	if o.sources[issuer] == nil {
		o.sources[issuer] = &verifier.Published{}
		o.judges[issuer] = o.sources[issuer].Verifiers(issuer, audience, cache, propagation)
	}
	return o.sources[issuer]
}

// ring is what was last seen of a SigningKey.
type ring struct {
	active string
	states map[string]v1alpha1.KeyState
}

// seeKey tells what changed in a ring, and counts a rotation when another key signs.
func (o *observer) seeKey(key *v1alpha1.SigningKey) {
	was, now := o.rings[key.Name], ring{active: key.Status.ActiveKeyID, states: map[string]v1alpha1.KeyState{}}
	for _, k := range key.Status.Keys {
		now.states[k.ID] = k.State
		switch before := was.states[k.ID]; before {
		case k.State:
		case "":
			o.say("key", "%-9s %.8s is %s (%s)", key.Name, k.ID, k.State, k.Algorithm)
		default:
			o.say("key", "%-9s %.8s was %s, is %s", key.Name, k.ID, before, k.State)
		}
	}
	for id := range was.states {
		if _, stays := now.states[id]; !stays {
			o.say("key", "%-9s %.8s has left the JWKS: every token it signed has expired", key.Name, id)
		}
	}
	if was.active != "" && now.active != was.active {
		o.total.rotations++
	}
	o.rings[key.Name] = now
}

func (o *observer) say(what, format string, args ...any) {
	_, _ = fmt.Fprintf(o.out, "%6.1fs  %-6s %s\n", o.clock.Since(o.start).Seconds(), what, fmt.Sprintf(format, args...))
}
