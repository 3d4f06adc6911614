// A streaming proxy for OpenAI's protocol, judged with the official client.
//
//kata:level 3
//kata:minutes 120
//kata:engine simulated OpenAI upstream, real openai-go client
package streamproxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"github.com/roadkata/roadkata/stage4/ai/streamproxy"
)

const (
	providerKey = "sk-provider-3f9a77c1"
	shopKey     = "key-of-shop-81c5"
	bankKey     = "key-of-bank-20aa"

	// patience is how long the suite waits for what comes at once.
	patience = 3 * time.Second
)

// Events reach the client one by one, as upstream sends them.
//
//kata:zh 事件随到随转：上游每发一个，客户端就收到一个。
func TestPassesTokensAsTheyCome(t *testing.T) {
	seen := make(chan struct{})
	w := start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			u.send(rw, delta(fmt.Sprint("token", i)))
			u.wait(r, seen)
		}
		u.send(rw, event("[DONE]"))
	})
	stream := w.stream(context.Background(), shopKey)
	for i := range 3 {
		if !next(t, stream, "upstream has sent an event and waits") {
			t.Fatalf("the stream ended before event %d: %v", i, stream.Err())
		}
		if got, want := text(stream), fmt.Sprint("token", i); got != want {
			t.Fatalf("event %d has the content %q, want %q", i, got, want)
		}
		seen <- struct{}{}
	}
	if next(t, stream, "upstream has sent [DONE]") || stream.Err() != nil {
		t.Fatalf("after [DONE] the client's stream has %q, %v, want its end", text(stream), stream.Err())
	}
}

// When the client leaves, the request to upstream is cancelled at once, before the answer has begun and in the middle of it.
//
//kata:zh 客户端一离开，上游请求立即取消，无论回答尚未开始还是进行到一半。
func TestStopsUpstreamWhenClientLeaves(t *testing.T) {
	came, left := make(chan struct{}), make(chan struct{})
	w := start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) {
		close(came)
		select {
		case <-r.Context().Done():
			close(left)
		case <-u.over:
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { w.call(ctx, shopKey).Next() }()
	within(t, came, "a call, and upstream was not asked")
	cancel()
	within(t, left, "the client left before upstream has answered, and upstream's request is not cancelled")

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := &memory{text: []byte(delta("x") + delta("y"))}
		defer m.stop()
		m.open(ctx, shopKey, &sink{})
		cancel()
		synctest.Wait()
		if len(m.feeds) != 1 || m.feeds[0].ctx.Err() == nil && !m.feeds[0].closed.Load() {
			t.Error("the client left while upstream is silent after 2 events; upstream's request is neither cancelled nor its body closed")
		}
		if m.running.Load() != 0 {
			t.Error("the client left while upstream is silent after 2 events; the handler has not returned")
		}
	})
}

