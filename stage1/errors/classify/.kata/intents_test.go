// Package classify_test holds the promises of the classifier.
//
//kata:level 2
//kata:minutes 50
//kata:engine real Go errors, net/http, log/slog
package classify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/roadkata/roadkata/stage1/errors/classify"
)

const secret = "postgres://svc:hunter2@10.0.0.7/orders"

var (
	bg       = context.Background()
	errCause = errors.New("dial " + secret)
)

func mark(k Kind) error { return Mark(errCause, k, "") }

func wantKind(t *testing.T, what string, err error, want Kind) {
	t.Helper()
	if got := Of(err); got != want {
		t.Errorf("Of(%s) = %v, want %v", what, got, want)
	}
}

// Each kind has its code, its status, and knows whose fault it is and whether trying again makes sense.
//
//kata:zh 每一类错误有自己的代号和状态码，知道是谁的责任、值不值得重试。
func TestKinds(t *testing.T) {
	for _, want := range []struct {
		kind              Kind
		code              string
		status            int
		retryable, client bool
	}{
		{OK, "ok", 200, false, false},
		{Canceled, "canceled", 499, false, true},
		{Invalid, "invalid", 400, false, true},
		{NotFound, "not_found", 404, false, true},
		{Conflict, "conflict", 409, false, true},
		{Denied, "denied", 403, false, true},
		{TooMany, "too_many", 429, true, true},
		{Timeout, "timeout", 504, true, false},
		{Unavailable, "unavailable", 503, true, false},
		{Internal, "internal", 500, false, false},
		{Internal + 1, "internal", 500, false, false},
		{-1, "internal", 500, false, false},
	} {
		k := want.kind
		if got := k.String(); got != want.code {
			t.Errorf("Kind(%d).String() = %q, want %q", int(k), got, want.code)
		}
		if got := k.Status(); got != want.status {
			t.Errorf("Kind(%d).Status() = %d, want %d", int(k), got, want.status)
		}
		if got := k.Retryable(); got != want.retryable {
			t.Errorf("Kind(%d).Retryable() = %v, want %v", int(k), got, want.retryable)
		}
		if got := k.ClientFault(); got != want.client {
			t.Errorf("Kind(%d).ClientFault() = %v, want %v", int(k), got, want.client)
		}
	}
}

// wraps wraps whatever it holds, also nothing.
type wraps struct{ err error }

func (w wraps) Error() string { return "wraps" }
func (w wraps) Unwrap() error { return w.err }

type wrapsAll []error

func (w wrapsAll) Error() string   { return "wraps all" }
func (w wrapsAll) Unwrap() []error { return w }

// What nobody has classified is internal: a 500 that is not tried again. No error is no error.
//
//kata:zh 没人分类过的错误一律算内部错误：500，不重试；没有错误就是没有错误。
func TestUnknown(t *testing.T) {
	for what, err := range map[string]error{
		"an unknown error":                    errCause,
		"fs.ErrNotExist":                      fs.ErrNotExist,
		"an error that wraps nil":             wraps{nil},
		"an error that wraps an empty list":   wrapsAll{},
		"an error that wraps nothing but nil": wrapsAll{nil, nil},
	} {
		wantKind(t, what, err, Internal)
		if Retryable(bg, err) {
			t.Errorf("Retryable(%s) = true, want false", what)
		}
	}
	wantKind(t, "nil", nil, OK)
	if Retryable(bg, nil) {
		t.Error("Retryable(nil) = true, want false")
	}
}

// gone says of itself that it is a cancellation, as errors of some client libraries do.
type gone struct{}

func (gone) Error() string        { return "gone" }
func (gone) Is(target error) bool { return target == context.Canceled }

