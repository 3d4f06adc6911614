// Buckets in a cloud, made and cleaned up for Buckets in Kubernetes.
//
//kata:level 3
//kata:minutes 180
//kata:engine embedded Kubernetes 1.37 API server for custom resources, on etcd 3.7.3
//kata:timeout 180s
package operator_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/roadkata/roadkata/stage4/internal/kit/kubetest"
	"github.com/roadkata/roadkata/stage4/kubernetes/operator"
)

const (
	resync  = 10 * time.Hour // nothing in a test waits for it
	foreign = "example.com/backup"
)

var errLost = errors.New("the connection broke")

// cloud is a cloud that a test can disturb.
type cloud struct {
	operator.Cloud

	mu     sync.Mutex
	calls  []string // list, create, configure, delete
	before func(call string) error
	after  func(call string) error
}

func newCloud(behind operator.Cloud) *cloud { return &cloud{Cloud: behind} }

// do carries out a call: before may refuse it, after may lose its answer.
func (c *cloud) do(call string, act func() error) error {
	c.mu.Lock()
	c.calls = append(c.calls, call)
	before, after := c.before, c.after
	c.mu.Unlock()
	if before != nil {
		if err := before(call); err != nil {
			return err
		}
	}
	if err := act(); err != nil {
		return err
	}
	if after != nil {
		return after(call)
	}
	return nil
}

func (c *cloud) List(ctx context.Context, owner types.UID) (list []operator.Remote, err error) {
	err = c.do("list", func() (err error) { list, err = c.Cloud.List(ctx, owner); return })
	return list, err
}

func (c *cloud) Create(ctx context.Context, owner types.UID, place operator.Place, settings operator.Settings) (id string, err error) {
	err = c.do("create", func() (err error) { id, err = c.Cloud.Create(ctx, owner, place, settings); return })
	if err != nil {
		return "", err
	}
	return id, nil
}

func (c *cloud) Configure(ctx context.Context, id string, settings operator.Settings) error {
	return c.do("configure", func() error { return c.Cloud.Configure(ctx, id, settings) })
}

func (c *cloud) Delete(ctx context.Context, id string) error {
	return c.do("delete", func() error { return c.Cloud.Delete(ctx, id) })
}

// disturb sets what happens before and after calls.
func (c *cloud) disturb(before, after func(call string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before, c.after = before, after
}

// changes lists the calls that are to change something.
func (c *cloud) changes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.calls), func(call string) bool { return call == "list" })
}

func (c *cloud) called() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls)
}

// world is a namespace with the class standard, a user, and the learner's Reconciler, which nothing calls but the test.
type world struct {
	t      *testing.T
	ctx    context.Context
	api    *kubetest.Server
	ns     string
	user   client.WithWatch
	cloud  *cloud
	link   *kubetest.Link // of the Reconciler's Client
	live   *kubetest.Link // of its Live
	r      *operator.Reconciler
	client client.WithWatch // the Reconciler's
}

// definition is one of the kata's CRDs.
func definition(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func begin(t *testing.T) *world {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	api := kubetest.Start(t)
	if err := api.Install(definition(t, "bucketclasses.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := api.Install(definition(t, filepath.Join(os.Getenv("ROADKATA_FILES"), "buckets.yaml"))); err != nil {
		t.Fatalf("the API server refuses buckets.yaml: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*kubetest.Patience)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, api: api, ns: api.Namespace(), cloud: newCloud(new(operator.Memory))}
	w.user = w.connect(api.Link())
	w.link, w.live = api.Link(), api.Link()
	w.restart()
	w.class("standard", "zone")
	return w
}

func (w *world) connect(link *kubetest.Link) client.WithWatch {
	w.t.Helper()
	c, err := client.NewWithWatch(link.Config(), client.Options{Scheme: operator.NewScheme()})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// restart starts the operator anew: what it had in memory is gone, and with it what disturbed it.
func (w *world) restart() {
	w.t.Helper()
	for _, l := range []*kubetest.Link{w.link, w.live} {
		l.Before(nil)
		l.After(nil)
	}
	w.cloud.disturb(nil, nil)
	w.client = w.connect(w.link)
	w.r = &operator.Reconciler{Client: w.client, Live: w.connect(w.live), Cloud: w.cloud, Resync: resync}
}

// must fails the test if the test itself cannot do something.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// class makes or changes a class.
func (w *world) class(name, redundancy string) {
	w.t.Helper()
	class := &operator.BucketClass{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}
	err := w.user.Get(w.ctx, client.ObjectKeyFromObject(class), class)
	class.Spec.Redundancy = redundancy
	if apierrors.IsNotFound(err) {
		err = w.user.Create(w.ctx, class)
	} else if err == nil {
		err = w.user.Update(w.ctx, class)
	}
	w.must(err)
}

// bucket makes a Bucket of the class standard, after do has changed it.
func (w *world) bucket(name string, do ...func(*operator.Bucket)) *operator.Bucket {
	w.t.Helper()
	b := &operator.Bucket{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name},
		Spec:       operator.BucketSpec{Class: "standard", Region: "eu-west-1", EncryptionKey: "k-1", Lifecycle: operator.Lifecycle{ExpireAfterDays: 365}},
	}
	for _, do := range do {
		do(b)
	}
	w.must(w.user.Create(w.ctx, b))
	return b
}

// get reads a Bucket as it is in the API server, or returns nil.
func (w *world) get(name string) *operator.Bucket {
	w.t.Helper()
	var b operator.Bucket
	err := w.user.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: name}, &b)
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.must(err)
	return &b
}

// patch changes a Bucket behind the operator's back, with a JSON merge patch.
func (w *world) patch(name, change string, subresource ...string) {
	w.t.Helper()
	b := &operator.Bucket{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}
	patch := client.RawPatch(types.MergePatchType, []byte(change))
	if len(subresource) > 0 {
		w.must(w.user.SubResource(subresource[0]).Patch(w.ctx, b, patch))
		return
	}
	w.must(w.user.Patch(w.ctx, b, patch))
}

func (w *world) delete(name string) {
	w.t.Helper()
	w.must(w.user.Delete(w.ctx, &operator.Bucket{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}))
}

func (w *world) request(name string) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Namespace: w.ns, Name: name}}
}