// A call that upstream refuses, and a stream that it breaks off, are reported to the client in OpenAI's form, and nothing of what is broken gets through.
//
//kata:zh 上游拒绝请求或中途断流，都按 OpenAI 的格式告知客户端，残缺内容不会透出。
func TestReportsErrors(t *testing.T) {
	for _, tc := range []struct {
		status, want int
		code         string
	}{{429, 429, "rate_limit_exceeded"}, {400, 400, "rate_limit_exceeded"}, {500, 502, "upstream_error"}, {503, 502, "upstream_error"}, {401, 502, "upstream_error"}, {403, 502, "upstream_error"}, {201, 502, "upstream_error"}} {
		w := start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			rw.Header().Set("Retry-After", "7")
			rw.WriteHeader(tc.status)
			fmt.Fprint(rw, `{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}`)
		})
		stream := w.stream(context.Background(), shopKey)
		next(t, stream, "upstream has refused the call")
		var refused *openai.Error
		if !errors.As(stream.Err(), &refused) || refused.StatusCode != tc.want || refused.Code != tc.code {
			t.Errorf("upstream answers %d: the client gets %s, want %d with the code %q", tc.status, describe(stream.Err()), tc.want, tc.code)
		} else if wait := refused.Response.Header.Get("Retry-After"); tc.want == 429 && wait != "7" {
			t.Errorf("upstream answers 429 with Retry-After 7: the client gets Retry-After %q", wait)
		}
	}

	reason := "not here: " + strings.Repeat("x", 2<<20)
	w := start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/x-reason")
		rw.WriteHeader(418)
		fmt.Fprint(rw, reason)
	})
	if got, headers := w.raw(shopKey, streamed); w.status != 418 || headers.Get("Content-Type") != "text/x-reason" || got != reason {
		t.Errorf("upstream answers 418 with %d bytes of text/x-reason: the client gets %d with %d bytes of %s", len(reason), w.status, len(got), headers.Get("Content-Type"))
	}

	w = start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) { u.send(rw, event("[DONE]")) })
	full := `{"stream":false,"pad":"` + strings.Repeat("x", streamproxy.MaxRequest-25) + `"}`
	for _, body := range []string{``, `null`, `[]`, `{"model":"m"`, `{"model":"m"} {}`, full + " "} {
		got, _ := w.raw(shopKey, body)
		var refusal struct {
			Error struct{ Message, Type string }
		}
		want := http.StatusBadRequest
		if len(body) > streamproxy.MaxRequest {
			want = http.StatusRequestEntityTooLarge
		}
		if w.status != want {
			t.Errorf("POST %s (%d bytes): the client gets %d, want %d", excerpt(body), len(body), w.status, want)
		}
		if json.Unmarshal([]byte(got), &refusal) != nil || refusal.Error.Message == "" || refusal.Error.Type == "" || w.upstream.last() != "" {
			t.Errorf("POST %s: the client gets %s, and upstream %q, want a refusal with message and type for the client, and nothing for upstream", excerpt(body), excerpt(got), excerpt(w.upstream.last()))
		}
	}

	if w.raw(shopKey, full); w.status != http.StatusOK || w.upstream.last() != full {
		t.Errorf("POST of %d bytes, which is MaxRequest: the client gets %d, and upstream %d bytes, want 200 and all", len(full), w.status, len(w.upstream.last()))
	}
	w.raw(shopKey, streamed, "Authorization", shopKey)
	if w.status != http.StatusUnauthorized {
		t.Errorf("a call with Authorization %q: the client gets %d, want 401, as the scheme is Bearer", shopKey, w.status)
	}

	w = start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", "1000")
		u.send(rw, `{"choices":[{"message":{"content":"half`)
		panic(http.ErrAbortHandler)
	})
	if got, err := w.ask(shopKey, `{"model":"m"}`); err == nil && (w.status != http.StatusBadGateway || !strings.Contains(got, `"upstream_error"`)) {
		t.Errorf("upstream breaks off an answer that is not streamed: the client reads %d %s, to its end; want 502 with the code \"upstream_error\", or an answer that breaks off", w.status, excerpt(got))
	}

	unreachable := start(t, nil)
	unreachable.upstream.srv.Close()
	stream := unreachable.stream(context.Background(), shopKey)
	next(t, stream, "upstream is down")
	if refused := (*openai.Error)(nil); !errors.As(stream.Err(), &refused) || refused.StatusCode != 502 || refused.Code != "upstream_error" {
		t.Errorf("upstream is down: the client gets %s, want 502 with the code \"upstream_error\"", describe(stream.Err()))
	}
	stream = unreachable.stream(context.Background(), "some-other-key")
	next(t, stream, "the key is unknown")
	if refused := (*openai.Error)(nil); !errors.As(stream.Err(), &refused) || refused.StatusCode != 401 || refused.Code != "invalid_api_key" {
		t.Errorf("a call with an unknown key: the client gets %s, want 401 with the code \"invalid_api_key\"", describe(stream.Err()))
	}

	for _, tc := range []struct {
		name, rest string
		reset      bool
		code       string
	}{
		{"resets the connection", "", true, "upstream_error"},
		{"ends the stream without [DONE]", "", false, "upstream_error"},
		{"ends the stream inside an event", `data: {"choices":[{"index":0,"delta":{"content":"ha`, false, "upstream_error"},
		{"ends the stream between an event's lines", delta("half")[:len(delta("half"))-1], false, "upstream_error"},
		{"sends an event of more than MaxEvent", event(`{"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("x", streamproxy.MaxEvent) + `"}}]}`), false, "upstream_error"},
		{"sends lines of more than MaxEvent in one event", strings.Repeat(": "+strings.Repeat("x", 1021)+"\n", 1025) + "\n", false, "upstream_error"},
		{"reports an error and goes on", event(`{"error":{"message":"overloaded","type":"server_error","param":null,"code":"overloaded"}}`) + delta("late") + event("[DONE]"), false, "overloaded"},
	} {
		w := start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) {
			u.send(rw, delta("one"))
			u.send(rw, tc.rest)
			if tc.reset {
				panic(http.ErrAbortHandler)
			}
		})
		stream := w.stream(context.Background(), shopKey)
		if !next(t, stream, "upstream has sent an event") || text(stream) != "one" {
			t.Fatalf("upstream sends an event and then %s: the client's first event has %q, %v, want \"one\"", tc.name, text(stream), stream.Err())
		}
		if next(t, stream, "upstream "+tc.name) {
			t.Errorf("upstream sends an event and then %s: the client gets another event, %q, want the error", tc.name, text(stream))
			continue
		}
		var broken *ssestream.StreamError
		var got struct {
			Error struct{ Code, Message, Type string }
		}
		if errors.As(stream.Err(), &broken) {
			json.Unmarshal(broken.Event.Data, &got)
		}
		if got.Error.Code != tc.code || got.Error.Message == "" || got.Error.Type == "" {
			t.Errorf("upstream sends an event and then %s: the client's stream ends with %v, want an error event with message, type and the code %q", tc.name, stream.Err(), tc.code)
		}
		if raw, _ := w.raw(shopKey, streamed); strings.Contains(raw, "[DONE]") || strings.Contains(raw, "late") || strings.Count(raw, `"error"`) != 1 || len(raw) > 4<<10 {
			t.Errorf("upstream sends an event and then %s: the client reads %d bytes, %s, want the first event and one error event, and neither [DONE] nor anything else after it", tc.name, len(raw), excerpt(raw))
		}
	}
}

