package kube_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keyturn/keyturn/internal/kube"
)

// TestWhatAnErrorShows hides a secret in every error: an API server quotes what it refuses.
func TestWhatAnErrorShows(t *testing.T) {
	const secret = "hunter2"
	quoting := errors.New("Invalid value: " + secret)
	secrets := corev1.Resource("secrets")
	problem := kube.Problemf("SecretConflict", "Secret %s is not ours", "x")
	cases := map[string]struct {
		err             error
		reason, message string
	}{
		"a problem":              {problem, "SecretConflict", "Secret x is not ours"},
		"a problem further in":   {fmt.Errorf("%s: %w", secret, problem), "SecretConflict", "Secret x is not ours"},
		"a problem among errors": {errors.Join(quoting, problem), "SecretConflict", "Secret x is not ours"},

		"a refused write": {apierrors.NewForbidden(secrets, secret, quoting), "Retrying", "a call to the API server failed (Forbidden) and is repeated"},
		"a conflict further in": {
			fmt.Errorf("write %s: %w", secret, apierrors.NewConflict(secrets, secret, quoting)),
			"Retrying", "a call to the API server failed (Conflict) and is repeated",
		},
		"a full API server":  {apierrors.NewTooManyRequests(secret, 1), "Retrying", "a call to the API server failed (TooManyRequests) and is repeated"},
		"an unreachable one": {fmt.Errorf("dial %s: %w", secret, context.DeadlineExceeded), "Retrying", "an attempt failed and is repeated: the operator's log tells why"},
		"anything else":      {quoting, "Retrying", "an attempt failed and is repeated: the operator's log tells why"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.reason, kube.ReasonOf(c.err)); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.message, kube.MessageOf(c.err)); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAProblemIsAnError(t *testing.T) {
	err := kube.Problemf("Expired", "at %d", 7)
	if diff := cmp.Diff("Expired: at 7", err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestIsNews(t *testing.T) {
	ready := func(change func(c *metav1.Condition)) []metav1.Condition {
		c := kube.False("Ready", "Expired", "it has", 1)
		c.LastTransitionTime = metav1.Time{Time: epoch()}
		change(&c)
		return []metav1.Condition{kube.True("Propagated", "Propagated", "", 1), c}
	}
	same := func(*metav1.Condition) {}
	cases := map[string]struct {
		before, after []metav1.Condition
		want          bool
	}{
		"nothing before and after":    {nil, nil, false},
		"the first time":              {nil, ready(same), true},
		"the first time among others": {ready(same)[:1], ready(same), true},
		"the condition is gone":       {ready(same), nil, false},
		"the same":                    {ready(same), ready(same), false},
		"another generation":          {ready(same), ready(func(c *metav1.Condition) { c.ObservedGeneration++ }), false},
		"another status":              {ready(same), ready(func(c *metav1.Condition) { c.Status = metav1.ConditionTrue }), true},
		"another reason":              {ready(same), ready(func(c *metav1.Condition) { c.Reason = "NotAllowed" }), true},
		"another message":             {ready(same), ready(func(c *metav1.Condition) { c.Message = "it had" }), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := kube.IsNews(c.before, c.after, "Ready"); got != c.want {
				t.Errorf("news is %t, want %t", got, c.want)
			}
		})
	}
}