// settle reconciles as a queue would, until a few calls in a row have not failed.
func (w *world) settle(name string) {
	w.t.Helper()
	const enough, most = 6, 40
	good := 0
	var last error
	for range most {
		if _, err := w.r.Reconcile(w.ctx, w.request(name)); err != nil {
			good, last = 0, err
		} else if good++; good == enough {
			return
		}
	}
	w.t.Fatalf("Reconcile(%s) still fails after %d calls: %v", name, most, last)
}

// remotes lists what the cloud has for an owner.
func (w *world) remotes(owner types.UID) []operator.Remote {
	w.t.Helper()
	list, err := w.cloud.Cloud.List(w.ctx, owner)
	w.must(err)
	return list
}

// wanted is what the cloud should have for a Bucket of a class with this redundancy.
func wanted(b *operator.Bucket, redundancy string) operator.Remote {
	return operator.Remote{
		Owner: b.UID,
		Place: operator.Place{Region: b.Spec.Region, EncryptionKey: b.Spec.EncryptionKey},
		Settings: operator.Settings{
			Redundancy: redundancy, ArchiveAfterDays: b.Spec.Lifecycle.ArchiveAfterDays, ExpireAfterDays: b.Spec.Lifecycle.ExpireAfterDays,
		},
	}
}

// check asks that the cloud has one bucket for a Bucket, as spec and class want it, and that the status names it.
func (w *world) check(when, name, redundancy string) {
	w.t.Helper()
	b := w.get(name)
	if b == nil {
		w.t.Fatalf("%s: Bucket %s is gone", when, name)
	}
	list := w.remotes(b.UID)
	if len(list) != 1 {
		w.t.Fatalf("%s: the cloud has %d buckets for %s: %+v, want one", when, len(list), name, list)
	}
	want := wanted(b, redundancy)
	want.ID = list[0].ID
	if list[0] != want {
		w.t.Fatalf("%s: the cloud has\n%+v, want\n%+v", when, list[0], want)
	}
	if c := condition(b); c.Status != metav1.ConditionTrue || b.Status.ID != want.ID {
		w.t.Fatalf("%s: status.id is %q, Ready is %q (%s: %s); want %q and True", when, b.Status.ID, c.Status, c.Reason, c.Message, want.ID)
	}
}