// Upstream is asked for the usage, with all else of the request as the client wrote it; the client sees the usage event if it asked for it, and only then.
//
//kata:zh 总向上游索取用量，请求的其他内容原样不变；客户端要了用量才看得到用量事件。
func TestInjectsAndStripsUsage(t *testing.T) {
	const report = `{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":2,"total_tokens":13}}`
	filter := event(`{"choices":[],"prompt_filter_results":[]}`)
	last := event(`{"choices":[{"index":0,"delta":{"content":"last"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":2}}`)
	events := filter + delta("one") + last
	for _, tc := range []struct {
		body, want string
		asked      bool
	}{
		{
			`{"model":"m","stream":true,"messages":[{"role":"user","content":"a<b & c"}],"seed":9007199254740993,"temperature":0.10,"x_vendor":{"k":[1e400]}}`,
			`{"model":"m","stream":true,"messages":[{"role":"user","content":"a<b & c"}],"seed":9007199254740993,"temperature":0.10,"x_vendor":{"k":[1e400]},"stream_options":{"include_usage":true}}`, false,
		},
		{
			`{"model":"m","stream":true,"stream_options":{"include_usage":false,"include_obfuscation":false}}`,
			`{"model":"m","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}`, false,
		},
		{`{"model":"m","stream":true,"stream_options":null}`, `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`, false},
		{`{"model":"m","stream":true,"stream_options":{"include_usage":true}}`, `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`, true},
		{`{"model": "m", "stream": false, "n": 2.0 }`, `{"model":"m","stream":false,"n":2.0}`, true},
	} {
		w := start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) {
			u.send(rw, events+event(report)+event("[DONE]"))
		})
		got, _ := w.raw(shopKey, tc.body)
		if sent := w.upstream.last(); !reflect.DeepEqual(decode(sent), decode(tc.want)) {
			t.Errorf("the client sends %s\n    upstream gets %s\n    want          %s", tc.body, sent, tc.want)
		}
		if sent := w.upstream.last(); strings.Contains(tc.body, `"stream": false`) && sent != tc.body {
			t.Errorf("the client sends %s, without streaming\n    upstream gets %s, want just that", tc.body, sent)
		}
		want := events
		if tc.asked {
			want += event(report)
		}
		if want += event("[DONE]"); got != want {
			t.Errorf("the client sends %s\n    it reads %q\n    want     %q", tc.body, got, want)
		}
	}
}

