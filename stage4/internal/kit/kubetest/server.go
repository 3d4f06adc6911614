// Package kubetest is a real Kubernetes API server for custom resources inside the test's process: k8s.io/apiextensions-apiserver on an
// embedded etcd, and the faults that befall its clients.
//
// It is the code that kube-apiserver serves custom resources with: schemas, defaulting, CEL rules, subresources, generations, finalizers,
// conflicts, watches and server-side apply are the real ones. What it does not have is the rest of kube-apiserver: no built-in kinds but
// Leases, no namespaces that would have to exist, no garbage collector, no webhooks and no authorization.
//
// The server starts with the first call of Start, and serves all tests of the process. Nothing is logged.
package kubetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	crdoptions "k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	generatedopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"
)

// Patience is how long the kit waits for what has to happen: far longer than anything takes.
const Patience = 30 * time.Second

// Server is a running API server.
type Server struct {
	url    string
	crds   clientset.Interface
	known  cache.Store // the definitions as the server itself sees them
	names  atomic.Int64
	served sync.Map // names of the CRDs that were installed, to their text
	stop   func()
}

// server is the process's own, and how many tests use it at present.
var server struct {
	sync.Mutex
	*Server
	users int
}

// Start returns the process's API server.
//
// When the last test that uses it ends, the server is stopped and its folder, in os.TempDir(), deleted. Under the grader the folder for
// temporary files is the process's own and goes with it: there the server stays for the next test.
func Start(t testing.TB) *Server {
	t.Helper()
	server.Lock()
	defer server.Unlock()
	if server.Server == nil {
		s, err := start()
		if err != nil {
			t.Fatalf("kubetest: the API server does not start: %v", err)
		}
		server.Server = s
	}
	server.users++
	t.Cleanup(func() {
		server.Lock()
		defer server.Unlock()
		if server.users--; server.users == 0 && os.Getenv("ROADKATA_FILES") == "" {
			server.stop()
			server.Server = nil
		}
	})
	return server.Server
}

func start() (*Server, error) {
	klog.SetLogger(logr.Discard())
	etcd, removeData, err := startEtcd()
	if err != nil {
		return nil, err
	}
	stopEtcd := func() {
		etcd.Server.HardStop()
		etcd.Close()
		removeData()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		stopEtcd()
		return nil, err
	}
	s := &Server{url: "http://" + listener.Addr().String()}
	api, err := newAPIServer(s.url, "http://"+etcd.Clients[0].Addr().String())
	if err != nil {
		listener.Close()
		stopEtcd()
		return nil, err
	}
	prepared := api.GenericAPIServer.PrepareRun()
	web := &http.Server{Handler: s.withDiscovery(prepared.Handler)}
	go web.Serve(listener)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- prepared.RunWithContext(ctx) }()
	s.known = api.Informers.Apiextensions().V1().CustomResourceDefinitions().Informer().GetStore()
	s.stop = func() { // RunWithContext itself would wait for a listener that it does not have
		cancel()
		web.Close()
		prepared.Destroy()
		stopEtcd()
	}
	if s.crds, err = clientset.NewForConfig(s.config()); err == nil {
		err = s.awaitReady(ended)
	}
	if err == nil {
		err = s.install([]byte(leases))
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// startEtcd starts a member that is alone, and keeps nothing safe: the data last as long as the process.
func startEtcd() (*embed.Etcd, func(), error) {
	removeLeftovers()
	dir, err := os.MkdirTemp("", dirPrefix)
	if err != nil {
		return nil, nil, err
	}
	inUse, err := fileutil.TryLockFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	remove := func() {
		os.RemoveAll(dir)
		inUse.Close()
	}
	wal.SegmentSizeBytes = 64 << 10 // 64 MiB are laid out otherwise
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(dir, "etcd")
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.UnsafeNoFsync = true
	cfg.EnableGRPCGateway = false
	cfg.TickMs, cfg.ElectionMs = 10, 100 // it leads as soon as it has waited for others
	anywhere := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenPeerUrls, cfg.ListenClientUrls = []url.URL{anywhere}, []url.URL{anywhere}
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		remove()
		return nil, nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, remove, nil
	case err = <-etcd.Err():
	case <-time.After(Patience):
		err = fmt.Errorf("etcd is not ready after %v", Patience)
	}
	etcd.Close()
	remove()
	return nil, nil, err
}