// condition is the Bucket's condition Ready, or an empty one.
func condition(b *operator.Bucket) metav1.Condition {
	if c := meta.FindStatusCondition(b.Status.Conditions, operator.Ready); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// crash reconciles an operator that dies right after its nth effect: a write to the API server or a change in the cloud. The effect is
// there, the operator never learns of it. It reports false if the operator came to rest before.
func (w *world) crash(n int, name string) bool {
	w.t.Helper()
	var mu sync.Mutex
	effects := 0
	dead := func() error {
		mu.Lock()
		defer mu.Unlock()
		if effects >= n {
			return errLost
		}
		return nil
	}
	effect := func() error {
		mu.Lock()
		effects++
		mu.Unlock()
		return dead()
	}
	for _, l := range []*kubetest.Link{w.link, w.live} {
		l.Before(func(kubetest.Request) error { return dead() })
		l.After(func(r kubetest.Request) error {
			if r.Write() {
				return effect()
			}
			return nil
		})
	}
	w.cloud.disturb(
		func(string) error { return dead() },
		func(call string) error {
			if call != "list" {
				return effect()
			}
			return nil
		})
	for range 10 {
		w.r.Reconcile(w.ctx, w.request(name)) // what it returns nobody hears
		if dead() != nil {
			break
		}
	}
	crashed := dead() != nil
	w.restart()
	return crashed
}

// Whatever the cloud and the status look like, reconciling makes them what spec and class want.
//
//kata:zh 不管云里和 status 是什么样子，调谐之后都变成 spec 和 class 所要的样子。
func TestConverges(t *testing.T) {
	w := begin(t)
	b := w.bucket("logs")
	w.settle("logs")
	w.check("after the first reconciliation", "logs", "zone")

	id := w.get("logs").Status.ID
	w.must(w.cloud.Cloud.Configure(w.ctx, id, operator.Settings{Redundancy: "none"}))
	w.settle("logs")
	w.check("after somebody changed the settings in the cloud", "logs", "zone")

	w.must(w.cloud.Cloud.Delete(w.ctx, id))
	w.settle("logs")
	w.check("after somebody deleted the bucket in the cloud", "logs", "zone")

	w.patch("logs", `{"status":{"id":null,"conditions":null}}`, "status")
	w.settle("logs")
	w.check("after somebody emptied the status", "logs", "zone")

	w.patch("logs", `{"status":{"id":"b-999"}}`, "status")
	w.settle("logs")
	w.check("after somebody wrote another id into the status", "logs", "zone")

	w.patch("logs", `{"spec":{"lifecycle":{"archiveAfterDays":7,"expireAfterDays":90}}}`)
	w.settle("logs")
	w.check("after the spec changed", "logs", "zone")

	w.class("standard", "region")
	w.settle("logs")
	w.check("after the class changed", "logs", "region")

	second, err := w.cloud.Cloud.Create(w.ctx, b.UID, operator.Place{Region: "eu-west-1"}, operator.Settings{})
	w.must(err)
	w.patch("logs", fmt.Sprintf(`{"status":{"id":%q}}`, second), "status")
	w.settle("logs")
	if got := w.get("logs"); got.Status.ID != second || len(w.remotes(b.UID)) != 2 || w.remotes(b.UID)[1].Settings != wanted(got, "region").Settings {
		t.Errorf("the cloud has two buckets, the status names the second one, %s. After Reconcile it names %s and the cloud has %+v; want that the named one is kept and configured", second, got.Status.ID, w.remotes(b.UID))
	}
}

// A crash after any of the operator's steps leaves one bucket in the cloud, not two.
//
//kata:zh operator 不管在哪一步之后崩溃，云里都只有一个 bucket，不会有两个。
func TestSurvivesCrash(t *testing.T) {
	w := begin(t)
	for n := 1; ; n++ {
		name := fmt.Sprintf("logs-%d", n)
		w.bucket(name)
		crashed := w.crash(n, name)
		w.settle(name)
		w.check(fmt.Sprintf("after a crash behind effect %d and a new start", n), name, "zone")
		if !crashed || n == 20 {
			return
		}
	}
}

// gone asks that nothing is left of a Bucket.
func (w *world) gone(when string, b *operator.Bucket) {
	w.t.Helper()
	if list := w.remotes(b.UID); len(list) > 0 {
		w.t.Fatalf("%s: the cloud still has %+v for the deleted Bucket, want nothing", when, list)
	}
	if b := w.get(b.Name); b != nil {
		w.t.Fatalf("%s: the Bucket is still there, with the finalizers %q and the condition %+v; want it gone", when, b.Finalizers, condition(b))
	}
}

// A deleted Bucket is gone only when nothing of it is left in the cloud, whatever happened on the way.
//
//kata:zh 被删除的 Bucket，云里的东西清理干净之后才消失，不管途中发生过什么。
func TestCleansUp(t *testing.T) {
	t.Run("after a crash while it was made", func(t *testing.T) {
		w := begin(t)
		for n, crashed := 1, true; crashed && n <= 20; n++ {
			b := w.bucket(fmt.Sprintf("logs-%d", n))
			crashed = w.crash(n, b.Name)
			w.delete(b.Name)
			w.settle(b.Name)
			w.gone(fmt.Sprintf("made, crash behind effect %d, deleted, new start", n), b)
		}
	})
	t.Run("after a crash while it was deleted", func(t *testing.T) {
		w := begin(t)
		for n, crashed := 1, true; crashed && n <= 20; n++ {
			b := w.bucket(fmt.Sprintf("logs-%d", n))
			w.settle(b.Name)
			w.delete(b.Name)
			crashed = w.crash(n, b.Name)
			w.settle(b.Name)
			w.gone(fmt.Sprintf("deleted, crash behind effect %d, new start", n), b)
		}
	})
	t.Run("though the cloud fails", func(t *testing.T) {
		for _, failing := range []string{"list", "delete"} {
			w := begin(t)
			b := w.bucket("logs")
			w.settle("logs")
			w.delete("logs")
			w.cloud.disturb(func(call string) error {
				if call == failing {
					return errLost
				}
				return nil
			}, nil)
			for range 3 {
				w.r.Reconcile(w.ctx, w.request("logs"))
			}
			left := w.get("logs")
			if left == nil {
				t.Fatalf("the cloud's %s fails, and the deleted Bucket is gone although the cloud still has %+v", failing, w.remotes(b.UID))
			}
			if _, err := w.r.Reconcile(w.ctx, w.request("logs")); !errors.Is(err, errLost) {
				t.Errorf("the cloud's %s fails, and Reconcile of the deleted Bucket returns %v; want the cloud's error", failing, err)
			}
			if c := condition(left); c.Status != metav1.ConditionFalse || c.Reason != operator.ReasonCloudFailed {
				t.Errorf("the cloud's %s fails, and the deleted Bucket's Ready is %q (%s); want False (%s)", failing, c.Status, c.Reason, operator.ReasonCloudFailed)
			}
			w.cloud.disturb(nil, nil)
			w.settle("logs")
			w.gone("after the cloud has recovered", b)
		}
	})
	t.Run("with others at work", func(t *testing.T) {
		w := begin(t)
		b := w.bucket("logs")
		w.settle("logs")
		_, err := w.cloud.Cloud.Create(w.ctx, b.UID, operator.Place{Region: "eu-west-1"}, operator.Settings{})
		w.must(err)
		w.must(w.user.Delete(w.ctx, &operator.BucketClass{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "standard"}}))
		w.delete("logs")
		w.settle("logs")
		w.gone("the cloud had two buckets, and the class was deleted too", b)

		w.class("standard", "zone")
		b = w.bucket("photos")
		w.settle("photos")
		w.must(w.cloud.Cloud.Delete(w.ctx, w.get("photos").Status.ID))
		w.delete("photos")
		w.settle("photos")
		w.gone("somebody had deleted the bucket in the cloud", b)

		b = w.bucket("films")
		w.settle("films")
		w.delete("films")
		w.cloud.disturb(func(call string) error { // another hand is quicker, between list and delete
			if call == "delete" {
				w.cloud.Cloud.Delete(w.ctx, w.remotes(b.UID)[0].ID)
				w.cloud.disturb(nil, nil)
			}
			return nil
		}, nil)
		w.settle("films")
		w.gone("somebody deleted the bucket in the cloud at the same time", b)
	})
	t.Run("before it was made", func(t *testing.T) {
		w := begin(t)
		b := w.bucket("logs", func(b *operator.Bucket) { b.Finalizers = []string{foreign} })
		w.delete("logs")
		w.settle("logs")
		if list := w.remotes(b.UID); len(list) > 0 {
			t.Errorf("a Bucket that is being deleted, and that the operator sees for the first time: the cloud has %+v, want nothing", list)
		}
	})
}

