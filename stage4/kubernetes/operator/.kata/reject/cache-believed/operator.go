// Makes the bucket of a Bucket that only the cache still knows.
//
//kata:caught-by TestLagging
package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Reconciler makes the cloud what one Bucket wants it to be.
type Reconciler struct {
	Client client.Client // reads from the manager's cache, which may lag; writes to the API server
	Live   client.Reader // reads from the API server
	Cloud  Cloud
	Resync time.Duration // how often a Bucket that nobody touches is compared with the cloud
}

// errStale says that the cache has shown a Bucket that is not there any more as it was.
var errStale = errors.New("the cache lags behind the API server")

// Reconcile brings one Bucket to what is wanted. It looks at what there is, never at what it believes to have done.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var bucket Bucket
	if err := r.Client.Get(ctx, req.NamespacedName, &bucket); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !bucket.DeletionTimestamp.IsZero() { // before all else: cleaning up needs neither class nor finalizer
		return ctrl.Result{}, r.cleanUp(ctx, &bucket)
	}
	if !controllerutil.ContainsFinalizer(&bucket, Finalizer) {
		if err := r.patch(ctx, &bucket, func() { controllerutil.AddFinalizer(&bucket, Finalizer) }); err != nil {
			return ctrl.Result{}, err
		}
	}
	var class BucketClass
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: bucket.Namespace, Name: bucket.Spec.Class}, &class)
	if apierrors.IsNotFound(err) { // the class's own event wakes us
		return ctrl.Result{}, r.report(ctx, &bucket, bucket.Status.ID, metav1.ConditionFalse, ReasonClassNotFound, fmt.Sprintf("there is no BucketClass %q", bucket.Spec.Class))
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	id, err := r.converge(ctx, &bucket, &class)
	if errors.Is(err, errStale) {
		return ctrl.Result{}, err
	}
	if err != nil {
		return ctrl.Result{}, r.failed(ctx, &bucket, err)
	}
	err = r.report(ctx, &bucket, id, metav1.ConditionTrue, ReasonReady, "the bucket is as it should be")
	return ctrl.Result{RequeueAfter: r.Resync}, err
}

// converge makes the cloud what bucket and class want, and returns the id of the bucket there.
func (r *Reconciler) converge(ctx context.Context, bucket *Bucket, class *BucketClass) (string, error) {
	want := Settings{
		Redundancy:       class.Spec.Redundancy,
		ArchiveAfterDays: bucket.Spec.Lifecycle.ArchiveAfterDays,
		ExpireAfterDays:  bucket.Spec.Lifecycle.ExpireAfterDays,
	}
	remotes, err := r.Cloud.List(ctx, bucket.UID)
	if err != nil {
		return "", err
	}
	if len(remotes) == 0 {
		return r.Cloud.Create(ctx, bucket.UID, Place{Region: bucket.Spec.Region, EncryptionKey: bucket.Spec.EncryptionKey}, want)
	}
	remote := remotes[0]
	for _, other := range remotes {
		if other.ID == bucket.Status.ID {
			remote = other
		}
	}
	if remote.Settings == want {
		return remote.ID, nil
	}
	return remote.ID, r.Cloud.Configure(ctx, remote.ID, want)
}

// cleanUp deletes what was made for a Bucket, then lets it go.
func (r *Reconciler) cleanUp(ctx context.Context, bucket *Bucket) error {
	if !controllerutil.ContainsFinalizer(bucket, Finalizer) {
		return nil
	}
	remotes, err := r.Cloud.List(ctx, bucket.UID)
	if err != nil {
		return r.failed(ctx, bucket, err)
	}
	for _, remote := range remotes {
		if err := r.Cloud.Delete(ctx, remote.ID); err != nil && !errors.Is(err, ErrNotFound) {
			return r.failed(ctx, bucket, err)
		}
	}
	err = r.patch(ctx, bucket, func() { controllerutil.RemoveFinalizer(bucket, Finalizer) })
	return client.IgnoreNotFound(err)
}

// failed reports that the cloud failed. The error goes back to the queue, which waits longer each time.
func (r *Reconciler) failed(ctx context.Context, bucket *Bucket, err error) error {
	return errors.Join(err, r.report(ctx, bucket, bucket.Status.ID, metav1.ConditionFalse, ReasonCloudFailed, err.Error()))
}

// report writes the status, if that changes it. The generation is the one that was acted upon, not the newest one.
func (r *Reconciler) report(ctx context.Context, bucket *Bucket, id string, status metav1.ConditionStatus, reason, message string) error {
	base := bucket.DeepCopy()
	bucket.Status.ID = id
	meta.SetStatusCondition(&bucket.Status.Conditions, metav1.Condition{
		Type: Ready, Status: status, Reason: reason, Message: message, ObservedGeneration: bucket.Generation,
	})
	if equality.Semantic.DeepEqual(base.Status, bucket.Status) {
		return nil
	}
	return r.Client.Status().Patch(ctx, bucket, locked(base))
}

// patch writes a change of metadata.
func (r *Reconciler) patch(ctx context.Context, bucket *Bucket, change func()) error {
	base := bucket.DeepCopy()
	change()
	return r.Client.Patch(ctx, bucket, locked(base))
}

// locked is a patch that fails with a conflict if somebody else has written since: a merge patch replaces lists as a whole, and would
// drop what others have added to finalizers and conditions.
func locked(base *Bucket) client.Patch {
	return client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
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
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                        NewScheme(),
		Cache:                         cache.Options{DefaultNamespaces: map[string]cache.Config{o.Namespace: {}}},
		Metrics:                       metricsserver.Options{BindAddress: "0"},
		LeaderElection:                true,
		LeaderElectionID:              LeaseName,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true, // Run returns only after the work has stopped
		LeaseDuration:                 orDefault(o.LeaseDuration),
		RenewDeadline:                 orDefault(o.RenewDeadline),
		RetryPeriod:                   orDefault(o.RetryPeriod),
	})
	if err != nil {
		return err
	}
	r := &Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Cloud: cloud, Resync: o.Resync}
	// A status that we write must not wake us: the queue's backoff would never come to bear.
	err = ctrl.NewControllerManagedBy(mgr).
		For(&Bucket{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&BucketClass{}, handler.EnqueueRequestsFromMapFunc(r.bucketsOf)).
		WithOptions(controller.Options{SkipNameValidation: new(true)}). // Run may be called again
		Complete(r)
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// bucketsOf lists the Buckets that a class concerns.
func (r *Reconciler) bucketsOf(ctx context.Context, class client.Object) []reconcile.Request {
	var buckets BucketList
	if err := r.Client.List(ctx, &buckets, client.InNamespace(class.GetNamespace())); err != nil {
		return nil // the cache's own List does not fail
	}
	var requests []reconcile.Request
	for _, bucket := range buckets.Items {
		if bucket.Spec.Class == class.GetName() {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&bucket)})
		}
	}
	return requests
}

// orDefault is d, or nil for controller-runtime's own.
func orDefault(d time.Duration) *time.Duration {
	if d == 0 {
		return nil
	}
	return &d
}