const (
	dirPrefix = "roadkata-kube-"
	lockName  = "in-use"
)

// removeLeftovers deletes the data of processes that were killed. A process holds a lock on a file in its folder.
func removeLeftovers() {
	locks, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*", lockName))
	for _, name := range locks {
		lock, err := fileutil.TryLockFile(name, os.O_RDWR, 0o600)
		if err != nil {
			continue // in use
		}
		os.RemoveAll(filepath.Dir(name))
		lock.Close()
	}
}

// newAPIServer is what the apiextensions-apiserver's own command does, without TLS, authentication, authorization and admission: those
// want a kube-apiserver beside it.
func newAPIServer(self, etcd string) (*apiserver.CustomResourceDefinitions, error) {
	generic := genericapiserver.NewRecommendedConfig(apiserver.Codecs)
	generic.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	generic.ExternalAddress = self[len("http://"):]
	generic.LoopbackClientConfig = &rest.Config{Host: self, QPS: -1}
	generic.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
	generic.MergedResourceConfig = apiserver.DefaultAPIResourceConfigSource()
	generic.SkipOpenAPIInstallation = true
	generic.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(generatedopenapi.GetOpenAPIDefinitions, openapinamer.NewDefinitionNamer(apiserver.Scheme))
	storage := options.NewEtcdOptions(storagebackend.NewDefaultConfig("/registry", apiserver.Codecs.LegacyCodec(v1beta1.SchemeGroupVersion, apiextensionsv1.SchemeGroupVersion)))
	storage.StorageConfig.Transport.ServerList = []string{etcd}
	storage.EnableWatchCache = false // to begin one takes a second for each kind
	if err := storage.ApplyTo(&generic.Config); err != nil {
		return nil, err
	}
	config := apiserver.Config{
		GenericConfig: generic,
		ExtraConfig: apiserver.ExtraConfig{
			CRDRESTOptionsGetter: crdoptions.NewCRDRESTOptionsGetter(*storage, generic.ResourceTransformers, generic.StorageObjectCountTracker),
		},
	}
	return config.Complete().New(genericapiserver.NewEmptyDelegate())
}

// withDiscovery adds the root of the discovery, which kube-apiserver has in front of this server: clients that look up kinds begin there.
func (s *Server) withDiscovery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any
		switch r.URL.Path {
		case "/api":
			answer = metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions", APIVersion: "v1"}, Versions: []string{}}
		case "/apis":
			answer = s.groups()
		default:
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(answer)
	})
}

// groups lists the groups of the CRDs that are served.
func (s *Server) groups() metav1.APIGroupList {
	list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{}}
	seen := map[string]bool{}
	for _, object := range s.known.List() {
		crd := object.(*apiextensionsv1.CustomResourceDefinition)
		if established(crd) == nil || seen[crd.Spec.Group] {
			continue
		}
		seen[crd.Spec.Group] = true
		group := metav1.APIGroup{Name: crd.Spec.Group}
		for _, v := range crd.Spec.Versions {
			if v.Served {
				group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: crd.Spec.Group + "/" + v.Name, Version: v.Name})
			}
		}
		group.PreferredVersion = group.Versions[0]
		list.Groups = append(list.Groups, group)
	}
	return list
}

