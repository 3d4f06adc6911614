// Interceptors for every call of a service, unary or stream, and for its own calls.
//
//kata:level 2
//kata:minutes 120
//kata:engine real grpc-go over bufconn, in virtual time
package interceptors_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/roadkata/roadkata/stage2/grpc/interceptors"
)

const (
	unaryMethod  = "/grpc.testing.TestService/UnaryCall"
	inputMethod  = "/grpc.testing.TestService/StreamingInputCall"
	outputMethod = "/grpc.testing.TestService/StreamingOutputCall"
	duplexMethod = "/grpc.testing.TestService/FullDuplexCall"
)

// service is gRPC's own test service, with handlers that a test chooses.
type service struct {
	pb.UnimplementedTestServiceServer
	unary  func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error)
	input  func(pb.TestService_StreamingInputCallServer) error
	output func(*pb.StreamingOutputCallRequest, pb.TestService_StreamingOutputCallServer) error
	duplex func(pb.TestService_FullDuplexCallServer) error
}

func (s *service) UnaryCall(ctx context.Context, req *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if s.unary == nil {
		return &pb.SimpleResponse{}, nil
	}
	return s.unary(ctx, req)
}

func (s *service) StreamingInputCall(ss pb.TestService_StreamingInputCallServer) error {
	return s.input(ss)
}

func (s *service) StreamingOutputCall(req *pb.StreamingOutputCallRequest, ss pb.TestService_StreamingOutputCallServer) error {
	return s.output(req, ss)
}

func (s *service) FullDuplexCall(ss pb.TestService_FullDuplexCallServer) error {
	if s.duplex == nil {
		return nil
	}
	return s.duplex(ss)
}

// serve starts a server behind the interceptors, and returns a client of it.
func serve(t *testing.T, o interceptors.Options, s *service, dial ...grpc.DialOption) pb.TestServiceClient {
	t.Helper()
	lis := bufconn.Listen(1 << 16)
	srv := grpc.NewServer(interceptors.ServerOptions(o)...)
	pb.RegisterTestServiceServer(srv, s)
	go srv.Serve(lis)
	dial = append(dial, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return lis.Dial() }))
	conn, err := grpc.NewClient("passthrough:///suite", dial...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		srv.Stop()
	})
	return pb.NewTestServiceClient(conn)
}

// logbook collects what is logged.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// take returns the lines since the last take.
func (l *logbook) take() (lines []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text := range strings.Lines(l.buf.String()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil {
			lines = append(lines, line)
		}
	}
	l.buf.Reset()
	return lines
}

// one returns the only line since the last take.
func (l *logbook) one(t *testing.T, what string) map[string]any {
	t.Helper()
	lines := l.take()
	if len(lines) != 1 {
		t.Fatalf("%s: %d log lines, want one for each call: %v", what, len(lines), lines)
	}
	return lines[0]
}

