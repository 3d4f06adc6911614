// Package loadbalance: the client has no part in the hash: all clients agree on the same few replicas, and the others idle.
//
//kata:caught-by TestSubset
package loadbalance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	_ "google.golang.org/grpc/health" // without it, health checks are silently left out
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
	"google.golang.org/grpc/status"
)

// Backend is one replica of a service.
type Backend struct {
	Addr   string
	Weight int // its share of the calls; less than 1 counts as 1
}

// Watch tells update the replicas of a service, at once and after each change, always the whole list. It returns when ctx ends, or earlier
// when the watch breaks.
type Watch func(ctx context.Context, service string, update func([]Backend)) error

const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// NewResolver returns the builder of resolvers for targets like scheme:///service, which follow watch.
func NewResolver(scheme string, watch Watch) resolver.Builder {
	return resolverBuilder{scheme, watch}
}

type resolverBuilder struct {
	scheme string
	watch  Watch
}

func (b resolverBuilder) Scheme() string { return b.scheme }

func (b resolverBuilder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	ctx, cancel := context.WithCancel(context.Background())
	go b.follow(ctx, target.Endpoint(), cc)
	return closer(cancel), nil
}

// closer is a resolver that has nothing to do but to end: the registry tells us of changes by itself.
type closer context.CancelFunc

func (c closer) ResolveNow(resolver.ResolveNowOptions) {}
func (c closer) Close()                                { c() }

func (b resolverBuilder) follow(ctx context.Context, service string, cc resolver.ClientConn) {
	wait := firstRetry
	for {
		err := b.watch(ctx, service, func(list []Backend) {
			switch {
			case ctx.Err() != nil:
			case len(list) == 0:
				// More likely the registry's mistake than the end of the service: what we have goes on.
				cc.ReportError(fmt.Errorf("the registry has no replica of %s", service))
			default:
				wait = firstRetry
				cc.UpdateState(state(list)) // its error asks for another list: one comes when there is one
			}
		})
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("ended")
		}
		cc.ReportError(fmt.Errorf("watching %s: %w", service, err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, lastRetry)
	}
}

type weightKey struct{}

func state(list []Backend) resolver.State {
	var s resolver.State
	for _, b := range list {
		s.Endpoints = append(s.Endpoints, resolver.Endpoint{
			Addresses: []resolver.Address{{Addr: b.Addr}},
			// On the endpoint, not on its address: an address with another attribute would be another connection.
			Attributes: attributes.New(weightKey{}, max(b.Weight, 1)),
		})
	}
	return s
}

// Policy is the name of the load balancing policy in service configs.
const Policy = "roadkata_weighted"

// NewBalancer returns the builder of the policy, for balancer.Register.
func NewBalancer() balancer.Builder { return builder{} }

type config struct {
	serviceconfig.LoadBalancingConfig
	subset   int
	client   string
	failures int
	ejection time.Duration
}

type builder struct{}

func (builder) Name() string { return Policy }