// awaitReady waits until the server has started all that belongs to it.
func (s *Server) awaitReady(ended <-chan error) error {
	giveUp := time.Now().Add(Patience)
	for {
		answer, err := http.Get(s.url + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(answer.Status)
		}
		select {
		case ended := <-ended:
			return ended
		default:
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("not ready after %v: %w", Patience, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// config is how to reach the server. It asks for JSON as custom resources know nothing else, and sets no limit of requests a second.
func (s *Server) config() *rest.Config {
	return &rest.Config{Host: s.url, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
}

// Namespace returns the name of a namespace that nobody else uses. Namespaces need not be created here.
func (s *Server) Namespace() string {
	return fmt.Sprintf("ns-%d", s.names.Add(1))
}

// Install has the server serve the kind of a CustomResourceDefinition in YAML, and returns when it does. The error is the API server's,
// when it refuses the definition. It changes a definition that has been installed already, which shows only after a moment: tests that
// change one ask until it does.
func (s *Server) Install(definition []byte) error {
	return s.install(definition)
}

func (s *Server) install(definition []byte) error {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(definition, &crd); err != nil {
		return err
	}
	if text, ok := s.served.Load(crd.Name); ok && text == string(definition) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	crds := s.crds.ApiextensionsV1().CustomResourceDefinitions()
	_, err := crds.Create(ctx, &crd, metav1.CreateOptions{FieldValidation: "Strict"})
	if apierrors.IsAlreadyExists(err) {
		var old *apiextensionsv1.CustomResourceDefinition
		if old, err = crds.Get(ctx, crd.Name, metav1.GetOptions{}); err != nil {
			return err
		}
		crd.ResourceVersion = old.ResourceVersion
		_, err = crds.Update(ctx, &crd, metav1.UpdateOptions{FieldValidation: "Strict"})
	}
	if err != nil {
		return err
	}
	for {
		now, err := crds.Get(ctx, crd.Name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("%s is not served: %w", crd.Name, err)
		}
		if condition := established(now); condition != nil {
			// The server lets the first objects of a kind wait for two seconds, for the other servers of a cluster to learn of it.
			condition.LastTransitionTime = metav1.NewTime(time.Now().Add(-time.Hour))
			_, err := crds.UpdateStatus(ctx, now, metav1.UpdateOptions{})
			if err == nil {
				break
			}
			if !apierrors.IsConflict(err) {
				return err
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	for !s.serves(ctx, &crd) {
		if ctx.Err() != nil {
			return fmt.Errorf("%s is not served after %v", crd.Name, Patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.served.Store(crd.Name, string(definition))
	return nil
}

// serves tells whether all that clients ask knows the kind: the server itself, the discovery, and the resource.
func (s *Server) serves(ctx context.Context, crd *apiextensionsv1.CustomResourceDefinition) bool {
	known, ok, err := s.known.GetByKey(crd.Name)
	if err != nil || !ok {
		return false
	}
	if condition := established(known.(*apiextensionsv1.CustomResourceDefinition)); condition == nil || time.Since(condition.LastTransitionTime.Time) < time.Minute {
		return false
	}
	api := s.crds.Discovery().RESTClient()
	for _, v := range crd.Spec.Versions {
		if !v.Served {
			continue
		}
		path := "/apis/" + crd.Spec.Group + "/" + v.Name
		var list metav1.APIResourceList
		if body, err := api.Get().AbsPath(path).Do(ctx).Raw(); err != nil || json.Unmarshal(body, &list) != nil {
			return false
		}
		listed := slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == crd.Spec.Names.Plural })
		if !listed || api.Get().AbsPath(path, crd.Spec.Names.Plural).Do(ctx).Error() != nil {
			return false
		}
	}
	return true
}

// established is the condition that says since when a kind is served, or nil.
func established(crd *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinitionCondition {
	for i := range crd.Status.Conditions {
		if c := &crd.Status.Conditions[i]; c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
			return c
		}
	}
	return nil
}

// leases is the one built-in kind that operators cannot do without: for the leader election.
const leases = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: leases.coordination.k8s.io
  annotations:
    api-approved.kubernetes.io: unapproved, for tests
spec:
  group: coordination.k8s.io
  scope: Namespaced
  names: {plural: leases, singular: lease, kind: Lease, listKind: LeaseList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              holderIdentity: {type: string}
              leaseDurationSeconds: {type: integer, format: int32}
              acquireTime: {type: string, format: date-time}
              renewTime: {type: string, format: date-time}
              leaseTransitions: {type: integer, format: int32}
              strategy: {type: string}
              preferredHolder: {type: string}
`