// A deadline is a timeout and retryable; a cancellation is neither.
//
//kata:zh 超过截止时间算超时，可以重试；被取消则不是，也不重试。
func TestContext(t *testing.T) {
	for _, c := range []struct {
		err       error
		kind      Kind
		retryable bool
	}{
		{context.DeadlineExceeded, Timeout, true},
		{fmt.Errorf("call: %w", context.DeadlineExceeded), Timeout, true},
		{context.Canceled, Canceled, false},
		{fmt.Errorf("call: %w", context.Canceled), Canceled, false},
		{gone{}, Canceled, false},
	} {
		wantKind(t, c.err.Error(), c.err, c.kind)
		if got := Retryable(bg, c.err); got != c.retryable {
			t.Errorf("Retryable(%v) = %v, want %v", c.err, got, c.retryable)
		}
	}
}

// stuck is an error in the style of package net.
type stuck bool

func (s stuck) Error() string { return "stuck" }
func (s stuck) Timeout() bool { return bool(s) }

// late says of itself that it is a deadline that has passed, as errors of net/http do.
type late struct{}

func (late) Error() string        { return "late" }
func (late) Is(target error) bool { return target == context.DeadlineExceeded }

// The network's own errors are understood: timeouts as such, broken connections as unavailable.
//
//kata:zh 认得网络自己的错误：超时算超时，连接断开算不可用。
func TestNetwork(t *testing.T) {
	for what, c := range map[string]struct {
		err  error
		kind Kind
	}{
		"an error with Timeout() true":              {stuck(true), Timeout},
		"an error with Timeout() false":             {stuck(false), Internal},
		"os.ErrDeadlineExceeded":                    {os.ErrDeadlineExceeded, Timeout},
		"a DNS timeout":                             {&net.DNSError{IsTimeout: true}, Timeout},
		"an error that Is DeadlineExceeded":         {late{}, Timeout},
		"connection refused":                        {syscall.ECONNREFUSED, Unavailable},
		"connection refused, in an os.SyscallError": {os.NewSyscallError("connect", syscall.ECONNREFUSED), Unavailable},
		"connection reset":                          {syscall.ECONNRESET, Unavailable},
		"broken pipe":                               {syscall.EPIPE, Unavailable},
		"another system error":                      {syscall.ENOSPC, Internal},
	} {
		wantKind(t, what, c.err, c.kind)
	}
}

