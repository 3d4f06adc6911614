// Package interceptors: at the expiry Recv and Send fail and the context ends; what the handler makes of that is the answer. One that waits
// for its context says DeadlineExceeded, or OK.
//
//kata:caught-by TestCredentialExpires
package interceptors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
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

// ServerOptions returns the options that put the interceptors into a server: one for unary calls, one for streams, each of which walks a
// call through all steps.
func ServerOptions(o Options) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
			v := visit{Options: o, method: info.FullMethod, began: time.Now()}
			v.received.Add(1)
			err = v.end(ctx, v.safely(func() error {
				ctx, _, leave, err := v.enter(ctx, o.Limits.Unary)
				defer leave()
				if err == nil {
					err = v.check(ctx, req)
				}
				if err == nil {
					resp, err = handler(ctx, req)
				}
				if err == nil {
					v.sent.Add(1)
				}
				return err
			}))
			return resp, err
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			v := visit{Options: o, method: info.FullMethod, began: time.Now()}
			return v.end(ss.Context(), v.safely(func() error {
				ctx, id, leave, err := v.enter(ss.Context(), o.Limits.Stream)
				defer leave()
				if err != nil {
					return err
				}
				if !id.Expires.IsZero() {
					var cancel context.CancelFunc
					ctx, cancel = context.WithDeadlineCause(ctx, id.Expires, refused)
					defer cancel()
				}
				w := &watched{ServerStream: ss, ctx: ctx, v: &v}
				err = handler(srv, w)
				if failed := w.failed.Load(); failed != nil {
					return *failed
				}
				return err
			}))
		}),
	}
}

var refused = status.Error(codes.Unauthenticated, "unauthenticated")

type identity struct{}

// FromContext returns who calls, inside of Validate and of handlers. It reports false in calls of public methods.
func FromContext(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identity{}).(Identity)
	return id, ok
}

// visit is one call on its way through the steps.
type visit struct {
	Options
	method         string
	began          time.Time
	subject        string
	stack          []byte
	received, sent atomic.Int64
}

// safely runs f and makes an error of its panic.
func (v *visit) safely(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			v.stack = debug.Stack()
			err = fmt.Errorf("panic: %v", value)
		}
	}()
	return f()
}

// enter sets the time limit and finds out who calls.
func (v *visit) enter(ctx context.Context, limit time.Duration) (_ context.Context, id Identity, leave func(), err error) {
	leave = func() {}
	if limit > 0 {
		ctx, leave = context.WithTimeout(ctx, limit)
	}
	if v.Authenticate == nil || v.Public != nil && v.Public(v.method) {
		return ctx, id, leave, nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	const scheme = "bearer "
	if len(values) != 1 || len(values[0]) <= len(scheme) || !strings.EqualFold(values[0][:len(scheme)], scheme) {
		return ctx, id, leave, refused
	}
	id, err = v.Authenticate(ctx, values[0][len(scheme):])
	if err == nil && (id.Expires.IsZero() || id.Expires.After(time.Now())) {
		v.subject = id.Subject
		return context.WithValue(ctx, identity{}, id), id, leave, nil
	}
	if err == nil || ctx.Err() == nil && asStatus(err) == nil {
		err = errors.Join(refused, err)
	}
	return ctx, id, leave, err
}

func (v *visit) check(ctx context.Context, msg any) error {
	if v.Validate == nil {
		return nil
	}
	err := v.Validate(ctx, v.method, msg)
	if err != nil && asStatus(err) == nil {
		err = status.Error(codes.InvalidArgument, err.Error())
	}
	return err
}

// asStatus finds the status inside an error.
func asStatus(err error) *status.Status {
	var carrier interface{ GRPCStatus() *status.Status }
	if errors.As(err, &carrier) {
		return carrier.GRPCStatus()
	}
	return nil
}

// end writes the call's line, and returns what the client sees.
func (v *visit) end(ctx context.Context, err error) error {
	shown := asStatus(err)
	switch {
	case err == nil || shown != nil:
	case errors.Is(err, context.DeadlineExceeded):
		shown = status.New(codes.DeadlineExceeded, "deadline exceeded")
	case errors.Is(err, context.Canceled):
		shown = status.New(codes.Canceled, "canceled")
	default:
		shown = status.New(codes.Internal, "internal error")
	}
	if v.Logger != nil {
		level := slog.LevelWarn
		switch shown.Code() {
		case codes.OK:
			level = slog.LevelInfo
		case codes.Internal, codes.Unknown, codes.DataLoss:
			level = slog.LevelError
		}
		line := v.Logger.With("method", v.method, "code", shown.Code().String(), "duration", time.Since(v.began),
			"received", v.received.Load(), "sent", v.sent.Load())
		if v.subject != "" {
			line = line.With("subject", v.subject)
		}
		if err != nil {
			line = line.With("error", err.Error())
		}
		if v.stack != nil {
			line = line.With("stack", string(v.stack))
		}
		line.Log(ctx, level, "call")
	}
	return shown.Err()
}

// watched is a server's stream that does not wait longer than its context lasts.
type watched struct {
	grpc.ServerStream
	ctx    context.Context
	v      *visit
	failed atomic.Pointer[error] // what ended the stream before its handler did
}

func (w *watched) Context() context.Context { return w.ctx }

// wait runs an operation of the transport, which may outlast the context; then it is left to end with the call.
func (w *watched) wait(operation func() error) error {
	if failed := w.failed.Load(); failed != nil {
		return *failed
	}
	done := make(chan error, 1)
	go func() { done <- operation() }()
	select {
	case err := <-done:
		return err
	case <-w.ctx.Done():
		return w.fail(context.Cause(w.ctx))
	}
}

func (w *watched) fail(err error) error {
	w.failed.CompareAndSwap(nil, &err)
	return *w.failed.Load()
}

// RecvMsg receives into a message of its own: the handler has its own back when the context ends, and nobody else writes to it.
func (w *watched) RecvMsg(msg any) error {
	into := msg.(proto.Message)
	fresh := into.ProtoReflect().New().Interface()
	if err := w.wait(func() error { return w.ServerStream.RecvMsg(fresh) }); err != nil {
		return err
	}
	proto.Merge(into, fresh)
	w.v.received.Add(1)
	if err := w.v.check(w.ctx, into); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *watched) SendMsg(msg any) error {
	err := w.wait(func() error { return w.ServerStream.SendMsg(msg) })
	if err == nil {
		w.v.sent.Add(1)
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
	outgoing := func(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
		in, _ := metadata.FromIncomingContext(ctx)
		out, _ := metadata.FromOutgoingContext(ctx)
		passed := metadata.MD{}
		for _, key := range o.Forward {
			if len(out.Get(key)) == 0 {
				passed.Set(key, in.Get(key)...)
			}
		}
		ctx = metadata.NewOutgoingContext(ctx, metadata.Join(out, passed))
		if _, ok := ctx.Deadline(); !ok && limit > 0 {
			return context.WithTimeout(ctx, limit)
		}
		return context.WithCancel(ctx)
	}
	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			ctx, cancel := outgoing(ctx, o.Limits.Unary)
			defer cancel()
			return invoke(ctx, method, req, reply, cc, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			ctx, cancel := outgoing(ctx, o.Limits.Stream)
			// gRPC itself tells when a stream is over.
			return open(ctx, desc, cc, method, append(opts, grpc.OnFinish(func(error) { cancel() }))...)
		}),
	}
}
