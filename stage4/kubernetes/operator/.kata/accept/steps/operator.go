// Package operator makes buckets in a cloud for Buckets in Kubernetes, and cleans up after them.
package operator

import (
	"context"
	"errors"
	"time"

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

// step is what one call of Reconcile does. It returns nil when there is nothing to be done, and the next step is asked.
type step func(ctx context.Context, s *state) (*ctrl.Result, error)

// state is what the steps of one call know.
type state struct {
	bucket  Bucket
	class   *BucketClass // nil if there is none
	remotes []Remote
}

// soon has the queue come back for the next step.
var soon = ctrl.Result{RequeueAfter: time.Nanosecond}

// Reconcile takes at most one step that changes something, and comes back for the next: each begins with a look at the world.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var s state
	if err := r.Client.Get(ctx, req.NamespacedName, &s.bucket); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	steps := []step{r.protect, r.look, r.classify, r.create, r.configure, r.ready}
	if !s.bucket.DeletionTimestamp.IsZero() {
		if !controllerutil.ContainsFinalizer(&s.bucket, Finalizer) {
			return ctrl.Result{}, nil
		}
		steps = []step{r.look, r.destroy, r.release}
	}
	for _, step := range steps {
		if result, err := step(ctx, &s); result != nil || err != nil {
			if result == nil {
				result = &ctrl.Result{}
			}
			return *result, err
		}
	}
	return ctrl.Result{RequeueAfter: r.Resync}, nil
}

func (r *Reconciler) protect(ctx context.Context, s *state) (*ctrl.Result, error) {
	if !controllerutil.AddFinalizer(&s.bucket, Finalizer) {
		return nil, nil
	}
	return &soon, r.Client.Update(ctx, &s.bucket)
}

func (r *Reconciler) look(ctx context.Context, s *state) (_ *ctrl.Result, err error) {
	s.remotes, err = r.Cloud.List(ctx, s.bucket.UID)
	if err != nil {
		return nil, r.failed(ctx, s, err)
	}
	for i, remote := range s.remotes { // the one that counts comes first
		if remote.ID == s.bucket.Status.ID {
			s.remotes[0], s.remotes[i] = s.remotes[i], s.remotes[0]
		}
	}
	return nil, nil
}

func (r *Reconciler) classify(ctx context.Context, s *state) (*ctrl.Result, error) {
	s.class = new(BucketClass)
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.bucket.Namespace, Name: s.bucket.Spec.Class}, s.class)
	if apierrors.IsNotFound(err) {
		return new(ctrl.Result), r.report(ctx, s, metav1.ConditionFalse, ReasonClassNotFound, "no class "+s.bucket.Spec.Class)
	}
	return nil, err
}

// create makes the bucket. First it writes the Bucket as it is: that changes nothing, but the API server refuses it if it knows another
// version. What the cache shows is proved to be true so, and the finalizer in it to hold.
func (r *Reconciler) create(ctx context.Context, s *state) (*ctrl.Result, error) {
	if len(s.remotes) > 0 {
		return nil, nil
	}
	if err := r.Client.Update(ctx, s.bucket.DeepCopy()); err != nil {
		return nil, err
	}
	if _, err := r.Cloud.Create(ctx, s.bucket.UID, Place{Region: s.bucket.Spec.Region, EncryptionKey: s.bucket.Spec.EncryptionKey}, s.settings()); err != nil {
		return nil, r.failed(ctx, s, err)
	}
	return &soon, nil
}

func (r *Reconciler) configure(ctx context.Context, s *state) (*ctrl.Result, error) {
	if s.remotes[0].Settings == s.settings() {
		return nil, nil
	}
	if err := r.Cloud.Configure(ctx, s.remotes[0].ID, s.settings()); err != nil {
		return nil, r.failed(ctx, s, err)
	}
	return &soon, nil
}

func (r *Reconciler) ready(ctx context.Context, s *state) (*ctrl.Result, error) {
	return nil, r.report(ctx, s, metav1.ConditionTrue, ReasonReady, "")
}

func (r *Reconciler) destroy(ctx context.Context, s *state) (*ctrl.Result, error) {
	if len(s.remotes) == 0 {
		return nil, nil
	}
	if err := r.Cloud.Delete(ctx, s.remotes[0].ID); err != nil && !errors.Is(err, ErrNotFound) {
		return nil, r.failed(ctx, s, err)
	}
	return &soon, nil
}

func (r *Reconciler) release(ctx context.Context, s *state) (*ctrl.Result, error) {
	controllerutil.RemoveFinalizer(&s.bucket, Finalizer)
	return new(ctrl.Result), client.IgnoreNotFound(r.Client.Update(ctx, &s.bucket))
}

func (s *state) settings() Settings {
	return Settings{
		Redundancy:       s.class.Spec.Redundancy,
		ArchiveAfterDays: s.bucket.Spec.Lifecycle.ArchiveAfterDays,
		ExpireAfterDays:  s.bucket.Spec.Lifecycle.ExpireAfterDays,
	}
}

func (r *Reconciler) failed(ctx context.Context, s *state, err error) error {
	return errors.Join(err, r.report(ctx, s, metav1.ConditionFalse, ReasonCloudFailed, err.Error()))
}

// report writes the status, if that changes it. Update fails with a conflict if somebody else has written since.
func (r *Reconciler) report(ctx context.Context, s *state, status metav1.ConditionStatus, reason, message string) error {
	changed := meta.SetStatusCondition(&s.bucket.Status.Conditions, metav1.Condition{
		Type: Ready, Status: status, Reason: reason, Message: message, ObservedGeneration: s.bucket.Generation,
	})
	if len(s.remotes) > 0 && s.bucket.Status.ID != s.remotes[0].ID {
		s.bucket.Status.ID = s.remotes[0].ID
		changed = true
	}
	if !changed {
		return nil
	}
	return r.Client.Status().Update(ctx, &s.bucket)
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