// Each call is counted once, for its tenant, with upstream's numbers or an estimate, however it ends.
//
//kata:zh 每次调用无论怎样结束都只计一次，记在其租户名下，有上游数字用上游的，没有则估算。
func TestCountsEveryPath(t *testing.T) {
	usage := func(in, out int) string {
		return fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d}`, in, out)
	}
	tool := event(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}}]}`)
	role := event(`{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`)
	finish := event(`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}`)
	running := func(text string, out int) string {
		return event(fmt.Sprintf(`{"model":"m-2026-05-01","choices":[{"index":0,"delta":{"content":%q}}],%s}`, text, usage(20, out)))
	}
	prompt := int64(len(streamed)+3) / 4
	for _, tc := range []struct {
		name, key, body string
		sent            string
		leaves          bool // the client leaves when upstream has sent that
		want            streamproxy.Usage
	}{
		{"a whole stream with usage", shopKey, streamed, role + delta("a") + finish + event("{\"choices\":[],"+usage(20, 3)+"}") + event("[DONE]"), false,
			streamproxy.Usage{Tenant: "shop", PromptTokens: 20, CompletionTokens: 3, Outcome: streamproxy.Completed}},
		{"a whole stream without usage", bankKey, streamed, role + delta("a") + tool + delta("b") + finish + event("[DONE]"), false,
			streamproxy.Usage{Tenant: "bank", PromptTokens: prompt, CompletionTokens: 3, Estimated: true, Outcome: streamproxy.Completed}},
		{"a stream with usage in each event", shopKey, streamed, running("a", 1) + running("b", 2) + event("[DONE]"), false,
			streamproxy.Usage{Tenant: "shop", PromptTokens: 20, CompletionTokens: 2, Outcome: streamproxy.Completed}},
		{"a stream that is broken off", shopKey, streamed, delta("a") + delta("b"), false,
			streamproxy.Usage{Tenant: "shop", PromptTokens: prompt, CompletionTokens: 2, Estimated: true, Outcome: streamproxy.Failed}},
		{"a stream with an error event", shopKey, streamed, delta("a") + event(`{"error":{"message":"m"}}`) + event("[DONE]"), false,
			streamproxy.Usage{Tenant: "shop", PromptTokens: prompt, CompletionTokens: 1, Estimated: true, Outcome: streamproxy.Failed}},
		{"a client that leaves after 3 events", bankKey, streamed, role + delta("a") + delta("b"), true,
			streamproxy.Usage{Tenant: "bank", PromptTokens: prompt, CompletionTokens: 2, Estimated: true, Outcome: streamproxy.Aborted}},
		{"a client that leaves after usage was reported", shopKey, streamed, running("a", 7), true,
			streamproxy.Usage{Tenant: "shop", PromptTokens: 20, CompletionTokens: 7, Outcome: streamproxy.Aborted}},
		{"a client that leaves before the answer", shopKey, streamed, "", true,
			streamproxy.Usage{Tenant: "shop", PromptTokens: prompt, Estimated: true, Outcome: streamproxy.Aborted}},
		{"a stream that goes on after [DONE]", shopKey, streamed, delta("a") + event("[DONE]") + running("b", 9), false,
			streamproxy.Usage{Tenant: "shop", PromptTokens: prompt, CompletionTokens: 1, Estimated: true, Outcome: streamproxy.Completed}},
		{"a call without streaming", bankKey, `{"model":"m"}`, `{"choices":[{"message":{"content":"a b"}}],` + usage(5, 2) + "}", false,
			streamproxy.Usage{Tenant: "bank", PromptTokens: 5, CompletionTokens: 2, Outcome: streamproxy.Completed}},
	} {
		tc.want.Model = "m"
		if tc.leaves {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				m := &memory{text: []byte(tc.sent), counting: make(chan struct{})}
				defer m.stop()
				m.open(ctx, tc.key, &sink{})
				cancel()
				synctest.Wait()
				if m.running.Load() == 0 {
					t.Errorf("%s: the handler has returned, and Usage was not called or is still at work", tc.name)
				}
				close(m.counting)
				synctest.Wait()
				if len(m.used) != 1 || m.used[0] != tc.want {
					t.Errorf("%s is counted as\n         %+v\n    want [%+v]", tc.name, m.used, tc.want)
				}
			})
			continue
		}
		w := start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) { u.send(rw, tc.sent) })
		w.raw(tc.key, tc.body)
		w.proxy.Close() // waits for the handler
		select {
		case got := <-w.used:
			if got != tc.want {
				t.Errorf("%s is counted as\n         %+v\n    want %+v", tc.name, got, tc.want)
			}
		default:
			t.Errorf("%s is not counted, want %+v", tc.name, tc.want)
		}
		w.stop()
		if len(w.used) > 0 {
			t.Errorf("%s is counted again: %+v", tc.name, <-w.used)
		}
	}
	w := start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(429) })
	w.raw(shopKey, streamed)
	w.raw("some-other-key", streamed)
	w.stop()
	if len(w.used) > 0 {
		t.Errorf("a call that was refused is counted: %+v", <-w.used)
	}
}

