// Package xds is a control plane: it tells gRPC clients by xDS which replicas there are, and which calls go where.
package xds

import (
	"context"
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

// kinds are what is told, in the order in which it is safe to tell of what is new.
var kinds = []string{resource.ClusterType, resource.EndpointType, resource.ListenerType, resource.RouteType}

// resources are what a config comes to: by type, by name.
type resources map[string]map[string]types.Resource

// Plane is a control plane. Its methods may be called from several goroutines.
type Plane struct {
	server  server.Server
	caches  map[string]*cache.LinearCache
	refused func(error)

	mu      sync.Mutex
	history []resources // what is applied, and before it what to go back to
	told    resources   // what is in the caches
	streams map[int64]*asked
}

// asked is what one client subscribes to, and what it was told last, by type.
type asked struct {
	clusters map[string]bool
	last     map[string]*discovery.DiscoveryResponse
}

// New returns a plane that has nothing to tell yet. Its streams end with ctx. When a client refuses a config, and the plane has gone back to
// the one before, it calls refused, if that is not nil.
func New(ctx context.Context, refused func(error)) *Plane {
	p := &Plane{refused: refused, caches: make(map[string]*cache.LinearCache), told: make(resources), streams: make(map[int64]*asked)}
	mux := &cache.MuxCache{
		Classify:      func(req *cache.Request) string { return req.TypeUrl },
		ClassifyDelta: func(req *cache.DeltaRequest) string { return req.TypeUrl },
		Caches:        make(map[string]cache.Cache),
	}
	for _, typ := range kinds {
		p.caches[typ] = cache.NewLinearCache(typ)
		mux.Caches[typ] = p.caches[typ]
	}
	p.server = server.NewServer(ctx, mux, p)
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
	p.history = append(p.history, c.resources())
	p.history = p.history[max(0, len(p.history)-2):]
	return p.tell()
}

func (c Config) resources() resources {
	all := make(resources)
	for _, typ := range kinds {
		all[typ] = make(map[string]types.Resource)
	}
	for name, rs := range c.Services {
		all[resource.ListenerType][name] = listener(name)
		all[resource.RouteType][name] = routes(name, rs)
	}
	for name, list := range c.Clusters {
		all[resource.ClusterType][name] = cluster(name)
		all[resource.EndpointType][name] = endpoints(name, list)
	}
	return all
}

// tell brings the caches to what is applied, except for clusters that clients still have.
func (p *Plane) tell() error {
	want := p.history[len(p.history)-1]
	for _, typ := range kinds {
		changed := make(map[string]types.Resource)
		var gone []string
		for name, r := range want[typ] {
			if old, ok := p.told[typ][name]; !ok || !proto.Equal(old, r) {
				changed[name] = r
			}
		}
		now := maps.Clone(want[typ])
		for name, r := range p.told[typ] {
			if _, ok := now[name]; ok {
				continue
			}
			if (typ == resource.ClusterType || typ == resource.EndpointType) && p.inUse(name) {
				now[name] = r
				continue
			}
			gone = append(gone, name)
		}
		p.told[typ] = now
		if len(changed)+len(gone) > 0 {
			if err := p.caches[typ].UpdateResources(changed, gone); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Plane) inUse(cluster string) bool {
	for _, a := range p.streams {
		if a.clusters[cluster] {
			return true
		}
	}
	return false
}

func (p *Plane) OnStreamOpen(_ context.Context, id int64, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams[id] = &asked{last: make(map[string]*discovery.DiscoveryResponse)}
	return nil
}

func (p *Plane) OnStreamClosed(id int64, _ *corepb.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.streams, id)
	if len(p.history) > 0 {
		p.tell()
	}
}

func (p *Plane) OnStreamResponse(_ context.Context, id int64, _ *discovery.DiscoveryRequest, resp *discovery.DiscoveryResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.streams[id]; a != nil {
		a.last[resp.TypeUrl] = resp
	}
}

func (p *Plane) OnStreamRequest(id int64, req *discovery.DiscoveryRequest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.streams[id]
	if a == nil || len(p.history) == 0 {
		return nil
	}
	if req.TypeUrl == resource.ClusterType {
		a.clusters = make(map[string]bool)
		for _, name := range req.ResourceNames {
			a.clusters[name] = true
		}
	}
	var err error
	if req.ErrorDetail != nil && len(p.history) > 1 && p.isCurrent(a.last[req.TypeUrl], req.ResponseNonce) {
		p.history = p.history[:1]
		err = fmt.Errorf("xds: %s refused %s: %s", req.Node.GetId(), req.TypeUrl, req.ErrorDetail.Message)
	}
	if failed := p.tell(); err != nil && p.refused != nil {
		go p.refused(errors.Join(err, failed))
	}
	return nil
}

// isCurrent reports whether the response says what the caches still say.
func (p *Plane) isCurrent(resp *discovery.DiscoveryResponse, nonce string) bool {
	if resp == nil || resp.Nonce != nonce {
		return false
	}
	now := make(map[string]bool)
	for _, r := range p.told[resp.TypeUrl] {
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		now[string(text)] = err == nil
	}
	for _, r := range resp.Resources {
		m, err := r.UnmarshalNew()
		if err != nil {
			return false
		}
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil || !now[string(text)] {
			return false
		}
	}
	return true
}

func (p *Plane) OnDeltaStreamOpen(context.Context, int64, string) error { return nil }
func (p *Plane) OnDeltaStreamClosed(int64, *corepb.Node)                {}
func (p *Plane) OnStreamDeltaRequest(int64, *discovery.DeltaDiscoveryRequest) error {
	return nil
}
func (p *Plane) OnStreamDeltaResponse(int64, *discovery.DeltaDiscoveryRequest, *discovery.DeltaDiscoveryResponse) {
}
func (p *Plane) OnFetchRequest(context.Context, *discovery.DiscoveryRequest) error { return nil }
func (p *Plane) OnFetchResponse(*discovery.DiscoveryRequest, *discovery.DiscoveryResponse) {
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
			health = corepb.HealthStatus_DRAINING
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
