// Package interceptors: the context is released by Recv alone: a stream that breaks in Send, which nobody receives from any more, keeps it.
//
//kata:caught-by TestClientLimits
package interceptors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Limits bounds calls in time. Zero is no limit.
type Limits struct {
	Unary  time.Duration
	Stream time.Duration
}

// Identity is who calls.
type Identity struct {
	Subject string
	Expires time.Time // when the credential ends; zero: never
}

// Options configures a server. A nil function is a step that is left out.
type Options struct {
	Logger       *slog.Logger                                                // one line for each call
	Limits       Limits                                                      // the longest that a call may take
	Authenticate func(ctx context.Context, token string) (Identity, error)   // who holds this bearer token
	Public       func(fullMethod string) bool                                // methods that ask for no token
	Validate     func(ctx context.Context, fullMethod string, msg any) error // what is wrong with a request message
}

// ServerOptions returns the options that put the interceptors into a server.
//
// The order is the point: the log is outermost, so that it sees how every call ended, whoever ended it; recovery comes next, so that it
// covers all that follows; time runs from there on; nothing is validated for strangers.
func ServerOptions(o Options) []grpc.ServerOption {
	s := server{o}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.logUnary, s.guardUnary, s.limitUnary, s.authenticateUnary, s.validateUnary),
		grpc.ChainStreamInterceptor(s.logStream, s.guardStream, s.limitStream, s.authenticateStream, s.validateStream),
	}
}

type server struct{ Options }

// call is what the steps inside tell the log outside. Steps of one call may run in two goroutines.
type call struct {
	subject        atomic.Value // string
	received, sent atomic.Int64
	panicked       atomic.Pointer[panicked]
}

type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprint("panic: ", p.value) }

type (
	callKey     struct{}
	identityKey struct{}
)

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// FromContext returns who calls, inside of Validate and of handlers. It reports false in calls of public methods.
func FromContext(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}

// stream is a server's stream with another context, whose messages pass through hooks.
type stream struct {
	grpc.ServerStream
	ctx      context.Context
	received func()
	sent     func()
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) RecvMsg(msg any) error {
	err := s.ServerStream.RecvMsg(msg)
	if err == nil && s.received != nil {
		s.received()
	}
	return err
}

func (s *stream) SendMsg(msg any) error {
	err := s.ServerStream.SendMsg(msg)
	if err == nil && s.sent != nil {
		s.sent()
	}
	return err
}

func (s server) logUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	c := &call{}
	c.received.Add(1)
	began := time.Now()
	resp, err = handler(context.WithValue(ctx, callKey{}, c), req)
	if err == nil {
		c.sent.Add(1)
	}
	return resp, s.log(ctx, c, info.FullMethod, began, err)
}

func (s server) logStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c := &call{}
	began := time.Now()
	err := handler(srv, &stream{
		ServerStream: ss,
		ctx:          context.WithValue(ss.Context(), callKey{}, c),
		received:     func() { c.received.Add(1) },
		sent:         func() { c.sent.Add(1) },
	})
	return s.log(ss.Context(), c, info.FullMethod, began, err)
}

// log writes the line of a call, and returns the error that its client may see.
func (s server) log(ctx context.Context, c *call, method string, began time.Time, err error) error {
	st := public(err)
	if s.Logger == nil {
		return st.Err()
	}
	attrs := []slog.Attr{
		slog.String("method", method), slog.String("code", st.Code().String()), slog.Duration("duration", time.Since(began)),
		slog.Int64("received", c.received.Load()), slog.Int64("sent", c.sent.Load()),
	}
	if subject, ok := c.subject.Load().(string); ok {
		attrs = append(attrs, slog.String("subject", subject))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	if p := c.panicked.Load(); p != nil {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	s.Logger.LogAttrs(context.WithoutCancel(ctx), level(st.Code()), "call", attrs...)
	return st.Err()
}

func level(code codes.Code) slog.Level {
	switch code {
	case codes.OK:
		return slog.LevelInfo
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return slog.LevelError
	default:
		return slog.LevelWarn
	}
}

// public is what a client may see of an error: a status as it was meant, of a context's end the fact, of all else nothing.
func public(err error) *status.Status {
	// status.FromError would put the text of whatever wraps the status into its message.
	var carrier interface{ GRPCStatus() *status.Status }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &carrier) && carrier.GRPCStatus() != nil:
		return carrier.GRPCStatus()
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, "deadline exceeded")
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "canceled")
	default:
		return status.New(codes.Internal, "internal error")
	}
}

func (s server) guardUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer recovered(callOf(ctx), &err)
	return handler(ctx, req)
}

func (s server) guardStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer recovered(callOf(ss.Context()), &err)
	return handler(srv, ss)
}

// recovered turns a panic into an error for the log; the client is told as much as of any other error of that kind.
func recovered(c *call, err *error) {
	if value := recover(); value != nil {
		p := &panicked{value: value, stack: debug.Stack()}
		c.panicked.Store(p)
		*err = p
	}
}

func (s server) limitUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if s.Limits.Unary > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Limits.Unary)
		defer cancel()
	}
	return handler(ctx, req)
}

