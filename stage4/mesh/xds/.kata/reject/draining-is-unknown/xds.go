// Package xds: a draining endpoint is told to be of unknown health: clients send calls to those as to the healthy.
//
//kata:caught-by TestDrain
package xds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	clusterpb "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointpb "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerpb "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	faultpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	routerpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	matcherpb "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typepb "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Config is all that clients are told.
type Config struct {
	Services map[string][]Route    // by the name in xds:///name; the first route that matches a call has it
	Clusters map[string][]Endpoint // the replicas, in groups
}

// Endpoint is one replica.
type Endpoint struct {
	Addr     string // IP:port
	Draining bool   // no new calls
}

// Route says what becomes of the calls that match it.
type Route struct {
	Prefix  string            // of the method: "/" or "/pkg.Service/Method"
	Headers map[string]string // which the call has, each with exactly this value
	Split   map[string]int    // weights, by cluster
	Timeout time.Duration     // of the whole call; 0: none
	Retry   *Retry
	Fault   *Fault
}

// Retry repeats calls that failed.
type Retry struct {
	Attempts int          // in all, the first one included: at least 2
	On       []codes.Code // Canceled, DeadlineExceeded, Internal, ResourceExhausted or Unavailable
}

// Fault fails calls on purpose, before they are sent.
type Fault struct {
	Percent int // 0 to 100
	Code    codes.Code
}

// everybody is the only key in the cache: all clients are told the same, whoever they say they are.
type everybody struct{}

const all = "all"

func (everybody) ID(*corepb.Node) string { return all }

// Plane is a control plane. Its methods may be called from several goroutines.
type Plane struct {
	server  server.Server
	cache   cache.SnapshotCache
	refused func(error)

	mu       sync.Mutex
	applied  bool
	current  Config
	before   *Config               // what to go back to, unless that has been done
	retained map[string][]Endpoint // clusters that are no longer in the config, but in the hands of clients
	versions map[string]string     // by type, as published
	streams  map[int64]*client
}

// client is what is known of one stream.
type client struct {
	clusters []string        // that it asks for
	sent     map[string]sent // by type: what it was told last
}

type sent struct{ nonce, version string }

// New returns a plane that has nothing to tell yet. Its streams end with ctx. When a client refuses a config, and the plane has gone back to
// the one before, it calls refused, if that is not nil.
func New(ctx context.Context, refused func(error)) *Plane {
	p := &Plane{
		// Not the cache's "ADS mode": that answers only those who ask for everything, and a gRPC client asks for what it needs.
		cache:    cache.NewSnapshotCache(false, everybody{}, nil),
		refused:  refused,
		retained: make(map[string][]Endpoint),
		streams:  make(map[int64]*client),
	}
	p.server = server.NewServer(ctx, p.cache, server.CallbackFuncs{
		StreamOpenFunc: func(_ context.Context, id int64, _ string) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.streams[id] = &client{sent: make(map[string]sent)}
			return nil
		},
		StreamClosedFunc: func(id int64, _ *corepb.Node) {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.streams, id)
			p.forget()
		},
		StreamRequestFunc: func(id int64, req *discovery.DiscoveryRequest) error {
			p.request(id, req)
			return nil
		},
		StreamResponseFunc: func(_ context.Context, id int64, _ *discovery.DiscoveryRequest, resp *discovery.DiscoveryResponse) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if c := p.streams[id]; c != nil {
				c.sent[resp.TypeUrl] = sent{resp.Nonce, resp.VersionInfo}
			}
		},
	})
	return p
}

// Register puts the plane's Aggregated Discovery Service into a server.
func (p *Plane) Register(s grpc.ServiceRegistrar) {
	discovery.RegisterAggregatedDiscoveryServiceServer(s, p.server)
}

// Apply replaces the config, for all clients at once. If something in it cannot be, it returns an error and changes nothing.
func (p *Plane) Apply(c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.applied {
		before := p.current
		p.before = &before
	}
	p.applied = true
	return p.switchTo(c)
}

// switchTo makes c the config. The clusters of the old one stay in place for those who still send calls there.
func (p *Plane) switchTo(c Config) error {
	for name, endpoints := range p.current.Clusters {
		p.retained[name] = endpoints
	}
	p.current = c
	return p.publish()
}

// request looks at what a client asks for, and at what it refuses.
func (p *Plane) request(id int64, req *discovery.DiscoveryRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.streams[id]
	if c == nil {
		return
	}
	if req.TypeUrl == resource.ClusterType {
		c.clusters = req.ResourceNames
		p.forget()
	}
	// A refusal of what has been replaced in the meantime is no news.
	told := c.sent[req.TypeUrl]
	if req.ErrorDetail == nil || p.before == nil || told.nonce != req.ResponseNonce || told.version != p.versions[req.TypeUrl] {
		return
	}
	good := *p.before
	p.before = nil
	err := fmt.Errorf("xds: %s refused %s: %s", req.Node.GetId(), req.TypeUrl, req.ErrorDetail.Message)
	// Before this call returns, or the server would send the client the same again, to be refused again, and so on.
	err = errors.Join(err, p.switchTo(good))
	if p.refused != nil {
		go p.refused(err)
	}
}