// whole receives until the stream ends, and returns the error that it ended with, nil for io.EOF.
func whole(ss interface {
	Recv() (*pb.StreamingOutputCallResponse, error)
}) error {
	for {
		if _, err := ss.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// duplex opens a stream, half-closes it, and returns how it ended.
func duplex(ctx context.Context, c pb.TestServiceClient) error {
	ss, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	ss.CloseSend()
	return whole(ss)
}

// kinds are the two kinds of call that the interceptors tell apart.
func kinds(ctx context.Context, c pb.TestServiceClient) map[string]func() error {
	return map[string]func() error{
		unaryMethod:  func() error { _, err := c.UnaryCall(ctx, &pb.SimpleRequest{}); return err },
		duplexMethod: func() error { return duplex(ctx, c) },
	}
}

func as(token string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
}

// patient is a context that ends after hours: a call that does not end by itself is then seen to end otherwise. It is no deadline, for a
// deadline would be sent to the server.
func patient(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(2*time.Hour, cancel)
	return ctx
}

// people is an authentication that knows tokens by their subject.
func people(_ context.Context, token string) (interceptors.Identity, error) {
	if token == "ada" || token == "bob" {
		return interceptors.Identity{Subject: token}, nil
	}
	return interceptors.Identity{}, errors.New("token " + token + " is not in table tokens")
}

// wants fails unless err has the code and the message.
func wants(t *testing.T, what string, err error, code codes.Code, message string) {
	t.Helper()
	if st := status.Convert(err); st.Code() != code || st.Message() != message {
		t.Errorf("%s: the client sees %v %q, want %v %q", what, st.Code(), st.Message(), code, message)
	}
}

// The steps stand in the right order: the log sees all, recovery and time limits cover all behind them, strangers reach nothing.
//
//kata:zh 各步骤的先后正确：日志看得到一切，恢复和时限罩住后面的一切，陌生人什么都碰不到。
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logbook
		reached := ""
		c := serve(t, interceptors.Options{
			Logger: book.logger(),
			Limits: interceptors.Limits{Unary: 3 * time.Second, Stream: 5 * time.Second},
			Authenticate: func(ctx context.Context, token string) (interceptors.Identity, error) {
				switch token {
				case "panic":
					panic("in Authenticate")
				case "slow":
					select {
					case <-ctx.Done():
					case <-time.After(time.Hour):
					}
					return interceptors.Identity{}, ctx.Err()
				}
				return people(ctx, token)
			},
			Validate: func(context.Context, string, any) error { reached += "validator "; return nil },
		}, &service{
			unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
				reached += "handler"
				return nil, nil
			},
			duplex: func(pb.TestService_FullDuplexCallServer) error { reached += "handler"; return nil },
		})
		for _, test := range []struct {
			name    string
			ctx     context.Context
			code    codes.Code
			message string
		}{
			{"a call without a token", context.Background(), codes.Unauthenticated, "unauthenticated"},
			{"a call with a wrong token", as("mallory"), codes.Unauthenticated, "unauthenticated"},
			{"a call whose authentication panics", as("panic"), codes.Internal, "internal error"},
			{"a call whose authentication takes for ever", as("slow"), codes.DeadlineExceeded, "deadline exceeded"},
		} {
			for method, call := range kinds(test.ctx, c) {
				what := test.name + ", " + method
				wants(t, what, call(), test.code, test.message)
				line := book.one(t, what)
				if line["code"] != test.code.String() {
					t.Errorf("%s: the log says code=%v, want %v", what, line["code"], test.code)
				}
				if subject, ok := line["subject"]; ok {
					t.Errorf("%s: nobody was authenticated, and the log says subject=%v", what, subject)
				}
				if text := fmt.Sprint(line["error"]); strings.Contains(test.name, "wrong token") && !strings.Contains(text, "is not in table tokens") {
					t.Errorf("%s: the log says error=%v, want also what Authenticate said", what, text)
				}
				if reached != "" {
					t.Errorf("%s: it was refused, but reached the %s", what, reached)
					reached = ""
				}
			}
		}
	})
}

// A panic is Internal for its client, with no word of its text; the log has it with its stack, and the server goes on.
//
//kata:zh panic 对客户端来说就是 Internal，不带一个字的内容；日志里有它和调用栈，服务继续运行。
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logbook
		var value any
		c := serve(t, interceptors.Options{Logger: book.logger()}, &service{
			unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return nil, explode(value) },
			input: func(ss pb.TestService_StreamingInputCallServer) error { ss.Recv(); return explode(value) },
			duplex: func(ss pb.TestService_FullDuplexCallServer) error {
				ss.Send(&pb.StreamingOutputCallResponse{})
				return explode(value)
			},
		})
		calls := kinds(t.Context(), c)
		calls[inputMethod] = func() error {
			ss, err := c.StreamingInputCall(t.Context())
			if err != nil {
				return err
			}
			ss.Send(&pb.StreamingInputCallRequest{})
			_, err = ss.CloseAndRecv()
			return err
		}
		for method, call := range calls {
			// The server is still there the second time, when a panic says what it says with an error, even one with a status.
			for _, value = range []any{"cannot log in with password hunter2", fmt.Errorf("password hunter2: %w", status.Error(codes.NotFound, "no user ada"))} {
				wants(t, method+", whose handler panics", call(), codes.Internal, "internal error")
				line := book.one(t, method)
				if line["code"] != "Internal" || !strings.Contains(fmt.Sprint(line["error"]), "hunter2") {
					t.Errorf("%s: the log says code=%v error=%v, want Internal and the text of the panic", method, line["code"], line["error"])
				}
				if !strings.Contains(fmt.Sprint(line["stack"]), "explode") {
					t.Errorf("%s: the log's stack does not show where the handler panicked: %v", method, line["stack"])
				}
			}
		}
	})
}

