package kube_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/keyturn/keyturn/internal/kube"
)

func TestOfThousandsOfEventsASampleIsSent(t *testing.T) {
	sent := events.NewFakeRecorder(10000)
	clock := clocktesting.NewFakePassiveClock(epoch())
	recorder := kube.NewSparingRecorder(sent, clock)
	send := func(kind string) (count int) {
		for range 1000 {
			recorder.Eventf(&corev1.Secret{}, nil, kind, "Issued", "Issue", "token %d", 1)
		}
		for len(sent.Events) > 0 {
			<-sent.Events
			count++
		}
		return count
	}
	if got := send(corev1.EventTypeNormal); got != 100 {
		t.Errorf("%d of 1000 events are sent at once, want 100", got)
	}
	if got := send(corev1.EventTypeWarning); got != 100 {
		t.Errorf("after that %d of 1000 warnings are sent, want 100: they have a budget of their own", got)
	}
	clock.SetTime(epoch().Add(10 * time.Second))
	if got := send(corev1.EventTypeNormal); got != 10 {
		t.Errorf("ten seconds later %d are sent, want 10", got)
	}
}