// The kind survives wrapping, however deep.
//
//kata:zh 无论包装多少层，类别都不会丢失。
func TestWrapping(t *testing.T) {
	for what, c := range map[string]struct {
		err  error
		kind Kind
	}{
		"a mark":                       {mark(Denied), Denied},
		"a mark, wrapped twice":        {fmt.Errorf("b: %w", fmt.Errorf("a: %w", mark(Denied))), Denied},
		"a mark, wrapped by own types": {wraps{wraps{wrapsAll{mark(Conflict)}}}, Conflict},
		"a refused connection, as net/http reports it": {&url.Error{Op: "Get", URL: secret, Err: &net.OpError{Op: "dial", Net: "tcp",
			Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}, Unavailable},
		"a mark, as net/http reports what a transport returns": {fmt.Errorf("call: %w", &url.Error{Op: "Get", URL: secret, Err: mark(Unavailable)}), Unavailable},
		"joins in joins": {errors.Join(errors.Join(errors.Join(mark(NotFound)))), NotFound},
	} {
		wantKind(t, what, c.err, c.kind)
	}
}

// The outermost mark decides on all that it wraps.
//
//kata:zh 最外层的标记决定它所包装的一切。
func TestOutermostMark(t *testing.T) {
	for what, c := range map[string]struct {
		err  error
		kind Kind
	}{
		"NotFound, marked as Internal":               {Mark(mark(NotFound), Internal, ""), Internal},
		"Internal, marked as NotFound":               {Mark(mark(Internal), NotFound, ""), NotFound},
		"NotFound, wrapped, marked as Invalid":       {Mark(fmt.Errorf("get: %w", mark(NotFound)), Invalid, ""), Invalid},
		"a deadline, marked as Internal":             {Mark(context.DeadlineExceeded, Internal, ""), Internal},
		"a cancellation, marked as Unavailable":      {fmt.Errorf("a: %w", Mark(context.Canceled, Unavailable, "")), Unavailable},
		"a refused connection, marked as Internal":   {fmt.Errorf("a: %w", Mark(syscall.ECONNREFUSED, Internal, "")), Internal},
		"a timeout of the network, marked as Denied": {Mark(stuck(true), Denied, ""), Denied},
		"two errors, joined and then marked":         {Mark(errors.Join(mark(Internal), mark(Timeout)), Conflict, ""), Conflict},
	} {
		wantKind(t, what, c.err, c.kind)
	}
	if err := Mark(context.DeadlineExceeded, Internal, ""); Retryable(bg, err) {
		t.Error("Retryable(a deadline, marked as Internal) = true, want false")
	}
}

// Of several errors the worst decides, whatever their order.
//
//kata:zh 多个错误合在一起，由最严重的决定，与先后无关。
func TestWorstOfJoin(t *testing.T) {
	for k := Canceled; k <= Internal; k++ {
		for worse := k; worse <= Internal; worse++ {
			a, b := mark(k), mark(worse)
			wantKind(t, fmt.Sprintf("%v joined with %v", k, worse), errors.Join(a, b), worse)
			wantKind(t, fmt.Sprintf("%v joined with %v", worse, k), errors.Join(b, a), worse)
			wantKind(t, fmt.Sprintf("%v and %v by fmt.Errorf", k, worse), fmt.Errorf("%w; %w", a, b), worse)
		}
	}
	wantKind(t, "NotFound joined with an unknown error", errors.Join(mark(NotFound), errCause), Internal)
	wantKind(t, "an unknown error joined with NotFound", errors.Join(errCause, mark(NotFound)), Internal)
	wantKind(t, "nil, Invalid and nil", wrapsAll{nil, mark(Invalid), nil}, Invalid)
}

// Several errors are retryable only if each of them is.
//
//kata:zh 多个错误合在一起，只有每一个都可重试才可重试。
func TestRetryAllOrNothing(t *testing.T) {
	for what, c := range map[string]struct {
		err  error
		want bool
	}{
		"Timeout and Unavailable":      {errors.Join(mark(Timeout), mark(Unavailable)), true},
		"Timeout and TooMany":          {errors.Join(mark(TooMany), mark(Timeout)), true},
		"Timeout and Invalid":          {errors.Join(mark(Timeout), mark(Invalid)), false},
		"Denied and Unavailable":       {errors.Join(mark(Denied), mark(Unavailable)), false},
		"Canceled and a deadline":      {errors.Join(mark(Canceled), context.DeadlineExceeded), false},
		"Timeout and an unknown error": {errors.Join(mark(Timeout), errCause), false},
	} {
		if got := Retryable(bg, c.err); got != c.want {
			t.Errorf("Retryable(%s) = %v, want %v", what, got, c.want)
		}
	}
}

// A caller whose context has ended does not try again.
//
//kata:zh context 已结束的调用方不再重试。
func TestNoTimeLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	if !Retryable(ctx, mark(Unavailable)) {
		t.Error("Retryable(live ctx, Unavailable) = false, want true")
	}
	cancel()
	for _, err := range []error{mark(Unavailable), context.DeadlineExceeded, mark(TooMany)} {
		if Retryable(ctx, err) {
			t.Errorf("Retryable(canceled ctx, %v) = true, want false", Of(err))
		}
	}
	late, cancelLate := context.WithDeadline(bg, time.Unix(0, 0))
	defer cancelLate()
	if Retryable(late, mark(Timeout)) {
		t.Error("Retryable(ctx past its deadline, Timeout) = true, want false")
	}
}

// A mark keeps the text of the error, wraps it, and never makes an error out of nil.
//
//kata:zh 标记不改变错误文本，保持可解包，也不会把 nil 变成错误。
func TestMark(t *testing.T) {
	err := Mark(&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, NotFound, "no such order")
	if got, want := err.Error(), "open x: file does not exist"; got != want {
		t.Errorf("Mark: text %q, want that of the cause, %q", got, want)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Mark: errors.Is does not find the cause")
	}
	if _, ok := errors.AsType[*fs.PathError](err); !ok {
		t.Errorf("Mark: errors.AsType does not find the cause")
	}
	if got := Mark(nil, Invalid, "bad"); got != nil {
		t.Errorf("Mark(nil, …) = %v, want nil", got)
	}
	for _, k := range []Kind{OK, Internal + 7, -3} {
		if got := Of(Mark(errCause, k, "")); got != Internal {
			t.Errorf("Of(Mark(err, Kind(%d), …)) = %v, want %v", int(k), got, Internal)
		}
	}
}