// What the proxy does not know passes byte for byte: tool calls, new members, comments, however long the event.
//
//kata:zh 代理不认识的内容逐字节透传：工具调用、新字段、注释，事件再长也一样。
func TestPassesEventsUnchanged(t *testing.T) {
	arguments := strings.Repeat(`{\"path\": \"a<b\"} `, 12000)
	stream := ": processing\n\n" +
		"event: message\nid: 7\n" + event(`{"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"hm","content":null}}],"x_vendor":1.50}`) +
		event(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"read","arguments":""}}]}}]}`) +
		event(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"`+arguments+`"}}]}}]}`) +
		"data: {\"choices\":\ndata: []}\n\n" +
		"data:{\"choices\": []}\r\n\r\n" +
		": still here\n\n" +
		":" + strings.Repeat("x", streamproxy.MaxEvent-3) + "\n\n" + // as long as an event may be
		event(`{"usage":{"prompt_tokens":1,"completion_tokens":1},"x_vendor":"no choices at all"}`) +
		event(`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`) + event("[DONE]")
	w := start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) { u.send(rw, stream+delta("late")) })
	got, headers := w.raw(shopKey, streamed)
	if !strings.HasPrefix(headers.Get("Content-Type"), "text/event-stream") {
		t.Errorf("a stream has the Content-Type %q, want text/event-stream", headers.Get("Content-Type"))
	}
	if got != stream {
		i := 0
		for i < min(len(got), len(stream)) && got[i] == stream[i] {
			i++
		}
		t.Fatalf("upstream sends %d bytes, the client reads %d; from byte %d on it reads\n         %q\n    want %q", len(stream), len(got), i,
			excerpt(got[max(0, i-20):]), excerpt(stream[max(0, i-20):]))
	}
	calls := w.stream(context.Background(), shopKey)
	var all openai.ChatCompletionAccumulator
	for next(t, calls, "upstream has sent its events") {
		all.AddChunk(calls.Current())
	}
	if calls.Err() != nil || len(all.Choices) != 1 || len(all.Choices[0].Message.ToolCalls) != 1 {
		t.Fatalf("the client has put together %s, %v, want one tool call", excerpt(fmt.Sprint(all.Choices)), calls.Err())
	}
	if got, want := all.Choices[0].Message.ToolCalls[0].Function.Arguments, strings.ReplaceAll(arguments, `\"`, `"`); got != want {
		t.Fatalf("the client has put together arguments of %d bytes, want %d", len(got), len(want))
	}
}