func (s server) limitStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx := ss.Context()
	if s.Limits.Stream > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Limits.Stream)
		defer cancel()
	}
	return handler(srv, &stream{ServerStream: ss, ctx: ctx})
}

func (s server) authenticateUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, _, err := s.authenticate(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (s server) authenticateStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, id, err := s.authenticate(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	if !id.Expires.IsZero() {
		// A stream may outlive the credential that opened it.
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, id.Expires, errUnauthenticated)
		defer cancel()
	}
	return run(srv, &stream{ServerStream: ss, ctx: ctx}, handler)
}

var errUnauthenticated = status.Error(codes.Unauthenticated, "unauthenticated")

// authenticate finds out who calls.
func (s server) authenticate(ctx context.Context, method string) (context.Context, Identity, error) {
	if s.Authenticate == nil || s.Public != nil && s.Public(method) {
		return ctx, Identity{}, nil
	}
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 {
		return ctx, Identity{}, errUnauthenticated
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "bearer") || token == "" {
		return ctx, Identity{}, errUnauthenticated
	}
	id, err := s.Authenticate(ctx, token)
	if _, isStatus := status.FromError(err); err != nil && !isStatus && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", errUnauthenticated, err) // the reason is for the log
	}
	if err != nil {
		return ctx, Identity{}, err
	}
	if !id.Expires.IsZero() && !time.Now().Before(id.Expires) {
		return ctx, Identity{}, errUnauthenticated
	}
	callOf(ctx).subject.Store(id.Subject)
	return context.WithValue(ctx, identityKey{}, id), id, nil
}

// run ends a stream when its context does. A handler that waits in Recv or Send would not notice: these wait for the transport, which
// knows only the client's deadline. When run returns, the transport ends the stream, and with it such a wait.
func run(srv any, ss *stream, handler grpc.StreamHandler) error {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() { done <- err }()
		defer recovered(callOf(ss.ctx), &err)
		err = handler(srv, ss)
	}()
	select {
	case err := <-done:
		return err
	case <-ss.ctx.Done():
		return context.Cause(ss.ctx)
	}
}

func (s server) validateUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := s.validate(ctx, info.FullMethod, req); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (s server) validateStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	v := &validated{ServerStream: ss, validate: func(msg any) error { return s.validate(ss.Context(), info.FullMethod, msg) }}
	err := handler(srv, v)
	if refused := v.refusal(); refused != nil {
		return refused
	}
	return err
}

// validated is a server's stream whose messages are validated. The first refusal is its end, whatever the handler makes of the error: a
// later Recv does not wait for a message that nobody may see.
type validated struct {
	grpc.ServerStream
	validate func(msg any) error

	mu      sync.Mutex
	refused error
}

func (v *validated) RecvMsg(msg any) error {
	if err := v.refusal(); err != nil {
		return err
	}
	if err := v.ServerStream.RecvMsg(msg); err != nil { // without the lock: a handler may return while another goroutine of its waits here
		return err
	}
	err := v.validate(msg)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refused = err
	return err
}

func (v *validated) refusal() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.refused
}

func (s server) validate(ctx context.Context, method string, msg any) error {
	if s.Validate == nil {
		return nil
	}
	err := s.Validate(ctx, method, msg)
	if _, isStatus := status.FromError(err); err != nil && !isStatus {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return err
}

// ClientOptions configures a client.
type ClientOptions struct {
	Limits  Limits   // how long a call may take that has no deadline of its own
	Forward []string // metadata keys that are passed on from the call that is being handled
}

// DialOptions returns the options that put the interceptors into a client.
func DialOptions(o ClientOptions) []grpc.DialOption {
	c := client{o}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(c.unary), grpc.WithChainStreamInterceptor(c.stream)}
}

type client struct{ ClientOptions }

func (c client) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, cancel := limit(c.forward(ctx), c.Limits.Unary)
	defer cancel()
	return invoke(ctx, method, req, reply, cc, opts...)
}

func (c client) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	// The stream lives on when this function has returned: its end, not ours, ends the timer.
	ctx, cancel := limit(c.forward(ctx), c.Limits.Stream)
	cs, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		cancel()
		return nil, err
	}
	return &clientStream{cs, desc.ServerStreams, cancel}, nil
}

// limit bounds a context that has no deadline.
func limit(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok || d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// clientStream releases its context when Recv says that the stream is over.
type clientStream struct {
	grpc.ClientStream
	many   bool
	cancel context.CancelFunc
}

func (s *clientStream) RecvMsg(msg any) error {
	err := s.ClientStream.RecvMsg(msg)
	if err != nil || !s.many {
		s.cancel()
	}
	return err
}

// forward passes on what may be passed on of the metadata that came in. What the caller has set itself stays as it is.
func (c client) forward(ctx context.Context) context.Context {
	in, _ := metadata.FromIncomingContext(ctx)
	out, _ := metadata.FromOutgoingContext(ctx)
	var pairs []string
	var seen []string
	for _, key := range c.Forward {
		key = strings.ToLower(key)
		if len(out.Get(key)) > 0 || slices.Contains(seen, key) {
			continue
		}
		seen = append(seen, key)
		for _, value := range in.Get(key) {
			pairs = append(pairs, key, value)
		}
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}