func explode(value any) error { panic(value) }

// An error without a status tells its client nothing; one with a status tells just what the status says.
//
//kata:zh 不带 status 的错误对客户端什么都不说；带 status 的错误只说 status 里写的。
func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notFound, err := status.New(codes.NotFound, "no note 7").WithDetails(&pb.EchoStatus{Message: "detail"})
		if err != nil {
			t.Fatal(err)
		}
		var book logbook
		var answer error
		c := serve(t, interceptors.Options{Logger: book.logger()}, &service{
			unary:  func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return nil, answer },
			duplex: func(pb.TestService_FullDuplexCallServer) error { return answer },
		})
		for _, test := range []struct {
			answer  error
			code    codes.Code
			message string
		}{
			{errors.New("dial tcp 10.0.0.7:5432: refused"), codes.Internal, "internal error"},
			{notFound.Err(), codes.NotFound, "no note 7"},
			{fmt.Errorf("SELECT body FROM notes: %w", notFound.Err()), codes.NotFound, "no note 7"},
			{fmt.Errorf("dial tcp 10.0.0.7:5432: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "deadline exceeded"},
			{fmt.Errorf("dial tcp 10.0.0.7:5432: %w", context.Canceled), codes.Canceled, "canceled"},
			{nil, codes.OK, ""},
		} {
			answer = test.answer
			for method, call := range kinds(t.Context(), c) {
				err := call()
				what := fmt.Sprintf("%s, whose handler returned %v", method, test.answer)
				wants(t, what, err, test.code, test.message)
				if test.code == codes.NotFound && len(status.Convert(err).Details()) != 1 {
					t.Errorf("%s: the details of the status are lost", what)
				}
				line := book.one(t, what)
				if text := fmt.Sprint(line["error"]); test.answer != nil && text != test.answer.Error() {
					t.Errorf("%s: the log says error=%q, want the handler's whole text", what, text)
				}
			}
		}
	})
}

// Every call that is not public shows one good bearer token, and handlers know whose it is.
//
//kata:zh 除公开方法外，每个调用都要出示一个有效的 bearer token，处理函数知道它是谁的。
func TestAuthenticate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var who interceptors.Identity
		var known bool
		look := func(ctx context.Context) { who, known = interceptors.FromContext(ctx) }
		public := false
		c := serve(t, interceptors.Options{
			Authenticate: func(ctx context.Context, token string) (interceptors.Identity, error) {
				if token == "outage" {
					return interceptors.Identity{}, fmt.Errorf("introspection: %w", status.Error(codes.Unavailable, "try again later"))
				}
				return people(ctx, token)
			},
			Public: func(string) bool { return public },
			Validate: func(ctx context.Context, _ string, _ any) error {
				if id, ok := interceptors.FromContext(ctx); ok != !public || ok && id.Subject != "ada" {
					t.Errorf("in Validate, FromContext = %+v, %v", id, ok)
				}
				return nil
			},
		}, &service{
			unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
				look(ctx)
				return &pb.SimpleResponse{}, nil
			},
			duplex: func(ss pb.TestService_FullDuplexCallServer) error { look(ss.Context()); return nil },
		})
		with := func(values ...string) context.Context {
			ctx := t.Context()
			for _, v := range values {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", v)
			}
			return ctx
		}
		for _, test := range []struct {
			authorization []string
			code          codes.Code
			message       string
		}{
			{[]string{"Bearer ada"}, codes.OK, ""},
			{[]string{"bearer ada"}, codes.OK, ""}, // RFC 9110: the scheme is case-insensitive
			{nil, codes.Unauthenticated, "unauthenticated"},
			{[]string{"ada"}, codes.Unauthenticated, "unauthenticated"},
			{[]string{"Bearer  ada"}, codes.Unauthenticated, "unauthenticated"},
			{[]string{"Bearer "}, codes.Unauthenticated, "unauthenticated"},
			{[]string{"Basic ada"}, codes.Unauthenticated, "unauthenticated"},
			{[]string{"Bearer mallory"}, codes.Unauthenticated, "unauthenticated"},
			{[]string{"Bearer ada", "Bearer bob"}, codes.Unauthenticated, "unauthenticated"},
			{[]string{"Bearer mallory", "Bearer ada"}, codes.Unauthenticated, "unauthenticated"},
			{[]string{"Bearer outage"}, codes.Unavailable, "try again later"}, // we cannot tell: that is not "no"
		} {
			for method, call := range kinds(with(test.authorization...), c) {
				who, known = interceptors.Identity{}, false
				what := fmt.Sprintf("%s with authorization %q", method, test.authorization)
				wants(t, what, call(), test.code, test.message)
				if test.code == codes.OK && (!known || who.Subject != "ada") {
					t.Errorf("%s: in the handler, FromContext = %+v, %v; want ada", what, who, known)
				}
			}
		}
		public = true
		for _, authorization := range [][]string{nil, {"Bearer ada"}, {"Bearer mallory"}} {
			for method, call := range kinds(with(authorization...), c) {
				what := fmt.Sprintf("public %s with authorization %q", method, authorization)
				wants(t, what, call(), codes.OK, "")
				if known {
					t.Errorf("%s: in the handler, FromContext = %+v, true; want false", what, who)
				}
			}
		}
	})
}

