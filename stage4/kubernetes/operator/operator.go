// Package operator makes buckets in a cloud for Buckets in Kubernetes, and cleans up after them.
package operator

import (
	"context"
	"time"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reconciler makes the cloud what one Bucket wants it to be. You may add fields that are not exported: a Reconciler is made with the
// exported ones only.
type Reconciler struct {
	Client client.Client // reads from the manager's cache, which may lag; writes to the API server
	Live   client.Reader // reads from the API server
	Cloud  Cloud
	Resync time.Duration // how often a Bucket that nobody touches is compared with the cloud
}

// Reconcile brings one Bucket a step, or all the way, to what is wanted. It may be called at any time, for any name, after any crash.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	panic("TODO: read, compare, act, report")
}

// Options says how an operator runs. Zero durations of the lease are controller-runtime's defaults.
type Options struct {
	Namespace     string // the namespace that the operator looks after; its Lease lies there too
	Resync        time.Duration
	LeaseDuration time.Duration
	RenewDeadline time.Duration
	RetryPeriod   time.Duration
}

// Run is the operator: it reconciles the Buckets of the namespace, as long as it is the leader, until ctx ends. It returns nil then, and an
// error if it cannot go on, as when it has lost the Lease.
func Run(ctx context.Context, cfg *rest.Config, cloud Cloud, o Options) error {
	panic("TODO: a manager with a controller that is woken by what concerns a Bucket")
}