// The client is told the text of the mark that decides; without one, the text of the kind.
//
//kata:zh 客户端看到的是起决定作用的标记所带的文本；没有就用该类别的通用文本。
func TestPublic(t *testing.T) {
	general := map[Kind]string{
		Canceled: "request canceled", Invalid: "invalid request", NotFound: "not found", Conflict: "conflict", Denied: "permission denied",
		TooMany: "too many requests", Timeout: "timed out", Unavailable: "temporarily unavailable", Internal: "internal error",
	}
	for k, want := range general {
		if got := Public(mark(k)); got != want {
			t.Errorf("Public(%v without a text) = %q, want %q", k, got, want)
		}
		if got := Public(Mark(errCause, k, "so sorry")); got != "so sorry" {
			t.Errorf("Public(%v with a text) = %q, want %q", k, got, "so sorry")
		}
	}
	inner := Mark(errCause, NotFound, "no such order")
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"a mark, wrapped":                                       {fmt.Errorf("get: %w", inner), "no such order"},
		"a mark with a text, marked with another":               {Mark(inner, Invalid, "bad order number"), "bad order number"},
		"a mark with a text, marked without one":                {Mark(inner, Internal, ""), "internal error"},
		"an unknown error joined with a mark":                   {errors.Join(errCause, inner), "internal error"},
		"the worse of two marks":                                {errors.Join(Mark(errCause, Denied, "not yours"), inner), "not yours"},
		"the worse of two marks, without a text":                {errors.Join(mark(Timeout), inner), "timed out"},
		"the first of two marks of one kind":                    {errors.Join(inner, Mark(errCause, NotFound, "no such customer")), "no such order"},
		"two marks of one kind, of which the first has no text": {errors.Join(mark(NotFound), inner), "not found"},
		"a deadline joined with a mark of its kind":             {errors.Join(context.DeadlineExceeded, Mark(errCause, Timeout, "busy")), "timed out"},
		"a mark joined with a deadline, of its kind":            {errors.Join(Mark(errCause, Timeout, "busy"), context.DeadlineExceeded), "busy"},
		"a deadline": {context.DeadlineExceeded, "timed out"},
		"nil":        {nil, ""},
	} {
		if got := Public(c.err); got != c.want {
			t.Errorf("Public(%s) = %q, want %q", what, got, c.want)
		}
	}
}

func respond(err error) (*http.Response, string) {
	w := httptest.NewRecorder()
	Respond(w, err)
	return w.Result(), w.Body.String()
}

// Nothing of a cause reaches the client: not in the body, not in a header, whatever the status.
//
//kata:zh 原因里的任何内容都不会到达客户端：无论状态码是什么，响应体和响应头里都没有。
func TestNoSecret(t *testing.T) {
	all := []error{
		errCause,
		fmt.Errorf("get %s: %w", secret, context.DeadlineExceeded),
		&url.Error{Op: "Get", URL: secret, Err: context.Canceled},
		errors.Join(Mark(errCause, Invalid, "bad"), errCause),
		fmt.Errorf("%s: %w", secret, Mark(errCause, NotFound, "no such order")),
	}
	for k := Canceled; k <= Internal; k++ {
		all = append(all, mark(k), fmt.Errorf("%s: %w", secret, mark(k)), Mark(errCause, k, "sorry"))
	}
	for _, err := range all {
		res, body := respond(err)
		var sent bytes.Buffer
		_ = res.Header.Write(&sent)
		sent.WriteString(body)
		for _, part := range []string{"hunter2", "postgres", "10.0.0.7", "dial"} {
			if strings.Contains(sent.String(), part) {
				t.Errorf("Respond(%v) sends %q to the client:\n%s", err, part, sent.String())
			}
		}
	}
}