// A stream ends when the credential does that opened it, also while its handler waits.
//
//kata:zh 打开流所用的凭据一过期，流就结束，哪怕处理函数正在等待。
func TestCredentialExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told bool
		c := serve(t, interceptors.Options{
			Limits: interceptors.Limits{Unary: time.Hour, Stream: time.Hour},
			Authenticate: func(_ context.Context, token string) (interceptors.Identity, error) {
				switch token {
				case "minute":
					return interceptors.Identity{Expires: time.Now().Add(time.Minute)}, nil
				case "over":
					return interceptors.Identity{Expires: time.Now()}, nil
				}
				return interceptors.Identity{}, nil
			},
		}, &service{
			unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
				time.Sleep(2 * time.Minute)
				return &pb.SimpleResponse{}, ctx.Err()
			},
			output: func(_ *pb.StreamingOutputCallRequest, ss pb.TestService_StreamingOutputCallServer) error {
				<-ss.Context().Done()
				if told {
					return ss.Context().Err()
				}
				return nil
			},
			duplex: func(ss pb.TestService_FullDuplexCallServer) error {
				for {
					if _, err := ss.Recv(); errors.Is(err, io.EOF) {
						return nil
					} else if err != nil {
						return err
					}
				}
			},
		})
		for _, told = range []bool{true, false} {
			out, err := c.StreamingOutputCall(patient(as("minute")), &pb.StreamingOutputCallRequest{})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			err = whole(out)
			what := fmt.Sprintf("a stream whose token expires after a minute, while its handler waits for the context (and then returns its error: %v)", told)
			wants(t, what, err, codes.Unauthenticated, "unauthenticated")
			if lasted := time.Since(began); lasted != time.Minute {
				t.Errorf("%s: it lasted %v", what, lasted)
			}
		}
		began := time.Now()
		ss, err := c.FullDuplexCall(patient(as("minute")))
		if err != nil {
			t.Fatal(err)
		}
		ss.Send(&pb.StreamingOutputCallRequest{})
		err = whole(ss)
		wants(t, "a stream whose token expires after a minute, while its handler waits in Recv", err, codes.Unauthenticated, "unauthenticated")
		if lasted := time.Since(began); lasted != time.Minute {
			t.Errorf("a stream whose token expires after a minute lasted %v", lasted)
		}
		for method, call := range kinds(as("over"), c) {
			wants(t, method+" with a token that has expired", call(), codes.Unauthenticated, "unauthenticated")
		}
		_, err = c.UnaryCall(as("minute"), &pb.SimpleRequest{})
		wants(t, "a unary call of two minutes, begun with a token good for one", err, codes.OK, "")
		ss, err = c.FullDuplexCall(as("unlimited"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		ss.CloseSend()
		wants(t, "a stream of half an hour with a token that does not expire", whole(ss), codes.OK, "")
	})
}