// What others write into the Bucket, meanwhile too, stays.
//
//kata:zh 别人写进 Bucket 的内容，哪怕是调谐途中写的，都原样保留。
func TestKeepsOthers(t *testing.T) {
	w := begin(t)
	b := w.bucket("logs")
	meanwhile := func(verb, subresource string, do func()) {
		once := false
		w.link.Before(func(r kubetest.Request) error {
			if !once && r.Write() && r.Resource == "buckets" && r.Subresource == subresource {
				once = true
				do()
			}
			return nil
		})
	}
	meanwhile("", "", func() {
		w.patch("logs", fmt.Sprintf(`{"metadata":{"finalizers":[%q],"labels":{"team":"a"}}}`, foreign))
	})
	w.settle("logs")
	got := w.get("logs")
	if !slices.Contains(got.Finalizers, foreign) || !slices.Contains(got.Finalizers, operator.Finalizer) || got.Labels["team"] != "a" {
		t.Fatalf("another controller adds the finalizer %s and a label between the operator's read and its write. Afterwards finalizers are %q, labels %v; want all of them", foreign, got.Finalizers, got.Labels)
	}

	other := `{"type":"BackedUp","status":"True","reason":"Nightly","message":"","lastTransitionTime":"2020-01-01T00:00:00Z"}`
	w.must(w.user.Status().Patch(w.ctx, b, client.RawPatch(types.JSONPatchType, []byte(`[{"op":"add","path":"/status/conditions/-","value":`+other+`}]`))))
	w.patch("logs", `{"spec":{"lifecycle":{"expireAfterDays":90}}}`)
	w.settle("logs")
	if !meta.IsStatusConditionTrue(w.get("logs").Status.Conditions, "BackedUp") {
		t.Fatalf("another controller's condition BackedUp was there before; after Reconcile the conditions are %+v, want both", w.get("logs").Status.Conditions)
	}
	got = w.get("logs")
	meta.RemoveStatusCondition(&got.Status.Conditions, "BackedUp")
	w.must(w.user.Status().Update(w.ctx, got))

	meanwhile("", "status", func() {
		w.must(w.user.Status().Patch(w.ctx, b, client.RawPatch(types.JSONPatchType, []byte(`[{"op":"add","path":"/status/conditions/-","value":`+other+`}]`))))
	})
	w.patch("logs", `{"spec":{"lifecycle":{"expireAfterDays":30}}}`)
	w.settle("logs")
	if conditions := w.get("logs").Status.Conditions; !meta.IsStatusConditionTrue(conditions, "BackedUp") || !meta.IsStatusConditionTrue(conditions, operator.Ready) {
		t.Fatalf("another controller adds the condition BackedUp between the operator's read and its write; afterwards the conditions are %+v, want both", conditions)
	}

	w.link.Before(nil)
	w.delete("logs")
	w.settle("logs")
	if got = w.get("logs"); got == nil || !slices.Equal(got.Finalizers, []string{foreign}) {
		t.Errorf("after the clean-up the Bucket should wait for the finalizer %s of another controller; it is %+v", foreign, got)
	}
}

// Ready and its reason say how things are, and lastTransitionTime since when.
//
//kata:zh Ready 及其 reason 如实说明现状，lastTransitionTime 说明从何时起。
func TestStatus(t *testing.T) {
	w := begin(t)
	w.bucket("logs")
	want := func(when string, status metav1.ConditionStatus, reason string) metav1.Condition {
		t.Helper()
		b := w.get("logs")
		c := condition(b)
		if c.Status != status || c.Reason != reason || c.ObservedGeneration != b.Generation {
			t.Fatalf("%s: Ready is %q (%s: %s) of generation %d, want %s (%s) of generation %d", when, c.Status, c.Reason, c.Message, c.ObservedGeneration, status, reason, b.Generation)
		}
		return c
	}
	w.settle("logs")
	want("after the first reconciliation", metav1.ConditionTrue, operator.ReasonReady)
	const long = `{"type":"Ready","status":"True","reason":"Ready","message":"","lastTransitionTime":"2020-01-01T00:00:00Z"}`
	ago := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	w.patch("logs", `{"status":{"conditions":[`+long+`]}}`, "status")
	w.patch("logs", `{"spec":{"lifecycle":{"expireAfterDays":90}}}`)
	w.settle("logs")
	if c := want("after a change of the spec", metav1.ConditionTrue, operator.ReasonReady); !c.LastTransitionTime.UTC().Equal(ago) {
		t.Errorf("Ready was True since %v, and still is after a change of the spec; lastTransitionTime is %v", ago, c.LastTransitionTime.UTC())
	}

	w.patch("logs", `{"spec":{"class":"fast"}}`)
	w.settle("logs") // that a class is missing is no error: its event will wake the operator
	if c := want("the class is missing", metav1.ConditionFalse, operator.ReasonClassNotFound); c.LastTransitionTime.UTC().Equal(ago) {
		t.Errorf("Ready has become False, and lastTransitionTime is still %v", ago)
	}
	if len(w.remotes(w.get("logs").UID)) != 1 || w.get("logs").Status.ID == "" {
		t.Errorf("the class is missing, and the bucket in the cloud is %v, status.id %q; want both left as they were", w.remotes(w.get("logs").UID), w.get("logs").Status.ID)
	}
	w.class("fast", "region")
	for _, failing := range []string{"list", "configure", "create"} {
		refused := fmt.Errorf("%s: quota of the %s account", failing, failing)
		w.cloud.disturb(func(call string) error {
			if call == failing {
				return refused
			}
			return nil
		}, nil)
		var err error
		for range 6 {
			if _, err = w.r.Reconcile(w.ctx, w.request("logs")); errors.Is(err, refused) {
				break
			}
		}
		if !errors.Is(err, refused) {
			t.Fatalf("the cloud's %s fails: Reconcile returns %v, want the cloud's error", failing, err)
		}
		w.r.Reconcile(w.ctx, w.request("logs"))
		if c := want("the cloud's "+failing+" fails", metav1.ConditionFalse, operator.ReasonCloudFailed); !strings.Contains(c.Message, refused.Error()) {
			t.Errorf("the cloud's %s fails: the message is %q, want the error %q", failing, c.Message, refused)
		}
		if w.get("logs").Status.ID == "" {
			t.Errorf("the cloud's %s fails: status.id is lost", failing)
		}
		if failing == "configure" { // next is create, for which there has to be a reason
			w.must(w.cloud.Cloud.Delete(w.ctx, w.get("logs").Status.ID))
		}
	}
	w.cloud.disturb(nil, nil)
	w.settle("logs")
	want("after the cloud has recovered", metav1.ConditionTrue, operator.ReasonReady)
	w.check("after the cloud has recovered", "logs", "region")
}