// forget drops retained clusters that nobody asks for any more.
func (p *Plane) forget() {
	if len(p.retained) == 0 {
		return
	}
	if n := len(p.retained); p.sweep() < n {
		p.publish() // cannot fail: less than before
	}
}

func (p *Plane) sweep() int {
	maps.DeleteFunc(p.retained, func(name string, _ []Endpoint) bool {
		if _, ok := p.current.Clusters[name]; ok {
			return true
		}
		for _, c := range p.streams {
			if slices.Contains(c.clusters, name) {
				return false
			}
		}
		return true
	})
	return len(p.retained)
}

// publish hands the config and the retained clusters to the cache, which tells the clients.
func (p *Plane) publish() error {
	p.sweep()
	clusters := maps.Clone(p.retained)
	maps.Copy(clusters, p.current.Clusters)

	resources := make(map[string][]types.Resource)
	for _, name := range slices.Sorted(maps.Keys(p.current.Services)) {
		resources[resource.ListenerType] = append(resources[resource.ListenerType], listener(name))
		resources[resource.RouteType] = append(resources[resource.RouteType], routes(name, p.current.Services[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		resources[resource.ClusterType] = append(resources[resource.ClusterType], cluster(name))
		resources[resource.EndpointType] = append(resources[resource.EndpointType], endpoints(name, clusters[name]))
	}
	// A version for each type, by content: what has not changed is not sent again.
	snapshot := &cache.Snapshot{}
	p.versions = make(map[string]string)
	for _, typ := range []string{resource.ListenerType, resource.RouteType, resource.ClusterType, resource.EndpointType} {
		hash := sha256.New()
		for _, r := range resources[typ] {
			text, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
			if err != nil {
				return err
			}
			fmt.Fprintf(hash, "%d:%s", len(text), text)
		}
		p.versions[typ] = hex.EncodeToString(hash.Sum(nil)[:8])
		snapshot.Resources[cache.GetResponseType(typ)] = cache.NewResources(p.versions[typ], resources[typ])
	}
	return p.cache.SetSnapshot(context.Background(), all, snapshot)
}

func packed(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err) // a message of ours
	}
	return a
}

func ads() *corepb.ConfigSource {
	return &corepb.ConfigSource{ResourceApiVersion: corepb.ApiVersion_V3, ConfigSourceSpecifier: &corepb.ConfigSource_Ads{Ads: &corepb.AggregatedConfigSource{}}}
}

const faultFilter = "fault"

func listener(service string) *listenerpb.Listener {
	return &listenerpb.Listener{
		Name: service,
		ApiListener: &listenerpb.ApiListener{ApiListener: packed(&hcmpb.HttpConnectionManager{
			RouteSpecifier: &hcmpb.HttpConnectionManager_Rds{Rds: &hcmpb.Rds{RouteConfigName: service, ConfigSource: ads()}},
			HttpFilters: []*hcmpb.HttpFilter{
				// Does nothing by itself: routes say what it does. Without it, they would say so in vain.
				{Name: faultFilter, ConfigType: &hcmpb.HttpFilter_TypedConfig{TypedConfig: packed(&faultpb.HTTPFault{})}},
				{Name: "router", ConfigType: &hcmpb.HttpFilter_TypedConfig{TypedConfig: packed(&routerpb.Router{})}},
			},
		})},
	}
}

func routes(service string, rs []Route) *routepb.RouteConfiguration {
	host := &routepb.VirtualHost{Name: service, Domains: []string{"*"}}
	for _, r := range rs {
		host.Routes = append(host.Routes, route(r))
	}
	return &routepb.RouteConfiguration{Name: service, VirtualHosts: []*routepb.VirtualHost{host}}
}

func route(r Route) *routepb.Route {
	match := &routepb.RouteMatch{PathSpecifier: &routepb.RouteMatch_Prefix{Prefix: r.Prefix}}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		match.Headers = append(match.Headers, &routepb.HeaderMatcher{
			Name: name,
			HeaderMatchSpecifier: &routepb.HeaderMatcher_StringMatch{StringMatch: &matcherpb.StringMatcher{
				MatchPattern: &matcherpb.StringMatcher_Exact{Exact: r.Headers[name]},
			}},
		})
	}
	split := &routepb.WeightedCluster{}
	for _, name := range slices.Sorted(maps.Keys(r.Split)) {
		split.Clusters = append(split.Clusters, &routepb.WeightedCluster_ClusterWeight{Name: name, Weight: wrapperspb.UInt32(uint32(r.Split[name]))})
	}
	action := &routepb.RouteAction{ClusterSpecifier: &routepb.RouteAction_WeightedClusters{WeightedClusters: split}}
	if r.Timeout > 0 {
		// gRPC does not look at RouteAction.Timeout.
		action.MaxStreamDuration = &routepb.RouteAction_MaxStreamDuration{MaxStreamDuration: durationpb.New(r.Timeout)}
	}
	if r.Retry != nil {
		var on []string
		for _, code := range r.Retry.On {
			on = append(on, retryOn[code])
		}
		action.RetryPolicy = &routepb.RetryPolicy{
			RetryOn:    strings.Join(on, ","),
			NumRetries: wrapperspb.UInt32(uint32(r.Retry.Attempts - 1)),
		}
	}
	out := &routepb.Route{Match: match, Action: &routepb.Route_Route{Route: action}}
	if r.Fault != nil {
		out.TypedPerFilterConfig = map[string]*anypb.Any{faultFilter: packed(&faultpb.HTTPFault{Abort: &faultpb.FaultAbort{
			ErrorType:  &faultpb.FaultAbort_GrpcStatus{GrpcStatus: uint32(r.Fault.Code)},
			Percentage: &typepb.FractionalPercent{Numerator: uint32(r.Fault.Percent), Denominator: typepb.FractionalPercent_HUNDRED},
		}})}
	}
	return out
}

