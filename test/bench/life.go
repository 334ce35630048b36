package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// life are the tokens of one control plane from their first issue on: they are issued, an operator is restarted, all are renewed at
// once, and their key is revoked and rotated.
type life struct {
	*World
	n int
	// dueAfter is when each token is renewed after its issue.
	dueAfter time.Duration
	issued   time.Time
	// bare is the latest floor of renewals.
	bare measured
	rows []Row
}

func life10000(ctx context.Context, w *World) ([]Row, error) {
	l := &life{
		World: w, n: w.Size.Of(10_000, 1_000, 50),
		dueAfter: time.Duration(w.Size.Of(360, 120, 15)) * time.Second,
	}
	err := l.run(ctx)
	return l.rows, err
}

// run does one after the other. Each leaves what the next begins with.
func (l *life) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{l.issue, l.renew, l.revoke} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lifeOf differs from token to token, so that there is an order in which they expire; all are due equally soon.
func (l *life) lifeOf(i int) time.Duration {
	source := rand.New(rand.NewPCG(1, uint64(i))) //nolint:gosec // The same lives in each run.
	return l.dueAfter*10 - time.Duration(source.IntN(int(l.dueAfter*4/time.Second)))*time.Second
}

func (l *life) issue(ctx context.Context) error {
	if err := l.prepareKey(ctx, soon); err != nil {
		return err
	}
	err := l.Plane.withoutAdmission(ctx, func() error {
		return each(ctx, l.n, harnessWorkers, func(ctx context.Context, i int) error {
			t := newToken(ours, i, l.lifeOf(i))
			t.Spec.RenewBefore = &metav1.Duration{Duration: l.lifeOf(i) - l.dueAfter}
			return l.Plane.Client.Create(ctx, t)
		})
	})
	if err != nil {
		return err
	}
	before, err := l.floorIssue(ctx, l.few())
	if err != nil {
		return err
	}
	operator, m, err := l.takeOver(ctx, subject{name: fmt.Sprintf("issue-%d", l.n), namespace: ours, n: l.n, is: isReady})
	if err != nil {
		return err
	}
	l.issued = l.Clock.Now()
	if err := operator.Stop(ctx); err != nil {
		return err
	}
	// Before the tokens are due.
	if err := l.restart(ctx); err != nil {
		return err
	}
	after, err := l.floorIssue(ctx, l.few())
	l.rows = append(workRows(fmt.Sprintf("issue %d: ", l.n), []measured{m}, []measured{before, after}), l.rows...)
	return err
}

// few is how many objects the bare client writes, before and after: its rate is the same for more.
func (l *life) few() int { return min(l.n, 1000) }

// restart starts an operator that finds everything done.
func (l *life) restart(ctx context.Context) error {
	before, err := l.Plane.ServerMetrics(ctx)
	if err != nil {
		return err
	}
	started := l.Clock.Now()
	operator, err := l.StartOperator(ctx)
	if err != nil {
		return err
	}
	ready := l.Clock.Since(started)
	err = l.Plane.eventually(ctx, func(ctx context.Context) error { return operator.hasReconciled(ctx, l.n) })
	settled := l.Clock.Since(started)
	used, usageErr := operator.Usage()
	after, metricsErr := l.Plane.ServerMetrics(ctx)
	if err := errors.Join(err, usageErr, metricsErr, operator.Stop(ctx)); err != nil {
		return err
	}
	of := fmt.Sprintf("restart with %d: ", l.n)
	l.rows = append(l.rows,
		figure(of+"writes", allWrites(after.minus(before)), "").exactly(0),
		figure(of+"reads of single Secrets", after.minus(before).sum("apiserver_request_total", `verb="GET"`, `resource="secrets"`), ""),
		figure(of+"until it is ready", ready.Seconds(), "s"),
		figure(of+"until it is settled", settled.Seconds(), "s"),
		figure(of+"CPU until then", used.CPU.Seconds(), "s"),
		figure(of+"peak RSS", float64(used.Peak)/mebi, "MiB").atMost(150),
	)
	return nil
}

// renew waits until all tokens are due and lets an operator find that.
func (l *life) renew(ctx context.Context) error {
	wait := l.issued.Add(l.dueAfter + time.Second).Sub(l.Clock.Now())
	if wait > 0 {
		l.Say("waiting %s until all tokens are due", wait.Round(time.Second))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.Clock.After(wait):
		}
	}
	before, err := l.floorRenew(ctx, l.few())
	if err != nil {
		return err
	}
	old, err := l.ids(ctx)
	if err != nil {
		return err
	}
	operator, renewed, err := l.takeOver(ctx, subject{name: fmt.Sprintf("renew-%d", l.n), namespace: ours, n: l.n, is: old.isReplaced})
	if err != nil {
		return err
	}
	if err := operator.Stop(ctx); err != nil {
		return err
	}
	l.bare, err = l.floorRenew(ctx, l.few())
	l.rows = append(l.rows, workRows(fmt.Sprintf("renew %d at once: ", l.n), []measured{renewed}, []measured{before, l.bare})...)
	return err
}