// No call takes longer than its limit, whatever its client asks for and whatever its stream waits for.
//
//kata:zh 任何调用都不会超过时限，不管客户端要求多久，也不管流在等什么。
func TestServerLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10 * time.Second
		var left time.Duration
		look := func(ctx context.Context) {
			left = -1
			if deadline, ok := ctx.Deadline(); ok {
				left = time.Until(deadline)
			}
		}
		c := serve(t, interceptors.Options{Limits: interceptors.Limits{Unary: limit, Stream: 2 * limit}}, &service{
			unary: func(ctx context.Context, req *pb.SimpleRequest) (*pb.SimpleResponse, error) {
				if look(ctx); req.ResponseSize > 0 {
					select {
					case <-ctx.Done():
					case <-time.After(time.Hour):
					}
					return nil, ctx.Err()
				}
				return &pb.SimpleResponse{}, nil
			},
			duplex: func(ss pb.TestService_FullDuplexCallServer) error { look(ss.Context()); return nil },
			input: func(ss pb.TestService_StreamingInputCallServer) error {
				for {
					if _, err := ss.Recv(); err != nil {
						return err
					}
				}
			},
			output: func(_ *pb.StreamingOutputCallRequest, ss pb.TestService_StreamingOutputCallServer) error {
				for range 100 { // far more than fits into the windows of a client that does not read
					if err := ss.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: make([]byte, 1<<14)}}); err != nil {
						return err
					}
				}
				return nil
			},
		})
		for _, test := range []struct{ asked, unary, stream time.Duration }{
			{0, limit, 2 * limit},
			{time.Second, time.Second, time.Second},
			{time.Hour, limit, 2 * limit},
		} {
			ctx, what := t.Context(), "a client without a deadline"
			if test.asked > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, test.asked)
				defer cancel()
				what = fmt.Sprintf("a client that gives it %v", test.asked)
			}
			for method, call := range kinds(ctx, c) {
				want := test.unary
				if method == duplexMethod {
					want = test.stream
				}
				if err := call(); err != nil || left != want {
					t.Errorf("%s of %s: the handler has %v (error %v), want %v", method, what, left, err, want)
				}
			}
		}

		began := time.Now()
		_, err := c.UnaryCall(patient(t.Context()), &pb.SimpleRequest{ResponseSize: 1})
		wants(t, "a handler that works until its context ends", err, codes.DeadlineExceeded, "deadline exceeded")
		if lasted := time.Since(began); lasted != limit {
			t.Errorf("a unary call lasted %v, want the limit of %v", lasted, limit)
		}

		began = time.Now()
		in, err := c.StreamingInputCall(patient(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		in.Send(&pb.StreamingInputCallRequest{})
		err = in.RecvMsg(&pb.StreamingInputCallResponse{})
		wants(t, "a stream whose client falls silent, while its handler waits in Recv", err, codes.DeadlineExceeded, "deadline exceeded")
		if lasted := time.Since(began); lasted != 2*limit {
			t.Errorf("a stream whose client falls silent lasted %v, want the limit of %v", lasted, 2*limit)
		}

		out, err := c.StreamingOutputCall(patient(t.Context()), &pb.StreamingOutputCallRequest{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * limit)
		wants(t, "a stream whose client does not read, while its handler waits in Send", whole(out), codes.DeadlineExceeded, "deadline exceeded")
	})
}

// A message that is not valid never reaches a unary handler.
//
//kata:zh 不合法的消息到不了一元调用的处理函数。
func TestValidateUnary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handled := 0
		var seen []string
		c := serve(t, interceptors.Options{Validate: func(_ context.Context, method string, msg any) error {
			req, ok := msg.(*pb.SimpleRequest)
			if !ok {
				t.Errorf("Validate is given a %T, want the request, a *SimpleRequest", msg)
				return nil
			}
			seen = append(seen, method)
			switch {
			case req.ResponseSize == 7:
				return status.Error(codes.OutOfRange, "seven is out of range")
			case req.ResponseSize < 0:
				return errors.New("response_size: negative")
			}
			return nil
		}}, &service{unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			handled++
			return &pb.SimpleResponse{}, nil
		}})
		_, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{ResponseSize: -1})
		wants(t, "a message that Validate refuses", err, codes.InvalidArgument, "response_size: negative")
		_, err = c.UnaryCall(t.Context(), &pb.SimpleRequest{ResponseSize: 7})
		wants(t, "a message that Validate refuses with a status", err, codes.OutOfRange, "seven is out of range")
		if handled != 0 {
			t.Errorf("the handler ran for %d of 2 messages that Validate refuses", handled)
		}
		_, err = c.UnaryCall(t.Context(), &pb.SimpleRequest{ResponseSize: 1})
		wants(t, "a valid message", err, codes.OK, "")
		if want := []string{unaryMethod, unaryMethod, unaryMethod}; handled != 1 || !slices.Equal(seen, want) {
			t.Errorf("three calls, one of them valid: the handler ran %d times, Validate saw %q", handled, seen)
		}
	})
}