func cluster(name string) *clusterpb.Cluster {
	return &clusterpb.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterpb.Cluster_Type{Type: clusterpb.Cluster_EDS},
		EdsClusterConfig:     &clusterpb.Cluster_EdsClusterConfig{EdsConfig: ads()},
		LbPolicy:             clusterpb.Cluster_ROUND_ROBIN,
	}
}

func endpoints(cluster string, list []Endpoint) *endpointpb.ClusterLoadAssignment {
	locality := &endpointpb.LocalityLbEndpoints{
		Locality:            &corepb.Locality{Region: "local"},
		LoadBalancingWeight: wrapperspb.UInt32(1), // a locality without a weight gets no calls
	}
	for _, e := range list {
		health := corepb.HealthStatus_HEALTHY
		if e.Draining {
			health = corepb.HealthStatus_UNKNOWN
		}
		addr := netip.MustParseAddrPort(e.Addr)
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointpb.LbEndpoint{
			HealthStatus: health,
			HostIdentifier: &endpointpb.LbEndpoint_Endpoint{Endpoint: &endpointpb.Endpoint{Address: &corepb.Address{
				Address: &corepb.Address_SocketAddress{SocketAddress: &corepb.SocketAddress{
					Address:       addr.Addr().String(),
					PortSpecifier: &corepb.SocketAddress_PortValue{PortValue: uint32(addr.Port())},
				}},
			}}},
		})
	}
	return &endpointpb.ClusterLoadAssignment{ClusterName: cluster, Endpoints: []*endpointpb.LocalityLbEndpoints{locality}}
}

// retryOn is xDS's names of the codes that gRPC clients repeat calls for.
var retryOn = map[codes.Code]string{
	codes.Canceled:          "cancelled",
	codes.DeadlineExceeded:  "deadline-exceeded",
	codes.Internal:          "internal",
	codes.ResourceExhausted: "resource-exhausted",
	codes.Unavailable:       "unavailable",
}

// check finds what clients would refuse, or what they could not obey.
func (c Config) check() error {
	for name, list := range c.Clusters {
		seen := make(map[string]bool)
		for _, e := range list {
			if _, err := netip.ParseAddrPort(e.Addr); err != nil || seen[e.Addr] {
				return fmt.Errorf("xds: cluster %q: endpoint %q is no IP:port, or twice there", name, e.Addr)
			}
			seen[e.Addr] = true
		}
	}
	for service, rs := range c.Services {
		for i, r := range rs {
			if err := r.check(c.Clusters); err != nil {
				return fmt.Errorf("xds: service %q: route %d: %w", service, i, err)
			}
		}
	}
	return nil
}

func (r Route) check(clusters map[string][]Endpoint) error {
	sum := 0
	for name, weight := range r.Split {
		if _, ok := clusters[name]; !ok {
			return fmt.Errorf("no cluster %q", name)
		}
		if weight < 0 || weight > 1e6 {
			return fmt.Errorf("cluster %q has weight %d", name, weight)
		}
		sum += weight
	}
	switch {
	case sum == 0:
		return errors.New("its weights are 0 in all")
	case !strings.HasPrefix(r.Prefix, "/"):
		return fmt.Errorf("prefix %q does not begin with a slash", r.Prefix)
	case r.Timeout < 0:
		return fmt.Errorf("timeout %v", r.Timeout)
	case r.Fault != nil && (r.Fault.Percent < 0 || r.Fault.Percent > 100 || r.Fault.Code == codes.OK || r.Fault.Code > codes.Unauthenticated):
		return fmt.Errorf("fault %+v", *r.Fault)
	case r.Retry != nil && (r.Retry.Attempts < 2 || len(r.Retry.On) == 0):
		return fmt.Errorf("retry %+v", *r.Retry)
	}
	if r.Retry != nil {
		for _, code := range r.Retry.On {
			if retryOn[code] == "" {
				return fmt.Errorf("calls are not repeated for %v", code)
			}
		}
	}
	return nil
}