func (builder) ParseConfig(text json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	var in struct {
		Subset   int    `json:"subset"`
		Client   string `json:"client"`
		Failures int    `json:"failures"`
		Ejection string `json:"ejection"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, fmt.Errorf("%s: %w", Policy, err)
	}
	c := &config{subset: in.Subset, client: in.Client, failures: in.Failures}
	if in.Ejection != "" {
		var err error
		if c.ejection, err = time.ParseDuration(in.Ejection); err != nil {
			return nil, fmt.Errorf("%s: %w", Policy, err)
		}
	}
	switch {
	case c.subset < 0 || c.failures < 0 || c.ejection < 0:
		return nil, fmt.Errorf("%s: nothing in it may be negative", Policy)
	case c.subset > 0 && c.client == "":
		return nil, fmt.Errorf("%s: a subset needs a client", Policy)
	case c.failures > 0 && c.ejection == 0:
		return nil, fmt.Errorf("%s: failures need an ejection", Policy)
	}
	return c, nil
}

func (builder) Build(cc balancer.ClientConn, _ balancer.BuildOptions) balancer.Balancer {
	return &lb{cc: cc, cfg: &config{}, backends: make(map[string]*backend)}
}

// lb is the policy of one channel. gRPC calls its methods and the listeners of its connections one after the other, but picks at any time:
// mu guards what picks and their outcomes share with them.
type lb struct {
	cc      balancer.ClientConn
	connErr error // why the last connection failed
	listErr error // what the resolver said since its last list

	mu       sync.Mutex
	cfg      *config
	backends map[string]*backend
	ready    []*backend // in the order of their addresses
}

type backend struct {
	addr   string
	weight int
	conn   balancer.SubConn
	state  connectivity.State

	current  int // of the smooth weighted round robin
	failures int // in a row
	ejected  bool
	until    time.Time // when an ejected one may be tried
	trying   bool      // a trial is under way

	ejections int // so far: what began before the last of them counts no more
}

func (l *lb) UpdateClientConnState(s balancer.ClientConnState) error {
	if len(s.ResolverState.Endpoints) == 0 {
		l.ResolverError(errors.New("no addresses"))
		return balancer.ErrBadResolverState
	}
	l.listErr = nil
	l.mu.Lock()
	if cfg, ok := s.BalancerConfig.(*config); ok {
		l.cfg = cfg
	}
	wanted := make(map[string]resolver.Endpoint)
	for _, ep := range subset(s.ResolverState.Endpoints, l.cfg.client, l.cfg.subset) {
		wanted[ep.Addresses[0].Addr] = ep
	}
	var gone []*backend
	for addr, b := range l.backends {
		if _, ok := wanted[addr]; !ok {
			gone = append(gone, b)
			delete(l.backends, addr)
		}
	}
	var added []*backend
	for addr, ep := range wanted {
		b, ok := l.backends[addr]
		if !ok {
			b = &backend{addr: addr, state: connectivity.Connecting}
			conn, err := l.cc.NewSubConn(ep.Addresses, balancer.NewSubConnOptions{
				HealthCheckEnabled: true,
				StateListener:      func(s balancer.SubConnState) { l.connState(b, s) },
			})
			if err != nil {
				continue // the channel is being closed
			}
			b.conn = conn
			l.backends[addr] = b
			added = append(added, b)
		}
		if w := weight(ep); w != b.weight {
			b.weight = w
			l.restart()
		}
	}
	l.mu.Unlock()

	l.publish() // first: no new pick may meet a connection that is shut down
	for _, b := range gone {
		b.conn.Shutdown() // calls under way end as they would
	}
	for _, b := range added {
		b.conn.Connect()
	}
	return nil
}

func weight(ep resolver.Endpoint) int {
	w, _ := ep.Attributes.Value(weightKey{}).(int)
	return max(w, 1)
}

// subset is the n endpoints that this client hashes highest with (rendezvous): a change of the list moves no more than what changed.
func subset(all []resolver.Endpoint, client string, n int) []resolver.Endpoint {
	if n == 0 || len(all) <= n {
		return all
	}
	rank := func(ep resolver.Endpoint) []byte {
		sum := sha256.Sum256([]byte(ep.Addresses[0].Addr))
		return sum[:]
	}
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b resolver.Endpoint) int { return bytes.Compare(rank(a), rank(b)) })
	return all[:n]
}

func (l *lb) ResolverError(err error) {
	l.listErr = err
	if len(l.ready) == 0 {
		l.publish()
	}
}

func (l *lb) connState(b *backend, s balancer.SubConnState) {
	switch now := s.ConnectivityState; {
	case now == connectivity.Shutdown:
		return
	case now == connectivity.Idle:
		b.conn.Connect()
		now = connectivity.Connecting
		fallthrough
	case now == connectivity.Connecting:
		if b.state == connectivity.TransientFailure {
			return // a back end that is down is down until it is ready, however often it is tried: else calls would wait
		}
		b.state = connectivity.Connecting
	case now == connectivity.TransientFailure:
		l.connErr = s.ConnectionError
		b.state = now
	default:
		b.state = now
	}
	l.publish()
}

// publish tells the channel where calls may go now.
func (l *lb) publish() {
	l.mu.Lock()
	var ready []*backend
	overall := connectivity.TransientFailure
	for _, b := range l.backends {
		switch b.state {
		case connectivity.Ready:
			ready = append(ready, b)
		case connectivity.Connecting:
			overall = connectivity.Connecting
		}
	}
	slices.SortFunc(ready, func(a, b *backend) int { return strings.Compare(a.addr, b.addr) })
	if !slices.Equal(ready, l.ready) {
		l.ready = ready
		l.restart()
	}
	l.mu.Unlock()

	var picker balancer.Picker
	switch {
	case len(ready) > 0:
		overall, picker = connectivity.Ready, &picks{l, ready}
	case overall == connectivity.Connecting:
		picker = base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	default:
		picker = base.NewErrPicker(errors.Join(l.listErr, l.connErr))
	}
	l.cc.UpdateState(balancer.State{ConnectivityState: overall, Picker: picker})
}

func (l *lb) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {} // there are listeners

func (l *lb) ExitIdle() {} // it never is

func (l *lb) Close() {} // the channel shuts its connections down itself

// picks chooses among the ready back ends. What it knows of them is theirs: it outlives the picker, which is replaced at each change.
type picks struct {
	l     *lb
	ready []*backend
}

func (p *picks) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	now := time.Now()
	b := smooth(p.ready, func(b *backend) bool { return !b.ejected || !b.trying && !now.Before(b.until) })
	if b == nil {
		b = smooth(p.ready, func(*backend) bool { return true }) // a bad back end is better than none
	}
	trial := b.ejected && !b.trying && !now.Before(b.until)
	if trial {
		b.trying = true
		p.l.restart() // the others share among themselves until it has ended
	}
	began := b.ejections
	return balancer.PickResult{SubConn: b.conn, Done: func(info balancer.DoneInfo) { p.l.done(b, trial, began, info) }}, nil
}

// smooth is Nginx's weighted round robin: all gain their weight, the richest serves and pays for all.
func smooth(all []*backend, may func(*backend) bool) (best *backend) {
	total := 0
	for _, b := range all {
		if !may(b) {
			continue
		}
		total += b.weight
		b.current += b.weight
		if best == nil || b.current > best.current {
			best = b
		}
	}
	if best != nil {
		best.current -= total
	}
	return best
}

// done learns from the outcome of a call, which was picked when b had been ejected began times.
func (l *lb) done(b *backend, trial bool, began int, info balancer.DoneInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if trial {
		b.trying = false
	}
	silent := !info.BytesSent || status.Code(info.Err) == codes.Canceled // without a byte sent, no error is the replica's
	if silent || began != b.ejections || b.ejected && !trial {
		return
	}
	switch status.Code(info.Err) {
	case codes.Unavailable, codes.Internal, codes.DeadlineExceeded:
		b.failures++
	default:
		b.failures = 0
		if trial {
			b.ejected = false
			l.restart()
		}
		return
	}
	if trial || l.cfg.failures > 0 && b.failures >= l.cfg.failures && l.mayEject() {
		b.ejected, b.until = true, time.Now().Add(l.cfg.ejection)
		b.ejections++
		l.restart()
	}
}

// mayEject reports whether at most half of the ready back ends are ejected with one more.
func (l *lb) mayEject() bool {
	n := 1
	for _, b := range l.ready {
		if b.ejected {
			n++
		}
	}
	return 2*n <= len(l.ready)
}

// restart begins the round anew, for those who take part in it have changed.
func (l *lb) restart() {
	for _, b := range l.ready {
		b.current = 0
	}
}