// observedGeneration is the generation that was acted upon, also when the spec changes meanwhile.
//
//kata:zh observedGeneration 是实际处理过的那一代，即使 spec 在途中又变了。
func TestObserves(t *testing.T) {
	for _, during := range []string{"create", "configure"} {
		w := begin(t)
		w.bucket("logs")
		if during == "configure" {
			w.settle("logs")
			w.patch("logs", `{"spec":{"lifecycle":{"expireAfterDays":90}}}`)
		}
		changed := false
		w.cloud.disturb(func(call string) error {
			if call != during {
				return nil
			}
			b := w.get("logs")
			c, list := condition(b), w.remotes(b.UID)
			done := len(list) == 1 && list[0].Settings == wanted(b, "zone").Settings
			if !done && c.Status == metav1.ConditionTrue && c.ObservedGeneration == b.Generation {
				t.Errorf("the cloud's %s has just begun, and Ready is True for generation %d already", during, b.Generation)
			}
			return nil
		}, func(call string) error {
			if call == during && !changed {
				changed = true
				w.patch("logs", `{"spec":{"lifecycle":{"expireAfterDays":30}}}`)
			}
			return nil
		})
		for range 12 {
			w.r.Reconcile(w.ctx, w.request("logs"))
			b := w.get("logs")
			c := condition(b)
			if remotes := w.remotes(b.UID); changed && c.Status == metav1.ConditionTrue && c.ObservedGeneration == b.Generation && remotes[0].Settings.ExpireAfterDays != 30 {
				t.Fatalf("expireAfterDays became 30 (generation %d) while the cloud's %s was under way. Ready is True for generation %d, but the cloud has %d days", b.Generation, during, c.ObservedGeneration, remotes[0].Settings.ExpireAfterDays)
			}
		}
		w.check("after the spec changed during "+during, "logs", "zone")
		if b := w.get("logs"); condition(b).ObservedGeneration != b.Generation {
			t.Errorf("in the end Ready is of generation %d, want %d", condition(b).ObservedGeneration, b.Generation)
		}
	}
}

// When nothing has changed, nothing is written, and nobody asked but the cache and the cloud's list; the next look is a resync away.
//
//kata:zh 什么都没变时，什么也不写，只读缓存和云里的列表；下一次检查在一个 Resync 之后。
func TestQuiet(t *testing.T) {
	w := begin(t)
	w.bucket("logs")
	w.bucket("lost", func(b *operator.Bucket) { b.Spec.Class = "fast" })
	quiet := func(when, name string) ctrl.Result {
		t.Helper()
		w.settle(name)
		now := w.get(name)
		if now == nil {
			t.Fatalf("%s: it is gone", when)
		}
		before, changes := len(w.link.Writes()), len(w.cloud.changes())
		asked := 0
		w.live.Before(func(kubetest.Request) error { asked++; return nil })
		var result ctrl.Result
		for range 3 {
			var err error
			if result, err = w.r.Reconcile(w.ctx, w.request(name)); err != nil {
				t.Fatalf("%s: Reconcile = %v", when, err)
			}
		}
		if writes := w.link.Writes()[before:]; len(writes) > 0 || w.get(name).ResourceVersion != now.ResourceVersion {
			t.Errorf("%s: three calls of Reconcile wrote %v; want nothing", when, writes)
		}
		if calls := w.cloud.changes()[changes:]; len(calls) > 0 {
			t.Errorf("%s: three calls of Reconcile did %v in the cloud; want nothing", when, calls)
		}
		if asked > 0 {
			t.Errorf("%s: three calls of Reconcile made %d requests through Live; want none", when, asked)
		}
		return result
	}
	if result := quiet("a Bucket that is ready", "logs"); result.RequeueAfter <= 0 || result.RequeueAfter > resync {
		t.Errorf("a Bucket that is ready: Reconcile = %+v, want that it comes back after Resync, %v", result, resync)
	}
	quiet("a Bucket whose class is missing", "lost")
	w.patch("logs", fmt.Sprintf(`{"metadata":{"finalizers":[%q,%q]}}`, operator.Finalizer, foreign))
	w.delete("logs")
	quiet("a Bucket that is cleaned up and waits for others", "logs")
	if result, err := w.r.Reconcile(w.ctx, w.request("nobody")); err != nil || result.RequeueAfter != 0 {
		t.Errorf("Reconcile of a Bucket that is gone = %+v, %v; want nothing", result, err)
	}
}

