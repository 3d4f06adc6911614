// Package loadbalance spreads a client's gRPC calls over the replicas of a service: a resolver that follows a registry, and a policy with
// weights, subsets and ejection.
package loadbalance

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
	"google.golang.org/grpc/status"

	_ "google.golang.org/grpc/health"
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
		s.Addresses = append(s.Addresses, resolver.Address{Addr: b.Addr, BalancerAttributes: attributes.New(weightKey{}, max(b.Weight, 1))})
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

func (builder) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	l := &ledger{cfg: &config{}, accounts: make(map[string]*account)}
	return &lb{base.NewBalancerBuilder(Policy, l, base.Config{HealthCheck: true}).Build(cc, opts), l}
}

// lb is gRPC's base balancer, which sees only the subset, and a ledger that outlives its pickers.
type lb struct {
	balancer.Balancer
	ledger *ledger
}

func (l *lb) UpdateClientConnState(s balancer.ClientConnState) error {
	s.ResolverState.Addresses = l.ledger.update(s)
	return l.Balancer.UpdateClientConnState(s)
}

type ledger struct {
	mu       sync.Mutex
	cfg      *config
	accounts map[string]*account // of the addresses that are connected to
	ready    []*account
	shares   []share // what the round depends on
}

type share struct {
	acc    *account
	weight int
}

type account struct {
	addr     string
	conn     balancer.SubConn
	weight   int
	served   int // in this round
	failures int
	out      *out // while it is ejected
	outs     int  // how often it was
}

type out struct {
	until  time.Time
	trying bool
}

func (l *ledger) update(s balancer.ClientConnState) []resolver.Address {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cfg, ok := s.BalancerConfig.(*config); ok {
		l.cfg = cfg
	}
	list := slices.Clone(s.ResolverState.Addresses)
	if n := l.cfg.subset; n > 0 && n < len(list) {
		score := func(a resolver.Address) uint64 {
			h := fnv.New64a()
			fmt.Fprintf(h, "%s|%s", a.Addr, l.cfg.client)
			x := h.Sum64() // FNV mixes its last bytes badly
			x ^= x >> 33
			x *= 0xff51afd7ed558ccd
			return x ^ x>>33
		}
		slices.SortFunc(list, func(a, b resolver.Address) int { return cmp.Compare(score(b), score(a)) })
		list = list[:n]
	}
	accounts := make(map[string]*account)
	for _, a := range list {
		acc := l.accounts[a.Addr]
		if acc == nil {
			acc = &account{addr: a.Addr}
		}
		acc.weight, _ = a.BalancerAttributes.Value(weightKey{}).(int)
		acc.weight = max(acc.weight, 1)
		accounts[a.Addr] = acc
	}
	l.accounts = accounts
	return list
}

// Build is called for each new set of ready connections.
func (l *ledger) Build(info base.PickerBuildInfo) balancer.Picker {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = nil
	for conn, sc := range info.ReadySCs {
		if acc := l.accounts[sc.Address.Addr]; acc != nil {
			acc.conn = conn
			l.ready = append(l.ready, acc)
		}
	}
	slices.SortFunc(l.ready, func(a, b *account) int { return cmp.Compare(a.addr, b.addr) })
	var shares []share
	for _, acc := range l.ready {
		shares = append(shares, share{acc, acc.weight})
	}
	if !slices.Equal(shares, l.shares) { // else it is the same list once more, and the round goes on
		l.shares = shares
		l.round()
	}
	if len(l.ready) == 0 {
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	return picker{l}
}

func (l *ledger) round() {
	for _, acc := range l.ready {
		acc.served = 0
	}
}

type picker struct{ *ledger }

// Pick takes the one whose next call is due first, when one of weight w is due at 1/w, 2/w, ….
func (l picker) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ready) == 0 {
		return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
	}
	var in []*account
	for _, acc := range l.ready {
		if acc.out == nil || acc.out.open() {
			in = append(in, acc)
		}
	}
	if len(in) == 0 {
		in = l.ready
	}
	acc := slices.MinFunc(in, func(a, b *account) int { return cmp.Compare((a.served+1)*b.weight, (b.served+1)*a.weight) })
	acc.served++
	var trial *out
	if acc.out != nil && acc.out.open() {
		trial = acc.out
		trial.trying = true
		l.round()
	}
	outs := acc.outs
	return balancer.PickResult{SubConn: acc.conn, Done: func(info balancer.DoneInfo) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if acc.outs == outs { // else it began before the last ejection
			l.settle(acc, trial, info)
		}
	}}, nil
}

func (o *out) open() bool { return !o.trying && !time.Now().Before(o.until) }

func (l *ledger) settle(acc *account, trial *out, info balancer.DoneInfo) {
	if trial != nil {
		trial.trying = false
	}
	if acc.out != trial || !info.BytesSent {
		return
	}
	switch status.Code(info.Err) {
	case codes.Canceled:
	case codes.Unavailable, codes.Internal, codes.DeadlineExceeded:
		acc.failures++
		if trial != nil || l.cfg.failures > 0 && acc.failures >= l.cfg.failures && l.spare() {
			acc.out = &out{until: time.Now().Add(l.cfg.ejection)}
			acc.outs++
			l.round()
		}
	default:
		acc.failures, acc.out = 0, nil
		if trial != nil {
			l.round()
		}
	}
}

// spare reports whether one more may be ejected.
func (l *ledger) spare() bool {
	n := 0
	for _, acc := range l.ready {
		if acc.out != nil {
			n++
		}
	}
	return n < len(l.ready)/2
}