// Every message of a stream is validated, and one that is refused is the end of it, whatever the handler makes of the error.
//
//kata:zh 流里的每条消息都要校验；一条被拒，流就到此为止，不管处理函数怎样对待那个错误。
func TestValidateStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int32
		again := 0
		c := serve(t, interceptors.Options{Validate: func(_ context.Context, method string, msg any) error {
			switch req := msg.(type) {
			case *pb.StreamingOutputCallRequest:
				if req.ResponseStatus.GetCode() == 99 {
					return errors.New("response_status: 99")
				}
			case *pb.StreamingInputCallRequest:
				if req.ExpectCompressed.GetValue() {
					return errors.New("expect_compressed: true")
				}
			default:
				t.Errorf("Validate of %s is given a %T, want request messages only", method, msg)
			}
			return nil
		}}, &service{
			duplex: func(ss pb.TestService_FullDuplexCallServer) error {
				for {
					req, err := ss.Recv()
					if err != nil {
						if _, err := ss.Recv(); err == nil || errors.Is(err, io.EOF) { // once more, as careless handlers do
							again++
						}
						return nil
					}
					got = append(got, req.ResponseStatus.GetCode())
					ss.Send(&pb.StreamingOutputCallResponse{})
				}
			},
			input: func(ss pb.TestService_StreamingInputCallServer) error {
				for {
					if _, err := ss.Recv(); err != nil {
						return ss.SendAndClose(&pb.StreamingInputCallResponse{})
					}
				}
			},
			output: func(*pb.StreamingOutputCallRequest, pb.TestService_StreamingOutputCallServer) error {
				t.Error("the handler of a server stream ran for a request that Validate refuses")
				return nil
			},
		})
		message := func(code int32) *pb.StreamingOutputCallRequest {
			return &pb.StreamingOutputCallRequest{ResponseStatus: &pb.EchoStatus{Code: code}}
		}
		ss, err := c.FullDuplexCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range []int32{1, 2, 99, 3} {
			ss.Send(message(code))
		}
		ss.CloseSend()
		wants(t, "the messages 1, 2, 99, 3, of which Validate refuses 99", whole(ss), codes.InvalidArgument, "response_status: 99")
		if !slices.Equal(got, []int32{1, 2}) || again > 0 {
			t.Errorf("of the messages 1, 2, 99, 3, the handler got %d; after the refusal, Recv returned no error or io.EOF %d times; want only [1 2], then the refusal", got, again)
		}

		ss, err = c.FullDuplexCall(patient(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		ss.Send(message(99))
		wants(t, "a refused message, after which the client is silent and the handler calls Recv again", whole(ss), codes.InvalidArgument, "response_status: 99")

		in, err := c.StreamingInputCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		in.Send(&pb.StreamingInputCallRequest{})
		in.Send(&pb.StreamingInputCallRequest{ExpectCompressed: &pb.BoolValue{Value: true}})
		_, err = in.CloseAndRecv()
		wants(t, "a client stream whose second message is refused", err, codes.InvalidArgument, "expect_compressed: true")

		out, err := c.StreamingOutputCall(t.Context(), message(99))
		if err != nil {
			t.Fatal(err)
		}
		wants(t, "a server stream whose request is refused", whole(out), codes.InvalidArgument, "response_status: 99")
	})
}