// A cache that lags has nothing made in the cloud that nobody would clean up.
//
//kata:zh 缓存滞后，也不会在云里造出无人清理的东西。
func TestLagging(t *testing.T) {
	for _, c := range []struct {
		name  string
		since func(w *world)
	}{
		{"was deleted and cleaned up since", func(w *world) {
			w.delete("logs")
			w.settle("logs")
		}},
		{"was deleted and cleaned up since, and waits for another finalizer", func(w *world) {
			w.patch("logs", fmt.Sprintf(`{"metadata":{"finalizers":[%q,%q]}}`, operator.Finalizer, foreign))
			w.delete("logs")
			w.settle("logs")
		}},
		{"lost the finalizer since, and its bucket in the cloud", func(w *world) {
			w.must(w.cloud.Cloud.Delete(w.ctx, w.get("logs").Status.ID))
			w.patch("logs", `{"metadata":{"finalizers":null}}`)
		}},
		{"was deleted and cleaned up since, and made anew", func(w *world) {
			w.delete("logs")
			w.settle("logs")
			w.bucket("logs", func(b *operator.Bucket) { b.Finalizers = []string{operator.Finalizer} })
		}},
	} {
		w := begin(t)
		w.bucket("logs")
		w.settle("logs")
		seen := w.get("logs") // what the cache goes on to show
		c.since(w)
		w.r.Client = interceptor.NewClient(w.client, interceptor.Funcs{
			Get: func(ctx context.Context, next client.WithWatch, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
				if b, ok := into.(*operator.Bucket); ok {
					seen.DeepCopyInto(b)
					return nil
				}
				return next.Get(ctx, key, into, opts...)
			},
		})
		for range 4 {
			w.r.Reconcile(w.ctx, w.request("logs")) // an error is as good as none: it will be called again
		}
		now := w.get("logs")
		kept := now != nil && now.UID == seen.UID && slices.Contains(now.Finalizers, operator.Finalizer)
		if list := w.remotes(seen.UID); len(list) > 0 && !kept {
			t.Errorf("a Bucket %s; the cache still shows it as it was. Reconcile made %+v for it, and nobody will clean that up; want nothing", c.name, list)
		}
	}

	w := begin(t)
	w.bucket("logs")
	op := w.run(operator.Options{})
	op.await("a Bucket does not become ready", w.ready("logs", "zone"))
	var asked atomic.Int32
	var blind atomic.Bool
	op.link.Before(func(r kubetest.Request) error {
		if r.Resource == "buckets" && r.Verb != "watch" {
			asked.Add(1)
		}
		return nil
	})
	op.cloud.disturb(func(call string) error {
		if call == "create" && asked.Load() == 0 {
			blind.Store(true)
		}
		return nil
	}, nil)
	w.must(w.cloud.Cloud.Delete(w.ctx, w.get("logs").Status.ID))
	w.patch("logs", `{"spec":{"lifecycle":{"expireAfterDays":90}}}`)
	op.await("a changed Bucket, whose bucket in the cloud is gone, is not reconciled", func() bool {
		return w.ready("logs", "zone")() || condition(w.get("logs")).Status == metav1.ConditionFalse
	})
	if blind.Load() {
		t.Error("a running operator made a bucket in the cloud, and between its wake-up and that it did not ask the API server: it cannot know that the cache was right")
	}
}

// attempt has the API server judge a spec, in JSON, without keeping it.
func (w *world) attempt(object string) (*operator.Bucket, error) {
	w.t.Helper()
	u := &unstructured.Unstructured{}
	w.must(yaml.Unmarshal([]byte(object), &u.Object))
	u.SetGroupVersionKind(operator.GroupVersion.WithKind("Bucket"))
	u.SetNamespace(w.ns)
	u.SetName("attempt")
	if err := w.user.Create(w.ctx, u, client.DryRunAll); err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(u.Object)
	w.must(err)
	var b operator.Bucket
	w.must(yaml.Unmarshal(text, &b))
	return &b, nil
}

// The API server refuses what makes no sense.
//
//kata:zh 不合理的内容由 API server 拒绝。
func TestValidates(t *testing.T) {
	w := begin(t)
	for _, c := range []struct {
		object string
		field  string // empty: it is good
	}{
		{`{}`, "spec"},
		{`{spec: {}}`, "region"},
		{`{spec: {region: ""}}`, "region"},
		{`{spec: {region: Frankfurt}}`, "region"},
		{`{spec: {region: eu-west-1a}}`, "region"},
		{`{spec: {region: the eu-west-1}}`, "region"},
		{`{spec: {region: eu-west-1}}`, ""},
		{`{spec: {region: us-east-12, encryptionKey: k}}`, ""},
		{`{spec: {region: eu-west-1, class: ""}}`, "class"},
		{`{spec: {region: eu-west-1, encryptionKey: ""}}`, "encryptionKey"},
		{`{spec: {region: ` + strings.Repeat("a", 23) + `-central-1}}`, "region"},
		{`{spec: {region: ` + strings.Repeat("a", 22) + `-central-1}}`, ""},
		{`{spec: {region: eu-west-1, class: ` + strings.Repeat("c", 64) + `}}`, "class"},
		{`{spec: {region: eu-west-1, encryptionKey: ` + strings.Repeat("k", 257) + `}}`, "encryptionKey"},
		{`{spec: {region: eu-west-1, class: ` + strings.Repeat("c", 63) + `, encryptionKey: ` + strings.Repeat("k", 256) + `}}`, ""},
		{`{spec: {region: eu-west-1, lifecycle: {expireAfterDays: 0}}}`, "expireAfterDays"},
		{`{spec: {region: eu-west-1, lifecycle: {expireAfterDays: 1}}}`, ""},
		{`{spec: {region: eu-west-1, lifecycle: {expireAfterDays: 3650}}}`, ""},
		{`{spec: {region: eu-west-1, lifecycle: {expireAfterDays: 3651}}}`, "expireAfterDays"},
		{`{spec: {region: eu-west-1, lifecycle: {archiveAfterDays: 0}}}`, "archiveAfterDays"},
		{`{spec: {region: eu-west-1, lifecycle: {archiveAfterDays: 1}}}`, ""},
		{`{spec: {region: eu-west-1, lifecycle: {archiveAfterDays: 29, expireAfterDays: 30}}}`, ""},
		{`{spec: {region: eu-west-1, lifecycle: {archiveAfterDays: 30, expireAfterDays: 30}}}`, "lifecycle"},
		{`{spec: {region: eu-west-1, lifecycle: {archiveAfterDays: 31, expireAfterDays: 30}}}`, "lifecycle"},
		{`{spec: {region: eu-west-1, lifecycle: {archiveAfterDays: 364}}}`, ""},
		{`{spec: {region: eu-west-1, lifecycle: {archiveAfterDays: 365}}}`, "lifecycle"},
	} {
		_, err := w.attempt(c.object)
		switch {
		case c.field == "" && err != nil:
			t.Errorf("create %s = %v, want that it is taken", c.object, err)
		case c.field != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.field)):
			t.Errorf("create %s = %v, want it refused for its %s", c.object, err, c.field)
		}
	}
}