// Neither the provider's key nor a tenant's is logged, and each goes only to where it belongs.
//
//kata:zh 供应商和租户的密钥都不进日志，也只到该到的地方。
func TestKeepsKeys(t *testing.T) {
	elsewhere := make(chan http.Header, 10)
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		elsewhere <- r.Header
		fmt.Fprint(rw, event("[DONE]"))
	}))
	defer other.Close()
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"streams", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, delta("a")+event("[DONE]")) }},
		{"breaks off", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, delta("a")) }},
		{"refuses the provider's key", func(rw http.ResponseWriter, r *http.Request) {
			rw.WriteHeader(401)
			fmt.Fprintf(rw, `{"error":{"message":"Incorrect API key provided: %s","code":"invalid_api_key"}}`, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		}},
		{"fails and echoes the request", func(rw http.ResponseWriter, r *http.Request) {
			rw.WriteHeader(500)
			fmt.Fprint(rw, r.Header)
		}},
		{"echoes the key in headers", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X-Debug", r.Header.Get("Authorization"))
			rw.Header().Set("Set-Cookie", "session=of-the-account")
			fmt.Fprint(rw, delta("a")+event("[DONE]"))
		}},
		{"redirects", func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, other.URL, http.StatusTemporaryRedirect)
		}},
	} {
		w := start(t, func(u *upstream, rw http.ResponseWriter, r *http.Request) { tc.answer(rw, r) })
		for _, body := range []string{streamed, `{"model":"m"}`} {
			got, headers := w.raw(shopKey, body, "Cookie", "session=of-the-shop", "Api-Key", shopKey, "Openai-Organization", "shop")
			if all := got + fmt.Sprint(headers); strings.Contains(all, providerKey) || headers.Get("Set-Cookie") != "" {
				t.Errorf("upstream %s: the client gets what belongs to the provider's account:\n    %s", tc.name, excerpt(all))
			}
			sent := w.upstream.header()
			if want := "Bearer " + providerKey; sent.Get("Authorization") != want || len(sent["Authorization"]) != 1 {
				t.Errorf("upstream gets Authorization %q, want %q", sent["Authorization"], want)
			}
			if all := fmt.Sprint(sent); strings.Contains(all, shopKey) || sent.Get("Cookie") != "" || sent.Get("Openai-Organization") != "" {
				t.Errorf("upstream gets what belongs to the client: %s", all)
			}
			if got, want := w.upstream.line(), "POST /v1/chat/completions application/json"; got != want {
				t.Errorf("upstream gets %s, want %s", got, want)
			}
		}
		w.raw(bankKey+"x", streamed)
		w.stop()
		for _, key := range []string{providerKey, shopKey, bankKey} {
			if log := w.log.String(); strings.Contains(log, key) {
				t.Errorf("upstream %s: the key %s is in the log:\n    %s", tc.name, key, excerpt(log))
			}
		}
		if len(elsewhere) > 0 {
			t.Errorf("upstream %s: the request was sent to another server, with %v", tc.name, <-elsewhere)
		}
	}
}

// A stream takes no more than 64 KiB of memory, be there a thousand of them, however long they are and however slowly the client reads.
//
//kata:zh 一千条流并存，每条也不超过 64 KiB 内存，不论流多长、客户端读得多慢。
func TestBoundedMemory(t *testing.T) {
	const limit = 64 << 10
	chunk := []byte(delta(strings.Repeat("x", 940)))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := &memory{text: bytes.Repeat(chunk, 4<<10)}
		defer m.stop()
		m.open(ctx, shopKey, &sink{block: ctx.Done()})
		if len(m.feeds) != 1 {
			t.Fatalf("a call made %d requests to upstream through Options.Transport, want 1", len(m.feeds))
		}
		if read := len(m.text) - len(m.feeds[0].rest); read > limit {
			t.Errorf("the client reads nothing, and %d bytes of its stream are read from upstream, want at most %d", read, limit)
		}
		cancel()
		synctest.Wait()
	})

	synctest.Test(t, func(t *testing.T) {
		const streams = 1000
		ctx, cancel := context.WithCancel(t.Context())
		m := &memory{text: bytes.Repeat(chunk, 96)}
		defer m.stop()
		sinks := make([]*sink, streams)
		for i := range sinks {
			sinks[i] = &sink{}
		}
		before := heap()
		m.open(ctx, shopKey, sinks...)
		after := heap()
		for _, s := range sinks {
			if s.got != len(m.text) {
				t.Fatalf("upstream sent %d bytes of a stream and waits; the client has got %d", len(m.text), s.got)
			}
		}
		if per := (after - before) / streams; per > limit {
			t.Errorf("%d open streams that have passed %d bytes each hold %d bytes of heap each, want at most %d", streams, len(m.text), per, limit)
		}
		cancel()
		synctest.Wait()
	})
}

// memory is a proxy whose upstream and clients are in memory, for use in a bubble: upstream sends text on each stream, and is silent then.
type memory struct {
	text     []byte
	over     chan struct{}
	counting chan struct{} // unless nil, Usage returns when it is closed

	mu      sync.Mutex
	feeds   []*feed
	used    []streamproxy.Usage
	running atomic.Int32
}

