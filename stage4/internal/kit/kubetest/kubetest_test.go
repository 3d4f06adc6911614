package kubetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const lamps = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.kit.roadkata.dev}
spec:
  group: kit.roadkata.dev
  scope: Namespaced
  names: {plural: lamps, singular: lamp, kind: Lamp, listKind: LampList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              watts: {type: integer, default: 40}
            x-kubernetes-validations:
            - rule: self.watts < 100
              message: too bright
          status:
            type: object
            properties:
              lit: {type: boolean}
`

// room is a namespace with lamps.
func room(t *testing.T) (context.Context, dynamic.ResourceInterface, *Link, *Server, string) {
	t.Helper()
	s := Start(t)
	if err := s.Install([]byte(lamps)); err != nil {
		t.Fatal(err)
	}
	link := s.Link()
	client, err := dynamic.NewForConfig(link.Config())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	namespace := s.Namespace()
	return ctx, client.Resource(schema.GroupVersionResource{Group: "kit.roadkata.dev", Version: "v1", Resource: "lamps"}).Namespace(namespace), link, s, namespace
}

func lamp(name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "kit.roadkata.dev/v1", "kind": "Lamp", "metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

func TestServesAKind(t *testing.T) {
	ctx, lamps, _, s, _ := room(t)
	made, err := lamps.Create(ctx, lamp("desk", map[string]any{}), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if watts, _, _ := unstructured.NestedInt64(made.Object, "spec", "watts"); watts != 40 || made.GetGeneration() != 1 {
		t.Errorf("made %v, want the default of 40 watts and generation 1", made.Object)
	}
	if _, err := lamps.Create(ctx, lamp("sun", map[string]any{"watts": int64(100)}), metav1.CreateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "too bright") {
		t.Errorf("a lamp that breaks the rule: error %v, want that it is too bright", err)
	}
	if _, err := lamps.Patch(ctx, "desk", types.MergePatchType, []byte(`{"status":{"lit":true}}`), metav1.PatchOptions{}, "status"); err != nil {
		t.Errorf("patch of the status: %v", err)
	}
	watch, err := lamps.Watch(ctx, metav1.ListOptions{ResourceVersion: made.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	select {
	case event := <-watch.ResultChan():
		if lit, _, _ := unstructured.NestedBool(event.Object.(*unstructured.Unstructured).Object, "status", "lit"); !lit {
			t.Errorf("event %+v, want a lamp that is lit", event)
		}
	case <-time.After(Patience):
		t.Error("no event")
	}
	if err := s.Install([]byte(strings.ReplaceAll(lamps2, "integer", "int"))); err == nil {
		t.Error("Install takes a definition that is none")
	}
}

// lamps2 is a definition of another name, so that refusing it touches nothing.
var lamps2 = strings.NewReplacer("lamps", "lanterns", "Lamp", "Lantern", "lamp", "lantern").Replace(lamps)

func TestAnswersDiscovery(t *testing.T) {
	_, _, link, _, _ := room(t)
	client, err := discovery.NewDiscoveryClientForConfig(link.Config())
	if err != nil {
		t.Fatal(err)
	}
	_, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		for _, r := range list.APIResources {
			if list.GroupVersion == "kit.roadkata.dev/v1" && r.Kind == "Lamp" {
				return
			}
		}
	}
	t.Errorf("the discovery does not know Lamp: %v", lists)
}

func TestDisturbsALink(t *testing.T) {
	ctx, lamps, link, _, namespace := room(t)
	broken := errors.New("broken")
	link.Before(func(r Request) error {
		if r.Verb == "create" {
			return broken
		}
		return nil
	})
	if _, err := lamps.Create(ctx, lamp("a", map[string]any{}), metav1.CreateOptions{}); !errors.Is(err, broken) {
		t.Errorf("create: %v, want that the link is broken", err)
	}
	link.Before(nil)
	if _, err := lamps.Get(ctx, "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("get: %v, want that it was not made", err)
	}
	link.After(func(Request) error { return broken })
	if _, err := lamps.Create(ctx, lamp("b", map[string]any{}), metav1.CreateOptions{}); !errors.Is(err, broken) {
		t.Errorf("create: %v, want that the answer is lost", err)
	}
	link.After(nil)
	if _, err := lamps.Get(ctx, "b", metav1.GetOptions{}); err != nil {
		t.Errorf("get: %v, want that it was made", err)
	}
	if _, err := lamps.Patch(ctx, "b", types.MergePatchType, []byte(`{"status":{"lit":true}}`), metav1.PatchOptions{}, "status"); err != nil {
		t.Errorf("patch: %v", err)
	}
	writes := link.Writes()
	if len(writes) != 2 || writes[1] != (Request{"patch", "lamps", "status", namespace, "b"}) {
		t.Errorf("writes %v, want a create and a patch of the status", writes)
	}
}

func TestElectsALeader(t *testing.T) {
	ctx, _, link, _, namespace := room(t)
	client, err := kubernetes.NewForConfig(link.Config())
	if err != nil {
		t.Fatal(err)
	}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, namespace, "lamplighter", client.CoreV1(), client.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: "me"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	led := false
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: time.Minute, RenewDeadline: 30 * time.Second, RetryPeriod: time.Second, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { led = true; cancel() },
			OnStoppedLeading: func() {},
		},
	})
	if !led {
		t.Error("nobody leads")
	}
}