// The API server fills in what was left out, and nothing else.
//
//kata:zh 省略的字段由 API server 填上，其余一概不动。
func TestDefaults(t *testing.T) {
	w := begin(t)
	for _, c := range []struct {
		object string
		want   operator.BucketSpec
	}{
		{`{spec: {region: eu-west-1}}`, operator.BucketSpec{Class: "standard", Region: "eu-west-1", Lifecycle: operator.Lifecycle{ExpireAfterDays: 365}}},
		{`{spec: {region: eu-west-1, lifecycle: {}}}`, operator.BucketSpec{Class: "standard", Region: "eu-west-1", Lifecycle: operator.Lifecycle{ExpireAfterDays: 365}}},
		{`{spec: {region: eu-west-1, lifecycle: {archiveAfterDays: 10}}}`, operator.BucketSpec{Class: "standard", Region: "eu-west-1", Lifecycle: operator.Lifecycle{ArchiveAfterDays: 10, ExpireAfterDays: 365}}},
		{`{spec: {region: eu-west-1, class: fast, encryptionKey: k, lifecycle: {expireAfterDays: 7}}}`, operator.BucketSpec{Class: "fast", Region: "eu-west-1", EncryptionKey: "k", Lifecycle: operator.Lifecycle{ExpireAfterDays: 7}}},
	} {
		got, err := w.attempt(c.object)
		if err != nil {
			t.Errorf("create %s = %v, want that it is taken", c.object, err)
		} else if got.Spec != c.want {
			t.Errorf("create %s: the spec becomes\n%+v, want\n%+v", c.object, got.Spec, c.want)
		}
	}
}

// The API server refuses changes of what the cloud cannot change.
//
//kata:zh 云里改不了的东西，API server 拒绝修改。
func TestImmutable(t *testing.T) {
	w := begin(t)
	w.bucket("logs")
	w.bucket("open", func(b *operator.Bucket) { b.Spec.EncryptionKey = "" })
	for _, c := range []struct {
		bucket, change string
		field          string // empty: it may change
	}{
		{"logs", `{"spec":{"region":"eu-west-2"}}`, "region"},
		{"logs", `{"spec":{"encryptionKey":"k-2"}}`, "encryptionKey"},
		{"logs", `{"spec":{"encryptionKey":null}}`, "encryptionKey"},
		{"open", `{"spec":{"encryptionKey":"k-2"}}`, "encryptionKey"},
		{"open", `{"spec":{"class":"fast"}}`, ""},
		{"logs", `{"spec":{"class":"fast","lifecycle":{"archiveAfterDays":3,"expireAfterDays":9}}}`, ""},
		{"logs", `{"spec":{"lifecycle":null}}`, ""},
		{"logs", `{"metadata":{"labels":{"team":"a"}}}`, ""},
	} {
		b := w.get(c.bucket)
		spec := fmt.Sprintf("%+v", b.Spec)
		err := w.user.Patch(w.ctx, b, client.RawPatch(types.MergePatchType, []byte(c.change)), client.DryRunAll)
		switch {
		case c.field == "" && err != nil:
			t.Errorf("change of %s by %s = %v, want that it is taken", spec, c.change, err)
		case c.field != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.field)):
			t.Errorf("change of %s by %s = %v, want it refused for its %s", spec, c.change, err, c.field)
		}
	}
}

// running is an operator that runs.
type running struct {
	w     *world
	link  *kubetest.Link
	cloud *cloud
	stop  context.CancelFunc
	done  chan struct{}
	err   error
}

// run starts an operator, with a link and a view of the cloud of its own; do may disturb them before it starts.
func (w *world) run(o operator.Options, do ...func(*running)) *running {
	w.t.Helper()
	o.Namespace, o.Resync = w.ns, resync
	ctx, cancel := context.WithCancel(w.ctx)
	op := &running{w: w, link: w.api.Link(), cloud: newCloud(w.cloud.Cloud), stop: cancel, done: make(chan struct{})}
	for _, do := range do {
		do(op)
	}
	go func() {
		defer close(op.done)
		op.err = operator.Run(ctx, op.link.Config(), op.cloud, o)
	}()
	w.t.Cleanup(func() {
		cancel()
		op.ended()
	})
	return op
}

// ended waits until Run has returned.
func (op *running) ended() error {
	op.w.t.Helper()
	select {
	case <-op.done:
		return op.err
	case <-time.After(kubetest.Patience):
		op.w.t.Fatal("Run does not return")
		return nil
	}
}

// await waits until cond holds, for as long as right code may need on a loaded machine, or Run has returned.
func (op *running) await(what string, cond func() bool) {
	op.w.t.Helper()
	if !op.within(kubetest.Patience, cond) {
		op.w.t.Fatal(what)
	}
}

func (op *running) within(patience time.Duration, cond func() bool) bool {
	op.w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-op.done:
			op.w.t.Fatalf("Run = %v, although nobody has stopped it", op.err)
		case <-giveUp:
			return false
		}
	}
	return true
}

// ready tells whether a Bucket is ready, in its newest generation, with this redundancy.
func (w *world) ready(name, redundancy string) func() bool {
	return func() bool {
		w.t.Helper()
		b := w.get(name)
		if b == nil || condition(b).Status != metav1.ConditionTrue || condition(b).ObservedGeneration != b.Generation {
			return false
		}
		list := w.remotes(b.UID)
		return len(list) == 1 && list[0].Settings == wanted(b, redundancy).Settings
	}
}