// open lets the proxy serve a stream for each sink, and waits until nothing moves any more.
func (m *memory) open(ctx context.Context, key string, sinks ...*sink) {
	m.over = make(chan struct{})
	h := streamproxy.New(streamproxy.Options{
		Upstream: "http://upstream.test/v1", Key: providerKey, Tenants: map[string]string{shopKey: "shop", bankKey: "bank"},
		Usage: func(u streamproxy.Usage) {
			if m.counting != nil {
				<-m.counting
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			m.used = append(m.used, u)
		},
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Body != nil {
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
			}
			f := &feed{ctx: r.Context(), rest: m.text, gone: make(chan struct{}), over: m.over}
			m.mu.Lock()
			m.feeds = append(m.feeds, f)
			m.mu.Unlock()
			if len(m.text) == 0 {
				<-f.ctx.Done()
				return nil, f.ctx.Err()
			}
			return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: f, ContentLength: -1, Request: r}, nil
		}),
	})
	for _, s := range sinks {
		m.running.Add(1)
		go func() {
			defer m.running.Add(-1)
			r := httptest.NewRequestWithContext(ctx, "POST", "/v1/chat/completions", strings.NewReader(streamed))
			r.Header.Set("Authorization", "Bearer "+key)
			s.header = http.Header{}
			h.ServeHTTP(s, r)
		}()
	}
	synctest.Wait()
}

// stop ends what the proxy has not ended, so that nothing is left in the bubble.
func (m *memory) stop() {
	if m.over != nil {
		close(m.over)
	}
	synctest.Wait()
}

// feed is upstream's side of a stream in memory: rest, then silence until the request is cancelled or its body closed.
type feed struct {
	ctx    context.Context
	rest   []byte
	gone   chan struct{}
	closed atomic.Bool
	over   chan struct{}
}

func (f *feed) Read(p []byte) (int, error) {
	if len(f.rest) > 0 {
		n := copy(p, f.rest[:min(len(f.rest), 1024)])
		f.rest = f.rest[n:]
		return n, nil
	}
	select {
	case <-f.ctx.Done():
		return 0, f.ctx.Err()
	case <-f.gone:
		return 0, http.ErrBodyReadAfterClose
	case <-f.over:
		return 0, io.ErrUnexpectedEOF
	}
}

func (f *feed) Close() error {
	if !f.closed.Swap(true) {
		close(f.gone)
	}
	return nil
}

// sink is a client that reads all, or, with block, nothing until that is closed.
type sink struct {
	header http.Header
	block  <-chan struct{}
	got    int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Flush()              {}
func (s *sink) Write(p []byte) (int, error) {
	if s.block != nil {
		<-s.block
		return 0, io.ErrClosedPipe
	}
	s.got += len(p)
	return len(p), nil
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what lies in a sync.Pool survives the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// streamed is a streaming request; the client's library sends its own.
const streamed = `{"messages":[{"content":"hi","role":"user"}],"model":"m","stream":true}`

// upstream is a provider whose answers a test chooses.
type upstream struct {
	srv  *httptest.Server
	over chan struct{} // closed when the test is over

	mu      sync.Mutex
	bodies  []string
	headers []http.Header
	lines   []string // method, path and type
}

// send sends a piece of the stream, at once.
func (u *upstream) send(rw http.ResponseWriter, piece string) {
	if rw.Header().Get("Content-Type") == "" {
		rw.Header().Set("Content-Type", "text/event-stream")
	}
	io.WriteString(rw, piece)
	http.NewResponseController(rw).Flush()
}

// wait waits for the test, or until the request is of no use any more.
func (u *upstream) wait(r *http.Request, c <-chan struct{}) {
	select {
	case <-c:
	case <-r.Context().Done():
	case <-u.over:
	}
}

func (u *upstream) last() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.bodies) == 0 {
		return ""
	}
	return u.bodies[len(u.bodies)-1]
}

func (u *upstream) header() http.Header {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.headers) == 0 {
		return http.Header{}
	}
	return u.headers[len(u.headers)-1]
}

func (u *upstream) line() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.lines) == 0 {
		return "no request"
	}
	return u.lines[len(u.lines)-1]
}

// world is a proxy with its upstream.
type world struct {
	t        *testing.T
	upstream *upstream
	proxy    *httptest.Server
	used     chan streamproxy.Usage
	log      *lockedBuffer
	stop     func()
	status   int         // of the last answer to raw or ask
	header   http.Header // of the last answer to raw or ask
}

