package kube

import (
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
)

// How many events of each type are sent at once, and how many each second beyond that.
const (
	eventBurst = 100
	eventRate  = 1
)

// SparingRecorder sends the events of an operator with few objects, and a sample where thousands change at once: each event is one
// more write to the API server, which keeps it for an hour, and says nothing that status, log and metrics do not say.
type SparingRecorder struct {
	inner   events.EventRecorder
	clock   clock.PassiveClock
	normal  *rate.Limiter
	warning *rate.Limiter
}

// NewSparingRecorder makes one that sends through another. Warnings have a budget of their own.
func NewSparingRecorder(inner events.EventRecorder, clk clock.PassiveClock) *SparingRecorder {
	return &SparingRecorder{
		inner: inner, clock: clk,
		normal: rate.NewLimiter(eventRate, eventBurst), warning: rate.NewLimiter(eventRate, eventBurst),
	}
}

// Eventf is for events.EventRecorder.
func (r *SparingRecorder) Eventf(regarding, related runtime.Object, kind, reason, action, note string, arguments ...any) {
	budget := r.normal
	if kind == corev1.EventTypeWarning {
		budget = r.warning
	}
	if budget.AllowN(r.clock.Now(), 1) {
		r.inner.Eventf(regarding, related, kind, reason, action, note, arguments...)
	}
}