// Each call leaves one line: what, who, how long, how many messages, how it ended; never a token.
//
//kata:zh 每个调用留下一行日志：做了什么、谁、多久、多少条消息、结果如何；绝不含 token。
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logbook
		var answer error
		c := serve(t, interceptors.Options{Logger: book.logger(), Authenticate: func(context.Context, string) (interceptors.Identity, error) {
			return interceptors.Identity{Subject: "ada"}, nil
		}}, &service{
			unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
				time.Sleep(1500 * time.Millisecond)
				return &pb.SimpleResponse{}, answer
			},
			duplex: func(ss pb.TestService_FullDuplexCallServer) error {
				for n := 0; ; n++ {
					if _, err := ss.Recv(); err != nil {
						return answer
					}
					if n > 0 {
						ss.Send(&pb.StreamingOutputCallResponse{})
					}
				}
			},
		})
		ctx := as("s3cr3t")
		check := func(method string, want map[string]any) {
			t.Helper()
			line := book.one(t, method)
			if strings.Contains(fmt.Sprint(line), "s3cr3t") {
				t.Errorf("%s: the log holds the token: %v", method, line)
			}
			for _, key := range []string{"error", "stack"} {
				if value, ok := line[key]; ok && want[key] == nil {
					t.Errorf("%s: the log says %s=%v where there was none", method, key, value)
				}
			}
			want["msg"], want["method"], want["subject"] = "call", method, "ada"
			for key, value := range want {
				if fmt.Sprint(line[key]) != fmt.Sprint(value) {
					t.Errorf("%s: the log says %s=%v, want %v; the line is %v", method, key, line[key], value, line)
				}
			}
		}
		for _, test := range []struct {
			answer error
			level  string
		}{
			{nil, "INFO"},
			{status.Error(codes.NotFound, "no note 7"), "WARN"},
			{status.Error(codes.PermissionDenied, "not yours"), "WARN"},
			{status.Error(codes.Internal, "broken"), "ERROR"},
			{status.Error(codes.DataLoss, "lost"), "ERROR"},
			{status.Error(codes.Unknown, "what?"), "ERROR"},
			{errors.New("no status"), "ERROR"},
		} {
			answer = test.answer
			_, err := c.UnaryCall(ctx, &pb.SimpleRequest{})
			want := map[string]any{"code": status.Code(err), "level": test.level, "duration": float64(1500 * time.Millisecond), "received": 1, "sent": 1}
			if test.answer != nil {
				want["sent"], want["error"] = 0, test.answer.Error()
			}
			check(unaryMethod, want)
			if err := duplex(ctx, c); status.Code(err) != want["code"] {
				t.Errorf("%s = %v, want %v", duplexMethod, err, want["code"])
			}
			want["duration"], want["received"], want["sent"] = 0.0, 0, 0
			check(duplexMethod, want)
		}
		answer = nil
		ss, err := c.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			ss.Send(&pb.StreamingOutputCallRequest{})
			time.Sleep(time.Second)
		}
		ss.CloseSend()
		if err := whole(ss); err != nil {
			t.Errorf("%s = %v", duplexMethod, err)
		}
		check(duplexMethod, map[string]any{"code": "OK", "level": "INFO", "duration": float64(3 * time.Second), "received": 3, "sent": 2})
	})
}

// A client passes on the metadata that it is told to pass on, and nothing else: least of all the caller's token.
//
//kata:zh 客户端只转发指定的元数据，别的一概不转发，尤其是调用者的 token。
func TestForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got metadata.MD
		look := func(ctx context.Context) { got, _ = metadata.FromIncomingContext(ctx) }
		behind := serve(t, interceptors.Options{}, &service{
			unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
				look(ctx)
				return &pb.SimpleResponse{}, nil
			},
			duplex: func(ss pb.TestService_FullDuplexCallServer) error { look(ss.Context()); return nil },
		}, interceptors.DialOptions(interceptors.ClientOptions{Forward: []string{"X-Request-Id", "traceparent", "x-request-id", "blob-bin", "absent"}})...)

		arrived := metadata.Pairs("x-request-id", "r1", "traceparent", "theirs", "blob-bin", "\x00\x01", "blob-bin", "\x02",
			"authorization", "Bearer ada", "cookie", "c", "x-request-id-old", "r0")
		before := arrived.Copy()
		handling := metadata.NewIncomingContext(t.Context(), arrived)
		set := metadata.AppendToOutgoingContext(handling, "Traceparent", "ours", "x-own", "o")
		for method, call := range kinds(set, behind) {
			if err := call(); err != nil {
				t.Fatal(err)
			}
			want := map[string][]string{"x-request-id": {"r1"}, "traceparent": {"ours"}, "blob-bin": {"\x00\x01", "\x02"}, "x-own": {"o"}}
			for key, values := range want {
				if !slices.Equal(got.Get(key), values) {
					t.Errorf("%s, called while a call is handled: %s arrives as %q, want %q", method, key, got.Get(key), values)
				}
			}
			for _, key := range []string{"authorization", "cookie", "x-request-id-old", "absent"} {
				if values := got.Get(key); len(values) > 0 {
					t.Errorf("%s, called while a call is handled: %s was passed on, %q", method, key, values)
				}
			}
		}
		if fmt.Sprint(arrived) != fmt.Sprint(before) {
			t.Errorf("the metadata of the call being handled was changed: %v, before %v", arrived, before)
		}
		own := metadata.AppendToOutgoingContext(handling, "authorization", "Bearer service")
		for method, call := range kinds(own, behind) {
			if err := call(); err != nil {
				t.Fatal(err)
			}
			if values := got.Get("authorization"); !slices.Equal(values, []string{"Bearer service"}) {
				t.Errorf("%s: authorization arrives as %q, want only the client's own, \"Bearer service\"", method, values)
			}
		}
		for method, call := range kinds(t.Context(), behind) {
			if err := call(); err != nil || len(got.Get("x-request-id")) > 0 {
				t.Errorf("%s, called while no call is handled: error %v, x-request-id %q", method, err, got.Get("x-request-id"))
			}
		}
	})
}