// start starts a proxy before an upstream that answers calls with answer.
func start(t *testing.T, answer func(u *upstream, rw http.ResponseWriter, r *http.Request)) *world {
	t.Helper()
	u := &upstream{over: make(chan struct{})}
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	u.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.bodies, u.headers = append(u.bodies, string(body)), append(u.headers, r.Header)
		u.lines = append(u.lines, fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Header.Get("Content-Type")))
		u.mu.Unlock()
		answer(u, rw, r)
	}))
	u.srv.Config.ErrorLog = quiet
	u.srv.Start()
	transport := &http.Transport{}
	w := &world{t: t, upstream: u, used: make(chan streamproxy.Usage, 10), log: &lockedBuffer{}}
	h := streamproxy.New(streamproxy.Options{
		Upstream: u.srv.URL + "/v1", Key: providerKey, Tenants: map[string]string{shopKey: "shop", bankKey: "bank"},
		Usage: func(used streamproxy.Usage) { w.used <- used }, Transport: transport,
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	w.proxy = httptest.NewUnstartedServer(h)
	w.proxy.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(w.log, nil), slog.LevelError)
	w.proxy.Start()
	w.stop = sync.OnceFunc(func() {
		close(u.over)
		u.srv.CloseClientConnections()
		w.proxy.CloseClientConnections()
		w.proxy.Close()
		u.srv.Close()
		transport.CloseIdleConnections()
	})
	t.Cleanup(w.stop)
	return w
}

type chunks = *ssestream.Stream[openai.ChatCompletionChunk]

// stream calls the proxy with the official client; the answer must begin soon.
func (w *world) stream(ctx context.Context, key string) chunks {
	w.t.Helper()
	began := make(chan chunks, 1)
	go func() { began <- w.call(ctx, key) }()
	select {
	case stream := <-began:
		return stream
	case <-time.After(patience):
		w.t.Fatal("upstream has begun its answer, and nothing of it reaches the client")
		return nil
	}
}

func (w *world) call(ctx context.Context, key string) chunks {
	client := openai.NewClient(option.WithBaseURL(w.proxy.URL+"/v1"), option.WithAPIKey(key), option.WithMaxRetries(0), option.WithHTTPClient(w.proxy.Client()))
	return client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{
		Model:    "m",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hi")},
	})
}

// raw calls the proxy, and returns all that it answers.
func (w *world) raw(key, body string, headers ...string) (string, http.Header) {
	w.t.Helper()
	got, err := w.ask(key, body, headers...)
	if err != nil {
		w.t.Fatalf("POST %s: %v; read until then: %s", excerpt(body), err, excerpt(got))
	}
	return got, w.header
}

// ask calls the proxy for an answer that may break off.
func (w *world) ask(key, body string, headers ...string) (string, error) {
	w.t.Helper()
	w.status, w.header = 0, nil
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", w.proxy.URL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.proxy.Client().Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	w.status, w.header = resp.StatusCode, resp.Header
	got, err := io.ReadAll(resp.Body)
	return string(got), err
}

// next is stream.Next, which must return soon, as upstream has done what since says.
func next(t *testing.T, stream chunks, since string) bool {
	t.Helper()
	got := make(chan bool, 1)
	go func() { got <- stream.Next() }()
	select {
	case ok := <-got:
		return ok
	case <-time.After(patience):
		t.Fatalf("%s, and nothing of it reaches the client", since)
		return false
	}
}

func within(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal(what)
	}
}

func event(data string) string { return "data: " + data + "\n\n" }

func delta(text string) string {
	return event(`{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"` + text + `"}}]}`)
}

func text(stream chunks) string {
	if c := stream.Current(); len(c.Choices) > 0 {
		return c.Choices[0].Delta.Content
	}
	return ""
}

func describe(err error) string {
	if refused := (*openai.Error)(nil); errors.As(err, &refused) {
		return fmt.Sprintf("%d with the code %q", refused.StatusCode, refused.Code)
	}
	return fmt.Sprint("the error ", err)
}

func decode(text string) (v any) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	d.Decode(&v)
	return v
}

func excerpt(text string) string {
	if len(text) > 400 {
		text = text[:400] + "…"
	}
	return text
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