// replaced knows the tokens that there were.
type replaced map[string]v1alpha1.ServiceTokenStatus

func (r replaced) isReplaced(t *v1alpha1.ServiceToken) bool {
	return isReady(t) && t.Status.TokenID != r[t.Name].TokenID
}

func (w *World) ids(ctx context.Context) (replaced, error) {
	var list v1alpha1.ServiceTokenList
	if err := w.Plane.Client.List(ctx, &list, client.InNamespace(ours)); err != nil {
		return nil, fmt.Errorf("list ServiceTokens: %w", err)
	}
	known := replaced{}
	for i := range list.Items {
		known[list.Items[i].Name] = list.Items[i].Status
	}
	return known, nil
}

// revoke revokes the key of all tokens.
func (l *life) revoke(ctx context.Context) error {
	operator, err := l.StartOperator(ctx)
	if err != nil {
		return err
	}
	if err := l.Plane.eventually(ctx, func(ctx context.Context) error { return operator.hasReconciled(ctx, l.n) }); err != nil {
		return errors.Join(err, operator.Stop(ctx))
	}
	old, err := l.ids(ctx)
	if err != nil {
		return errors.Join(err, operator.Stop(ctx))
	}
	started := l.Clock.Now()
	revoked, err := l.watched(ctx, subject{
		name: fmt.Sprintf("revoke-%d", l.n), operator: operator, namespace: ours, n: l.n, is: old.isReplaced,
	}, func() error { return l.revokeActive(ctx) })
	if err == nil {
		err = l.rotate(ctx, operator)
	}
	if err := errors.Join(err, operator.Stop(ctx)); err != nil {
		return err
	}
	after, err := l.floorRenew(ctx, l.few())
	of := fmt.Sprintf("revoke the key of %d: ", l.n)
	l.rows = append(l.rows,
		figure(of+"until the last is re-issued", revoked.done.last().Sub(started).Seconds(), "s"),
		figure(of+"most that overtook one that expires sooner", float64(old.overtaken(revoked.done.names)), "tokens").atMost(2*operatorWorkers))
	l.rows = append(l.rows, workRows(of, []measured{revoked}, []measured{l.bare, after})...)
	return err
}

// overtaken is how many tokens that expire later were re-issued before one, at most.
func (r replaced) overtaken(order []string) int {
	most := 0
	for i, name := range order {
		later := 0
		for _, earlier := range order[:i] {
			if r[earlier].ExpiresAt.After(r[name].ExpiresAt.Time) {
				later++
			}
		}
		most = max(most, later)
	}
	return most
}

func (w *World) revokeActive(ctx context.Context) error {
	return w.changeKey(ctx, func(key *v1alpha1.SigningKey) {
		key.Spec.RevokedKeyIDs = append(key.Spec.RevokedKeyIDs, v1alpha1.KeyID(key.Status.ActiveKeyID))
	})
}

func (w *World) changeKey(ctx context.Context, change func(*v1alpha1.SigningKey)) error {
	key := &v1alpha1.SigningKey{}
	if err := w.Plane.Client.Get(ctx, client.ObjectKey{Namespace: ours, Name: keyName}, key); err != nil {
		return fmt.Errorf("read SigningKey: %w", err)
	}
	was := key.DeepCopy()
	change(key)
	if err := w.Plane.Client.Patch(ctx, key, client.MergeFrom(was)); err != nil {
		return fmt.Errorf("change SigningKey: %w", err)
	}
	return nil
}

// rotate lets the key rotate in order, before any token is due. Its tokens stay as they are.
func (l *life) rotate(ctx context.Context, operator *Operator) error {
	used, took, err := l.rotation(ctx, operator)
	if err != nil {
		return err
	}
	of := fmt.Sprintf("rotate the key of %d: ", l.n)
	l.rows = append(l.rows,
		figure(of+"tokens re-issued", writes(used.Requests, "servicetokens", "status"), "").exactly(0),
		figure(of+"writes", allWrites(used.Requests)-writes(used.Requests, "events", ""), ""),
		figure(of+"beyond the wait for verifiers", (took-shortLead).Seconds(), "s"),
		figure(of+"operator CPU", used.Operator.Seconds(), "s"),
	)
	return nil
}
