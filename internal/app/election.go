package app

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"k8s.io/client-go/tools/leaderelection"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Election says when a replica takes over from a leader that is not heard of, as the components of Kubernetes do.
type Election struct {
	// LeaseDuration is how long the others wait after the leader last renewed its Lease. The Lease stores whole seconds.
	LeaseDuration time.Duration
	// RenewDeadline is how long the leader tries to renew before it ends itself.
	RenewDeadline time.Duration
	// RetryPeriod is how often each of them tries.
	RetryPeriod time.Duration
}

// defaultElection is what the components of Kubernetes use.
func defaultElection() Election {
	return Election{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second}
}

func (e *Election) bindFlags(flags *flag.FlagSet) {
	flags.DurationVar(&e.LeaseDuration, "leader-elect-lease-duration", e.LeaseDuration,
		"how long the other replicas wait after the leader last renewed its Lease before one takes over, in whole seconds")
	flags.DurationVar(&e.RenewDeadline, "leader-elect-renew-deadline", e.RenewDeadline,
		"how long the leader tries to renew its Lease before it ends, less than --leader-elect-lease-duration")
	flags.DurationVar(&e.RetryPeriod, "leader-elect-retry-period", e.RetryPeriod,
		"how often replicas try to get or renew the Lease, with jitter less than --leader-elect-renew-deadline")
}

func (e *Election) check() error {
	var faults []error
	if e.RetryPeriod <= 0 {
		faults = append(faults, fmt.Errorf("--leader-elect-retry-period=%s: must be more than 0s", e.RetryPeriod))
	}
	if least := time.Duration(float64(e.RetryPeriod) * leaderelection.JitterFactor); e.RenewDeadline <= least {
		faults = append(faults, fmt.Errorf("--leader-elect-renew-deadline=%s: must be more than %s, 1.2 times --leader-elect-retry-period",
			e.RenewDeadline, least))
	}
	if e.LeaseDuration <= e.RenewDeadline {
		faults = append(faults, fmt.Errorf("--leader-elect-lease-duration=%s: must be more than %s, --leader-elect-renew-deadline: "+
			"or a leader that is cut off still works when another takes over", e.LeaseDuration, e.RenewDeadline))
	}
	return errors.Join(append(faults, atLeastSecond("--leader-elect-lease-duration", e.LeaseDuration))...)
}

// stopTimeout is how long a replica waits at its end for what it has begun. With --shutdown-delay it must fit into the Pod's
// terminationGracePeriodSeconds, or the Lease is not released.
const stopTimeout = 15 * time.Second

// electLeader fills in how a manager elects a leader. One that ends gives up the Lease, so that the next need not wait.
func electLeader(managed *ctrl.Options, o Options) {
	managed.LeaderElection = o.LeaderElect
	managed.LeaderElectionID, managed.LeaderElectionNamespace = "keyturn", o.Namespace
	managed.LeaderElectionReleaseOnCancel = true
	managed.LeaseDuration, managed.RenewDeadline = &o.Election.LeaseDuration, &o.Election.RenewDeadline
	managed.RetryPeriod = &o.Election.RetryPeriod
	managed.GracefulShutdownTimeout = new(stopTimeout)
}