// A client's call without a deadline gets one; a stream stays open until then, and its timer ends with it.
//
//kata:zh 客户端没有截止时间的调用会得到一个；流在此之前一直可用，它的定时器随流一起结束。
func TestClientLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10 * time.Second
		var calls []context.Context // as the transport sees them
		inner := []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				calls = append(calls, ctx)
				return invoke(ctx, method, req, reply, cc, opts...)
			}),
			grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				calls = append(calls, ctx)
				return open(ctx, desc, cc, method, opts...)
			}),
		}
		c := serve(t, interceptors.Options{}, &service{
			input: func(ss pb.TestService_StreamingInputCallServer) error {
				return ss.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: 1})
			},
			duplex: func(ss pb.TestService_FullDuplexCallServer) error {
				for {
					if _, err := ss.Recv(); errors.Is(err, io.EOF) {
						return nil
					} else if err != nil {
						return err
					}
					ss.Send(&pb.StreamingOutputCallResponse{})
				}
			},
		}, append(interceptors.DialOptions(interceptors.ClientOptions{Limits: interceptors.Limits{Unary: limit, Stream: 2 * limit}}), inner...)...)
		left := func() time.Duration {
			deadline, ok := calls[len(calls)-1].Deadline()
			if !ok {
				return -1
			}
			return time.Until(deadline)
		}
		over := func(what string) {
			t.Helper()
			if calls[len(calls)-1].Err() == nil {
				t.Errorf("%s is over, but its context and timer live on", what)
			}
		}
		for _, asked := range []time.Duration{0, time.Second, time.Hour} {
			ctx, want := t.Context(), map[string]time.Duration{unaryMethod: limit, duplexMethod: 2 * limit}
			if asked > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, asked)
				defer cancel()
				want = map[string]time.Duration{unaryMethod: asked, duplexMethod: asked}
			}
			for method, call := range kinds(ctx, c) {
				if err := call(); err != nil || left() != want[method] {
					t.Errorf("%s by a client that gives it %v (0: nothing): it has %v (error %v), want %v", method, asked, left(), err, want[method])
				}
				if asked == 0 {
					over(method)
				}
			}
		}

		ss, err := c.FullDuplexCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			ss.Send(&pb.StreamingOutputCallRequest{})
			if _, err := ss.Recv(); err != nil {
				t.Fatalf("a stream with a limit of %v: message %d after %v: %v", 2*limit, i+1, time.Duration(i)*limit/2, err)
			}
			time.Sleep(limit / 2)
		}
		_, err = ss.Recv()
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("a stream that outlasts its limit of %v ends with %v, want DeadlineExceeded", 2*limit, err)
		}

		in, err := c.StreamingInputCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		in.Send(&pb.StreamingInputCallRequest{})
		if answer, err := in.CloseAndRecv(); err != nil || answer.AggregatedPayloadSize != 1 {
			t.Errorf("%s = %v, %v", inputMethod, answer, err)
		}
		synctest.Wait()
		over(inputMethod)

		in, err = c.StreamingInputCall(t.Context(), grpc.MaxCallSendMsgSize(8))
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Send(&pb.StreamingInputCallRequest{Payload: &pb.Payload{Body: make([]byte, 100)}}); status.Code(err) != codes.ResourceExhausted {
			t.Fatalf("Send of a message that is too large = %v", err)
		}
		synctest.Wait()
		over(inputMethod + ", whose Send has failed with something else than io.EOF,")
	})
}