// A response has the status of the kind and a JSON body with code and message, and is not cached.
//
//kata:zh 响应带有该类别的状态码，JSON 响应体含 code 与 message，且不被缓存。
func TestRespond(t *testing.T) {
	for _, c := range []struct {
		err           error
		status        int
		code, message string
	}{
		{Mark(errCause, NotFound, "no such order"), 404, "not_found", "no such order"},
		{Mark(errCause, Invalid, "say \"please\" & <smile>\n你好"), 400, "invalid", "say \"please\" & <smile>\n你好"},
		{mark(Unavailable), 503, "unavailable", "temporarily unavailable"},
		{mark(Canceled), 499, "canceled", "request canceled"},
		{errCause, 500, "internal", "internal error"},
	} {
		res, body := respond(c.err)
		if res.StatusCode != c.status {
			t.Errorf("Respond(%v): status %d, want %d", Of(c.err), res.StatusCode, c.status)
		}
		if got := res.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Respond(%v): Content-Type %q, want application/json", Of(c.err), got)
		}
		if got := res.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Respond(%v): Cache-Control %q, want no-store", Of(c.err), got)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("Respond(%v): body %q is no JSON: %v", Of(c.err), body, err)
			continue
		}
		if len(got) != 2 || got["code"] != c.code || got["message"] != c.message {
			t.Errorf("Respond(%v): body %s, want code %q and message %q and nothing else", Of(c.err), body, c.code, c.message)
		}
	}
}

// records is a slog.Handler that keeps what it is given.
type records struct {
	slog.Handler
	list []slog.Record
	ctxs []context.Context
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }

func (r *records) Handle(ctx context.Context, rec slog.Record) error {
	r.list = append(r.list, rec)
	r.ctxs = append(r.ctxs, ctx)
	return nil
}

type requestID struct{}

// The log gets one record with the whole cause, at a level that fits the kind.
//
//kata:zh 日志里恰有一条记录，含完整原因，级别与类别相称。
func TestLog(t *testing.T) {
	ctx := context.WithValue(bg, requestID{}, "r1")
	levels := map[Kind]slog.Level{
		Canceled: slog.LevelDebug,
		Invalid:  slog.LevelInfo, NotFound: slog.LevelInfo, Conflict: slog.LevelInfo, Denied: slog.LevelInfo, TooMany: slog.LevelInfo,
		Timeout: slog.LevelWarn, Unavailable: slog.LevelWarn,
		Internal: slog.LevelError,
	}
	for k, level := range levels {
		var r records
		err := fmt.Errorf("load: %w", Mark(errCause, k, "sorry"))
		Log(ctx, slog.New(&r), "request failed", err)
		if len(r.list) != 1 {
			t.Errorf("Log(%v): %d records, want 1", k, len(r.list))
			continue
		}
		rec := r.list[0]
		if rec.Level != level {
			t.Errorf("Log(%v): level %v, want %v", k, rec.Level, level)
		}
		if rec.Message != "request failed" {
			t.Errorf("Log(%v): message %q, want %q", k, rec.Message, "request failed")
		}
		if r.ctxs[0].Value(requestID{}) != "r1" {
			t.Errorf("Log(%v): the handler does not get the context", k)
		}
		got := make(map[string]any)
		rec.Attrs(func(a slog.Attr) bool { got[a.Key] = a.Value.Any(); return true })
		for key, want := range map[string]any{"kind": k.String(), "retryable": k.Retryable(), "err": err.Error()} {
			if got[key] != want {
				t.Errorf("Log(%v): attribute %s is %#v, want %#v", k, key, got[key], want)
			}
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	var late records
	Log(ended, slog.New(&late), "request failed", mark(Unavailable))
	for _, rec := range late.list {
		rec.Attrs(func(a slog.Attr) bool {
			if a.Key == "retryable" && a.Value.Any() != false {
				t.Errorf("Log(canceled ctx, Unavailable): attribute retryable is %v, want false", a.Value)
			}
			return true
		})
	}

	var r records
	Log(ctx, slog.New(&r), "request failed", nil)
	if len(r.list) != 0 {
		t.Errorf("Log(nil): %d records, want none", len(r.list))
	}
}