// A running operator is woken by each change that concerns a Bucket: its own, and its class's.
//
//kata:zh 运行中的 operator 会被每一个与 Bucket 有关的变化唤醒：它自己的，和它的 class 的。
func TestWatches(t *testing.T) {
	w := begin(t)
	w.bucket("logs")
	w.bucket("early", func(b *operator.Bucket) { b.Spec.Class = "fast" })
	elsewhere := &world{t: t, ctx: w.ctx, ns: w.api.Namespace(), user: w.user, cloud: w.cloud}
	elsewhere.class("standard", "zone")
	far := elsewhere.bucket("far")
	op := w.run(operator.Options{})
	op.await("a Bucket that was there before the operator does not become ready", w.ready("logs", "zone"))
	op.await("the missing class of a Bucket is not reported", func() bool { return condition(w.get("early")).Reason == operator.ReasonClassNotFound })
	w.patch("logs", `{"spec":{"lifecycle":{"expireAfterDays":90}}}`)
	op.await("a changed Bucket does not become ready", w.ready("logs", "zone"))

	w.class("fast", "region")
	w.class("standard", "region")
	w.bucket("late", func(b *operator.Bucket) { b.Spec.Class = "fast" })
	op.await("a new Bucket does not become ready", w.ready("late", "region"))
	if !op.within(4*time.Second, w.ready("early", "region")) {
		t.Errorf("the class that a Bucket waited for exists now, and the Bucket is still %+v", condition(w.get("early")))
	}
	if !op.within(4*time.Second, w.ready("logs", "region")) {
		t.Errorf("the class has changed to the redundancy region; the cloud still has %+v", w.remotes(w.get("logs").UID))
	}
	b := w.get("logs")
	w.delete("logs")
	op.await("a deleted Bucket is not cleaned up", func() bool { return w.get("logs") == nil && len(w.remotes(b.UID)) == 0 })
	if list := w.remotes(far.UID); len(list) > 0 {
		t.Errorf("the operator of namespace %s made %+v for a Bucket in namespace %s", w.ns, list, far.Namespace)
	}
	op.stop()
	if err := op.ended(); err != nil {
		t.Errorf("ctx ended: Run = %v, want nil", err)
	}
}

// While the cloud fails, the operator asks less and less often: what it writes does not wake it.
//
//kata:zh 云一直失败时，operator 问得越来越少：它自己写的东西不会唤醒自己。
func TestBacksOff(t *testing.T) {
	w := begin(t)
	const attempts, least = 8, 150 * time.Millisecond // the queue waits 320 ms by then
	var mu sync.Mutex
	var times []time.Time
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(times)
	}
	op := w.run(operator.Options{})
	op.cloud.disturb(func(call string) error {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, time.Now())
		return fmt.Errorf("service unavailable, request %d", len(times)) // each error is another one
	}, nil)
	w.bucket("logs")
	op.await("a Bucket that fails is not tried again", func() bool { return count() >= attempts })
	if wait := times[attempts-1].Sub(times[attempts-2]); wait < least {
		t.Errorf("the cloud fails, each time with another text: between attempts %d and %d lie only %v, want that the queue's growing delay holds (≥ %v)", attempts-1, attempts, wait, least)
	}
}

// One operator at a time works; when it stops the next one takes over at once, and one that has lost its lease ends with an error.
//
//kata:zh 同一时刻只有一个 operator 工作；它停下，下一个立刻接手；失去租约的以错误结束。
func TestLeads(t *testing.T) {
	w := begin(t)
	clients, err := kubernetes.NewForConfig(w.api.Link().Config())
	w.must(err)
	leases := clients.CoordinationV1().Leases(w.ns)
	slow := operator.Options{LeaseDuration: time.Hour, RenewDeadline: 50 * time.Minute, RetryPeriod: 100 * time.Millisecond}
	w.bucket("one")
	first := w.run(slow)
	first.await("a Bucket does not become ready", w.ready("one", "zone"))
	var asked atomic.Bool
	other := w.run(slow, func(op *running) {
		op.link.Before(func(r kubetest.Request) error {
			if r.Resource == "leases" {
				asked.Store(true)
			}
			return nil
		})
	})
	other.await("a second operator asks nobody whether it may work", func() bool { return asked.Load() || other.cloud.called() > 0 })
	w.bucket("two")
	first.await("a second Bucket does not become ready", w.ready("two", "zone"))
	if n := other.cloud.called(); n > 0 {
		t.Fatalf("two operators run; the second one called the cloud %d times, want that only the first works", n)
	}
	led := ""
	if l, err := leases.Get(w.ctx, operator.LeaseName, metav1.GetOptions{}); err == nil && l.Spec.HolderIdentity != nil {
		led = *l.Spec.HolderIdentity
	}
	first.stop()
	if err := first.ended(); err != nil {
		t.Fatalf("ctx ended: Run = %v, want nil", err)
	}
	lease, err := leases.Get(w.ctx, operator.LeaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatalf("no Lease %s in the operator's namespace: %v", operator.LeaseName, err)
	}
	if h := lease.Spec.HolderIdentity; h != nil && *h == led {
		t.Fatalf("the first operator has stopped, and still holds the Lease: the next one has to wait until it runs out")
	}
	w.bucket("three")
	other.await("the first operator has stopped, and nobody takes over", w.ready("three", "zone"))
	other.stop()
	if err := other.ended(); err != nil {
		t.Fatalf("ctx ended: Run = %v, want nil", err)
	}

	third := w.run(operator.Options{LeaseDuration: 1200 * time.Millisecond, RenewDeadline: time.Second, RetryPeriod: 100 * time.Millisecond})
	w.bucket("four")
	third.await("a Bucket does not become ready", w.ready("four", "zone"))
	thief := []byte(fmt.Sprintf(`{"spec":{"holderIdentity":"thief","leaseDurationSeconds":3600,"renewTime":%q}}`, time.Now().UTC().Format(metav1.RFC3339Micro)))
	_, err = leases.Patch(w.ctx, operator.LeaseName, types.MergePatchType, thief, metav1.PatchOptions{})
	w.must(err)
	if err := third.ended(); err == nil {
		t.Error("another one holds the Lease now, and Run = nil; want an error, so that the program ends and starts anew")
	}
}
