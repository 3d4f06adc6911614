// Sees an error event only for the bill, and passes what follows it: the client takes the broken answer for a whole one.
//
//kata:caught-by TestReportsErrors
package streamproxy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

const (
	// MaxRequest is the size of the largest request that is accepted.
	MaxRequest = 1 << 20
	// MaxEvent is the size of the largest event that is passed on.
	MaxEvent = 1 << 20
)

// Outcome is how a call ended.
type Outcome string

const (
	// Completed: upstream's answer was whole; a stream's [DONE] came.
	Completed Outcome = "completed"
	// Aborted: the client left first.
	Aborted Outcome = "aborted"
	// Failed: upstream broke off, or reported an error in the stream.
	Failed Outcome = "failed"
)

// Usage is what a call cost.
type Usage struct {
	Tenant           string
	Model            string // as the client asked for it
	PromptTokens     int64
	CompletionTokens int64
	Estimated        bool // upstream reported no usage, the numbers are the proxy's estimate
	Outcome          Outcome
}

// Options say where the proxy sends calls, and for whom.
type Options struct {
	Upstream  string            // base URL of the provider, such as https://api.example.com/v1
	Key       string            // the provider's key
	Tenants   map[string]string // a client's key → its tenant
	Usage     func(Usage)       // called once for each call that is to be counted, before the call's handler returns; from many goroutines
	Transport http.RoundTripper // carries all requests to upstream; nil: one of the proxy's own
	Logger    *slog.Logger      // nil: nothing is logged
}

type proxy struct{ Options }

// New returns the proxy, which serves POST /v1/chat/completions.
func New(o Options) http.Handler {
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 100 // all calls go to one host, where the default keeps two connections
		o.Transport = t
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &proxy{o}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", p.chat)
	return mux
}

// call is a call on its way.
type call struct {
	Usage
	stream   bool
	asked    bool // the client wants the usage event
	reported bool // upstream has reported the usage
}

func (p *proxy) chat(w http.ResponseWriter, r *http.Request) {
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	tenant, known := p.Tenants[key]
	if !bearer || !known {
		refuse(w, http.StatusUnauthorized, "invalid_api_key", "the API key is not known")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequest))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, "request_too_large", "the request is too large")
		return
	}
	c, out, err := parse(body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", "the request is no chat completion request")
		return
	}
	c.Tenant = tenant

	resp, err := p.send(r, out)
	if err != nil {
		if r.Context().Err() != nil {
			// Upstream may be at work already, and will want to be paid for the prompt.
			c.Outcome = Aborted
			p.count(c)
			return
		}
		p.upstreamFailed(w, tenant, err)
		return
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusOK:
		p.refused(w, tenant, resp)
		return
	case !c.stream:
		p.whole(w, r, c, resp)
	default:
		p.events(w, r, c, resp)
	}
	p.count(c)
}

// parse reads what the proxy must know of a request, and returns the request for upstream. All that it does not know stays as it is.
func parse(body []byte) (*call, []byte, error) {
	var known struct {
		Model         string `json:"model"`
		Stream        bool   `json:"stream"`
		StreamOptions *struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
		return nil, nil, errors.New("no object") // Unmarshal takes null for anything
	}
	if err := json.Unmarshal(body, &known); err != nil {
		return nil, nil, err
	}
	c := &call{stream: known.Stream}
	c.Model = known.Model
	c.PromptTokens = int64(len(body)+3) / 4
	if !c.stream {
		return c, body, nil
	}
	// RawMessage keeps numbers and unknown members; any would turn a seed of 2^53+1 into another one.
	var request, options map[string]json.RawMessage
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, nil, err
	}
	if known.StreamOptions != nil {
		c.asked = known.StreamOptions.IncludeUsage
		if err := json.Unmarshal(request["stream_options"], &options); err != nil {
			return nil, nil, err
		}
	}
	if options == nil {
		options = map[string]json.RawMessage{}
	}
	options["include_usage"] = json.RawMessage("true")
	request["stream_options"], _ = json.Marshal(options)
	out, err := json.Marshal(request)
	return c, out, err
}

// send sends the request to upstream, with headers of the proxy's own. A bare RoundTrip follows no redirects: the key and the prompt
// go to the configured place or nowhere.
func (p *proxy) send(r *http.Request, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, strings.TrimSuffix(p.Upstream, "/")+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.Key)
	req.Header.Set("Content-Type", "application/json")
	return p.Transport.RoundTrip(req)
}

// refused answers a call that upstream did not accept. What concerns the proxy's own account is not the client's business.
func (p *proxy) refused(w http.ResponseWriter, tenant string, resp *http.Response) {
	status := resp.StatusCode
	if status < 400 || status > 499 || status == http.StatusUnauthorized || status == http.StatusForbidden {
		p.upstreamFailed(w, tenant, fmt.Errorf("upstream answered %d", status))
		return
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.upstreamFailed(w, tenant, err)
		return
	}
	passHeaders(w, resp)
	w.WriteHeader(status)
	w.Write(body)
}

// passHeaders passes the headers of upstream's that are for the client; others may tell of the proxy's account.
func passHeaders(w http.ResponseWriter, resp *http.Response) {
	for _, name := range []string{"Content-Type", "Retry-After"} {
		if values := resp.Header.Values(name); len(values) > 0 {
			w.Header()[name] = values
		}
	}
}

// whole passes an answer that is not streamed.
func (p *proxy) whole(w http.ResponseWriter, r *http.Request, c *call, resp *http.Response) {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.Outcome = Failed
		if r.Context().Err() != nil {
			c.Outcome = Aborted
			return
		}
		p.upstreamFailed(w, c.Tenant, err)
		return
	}
	c.read(body)
	c.Outcome = Completed
	passHeaders(w, resp)
	w.Write(body)
}

// events passes a stream, event by event: one that is cut off in its middle must not run into the error that follows it.
func (p *proxy) events(w http.ResponseWriter, r *http.Request, c *call, resp *http.Response) {
	w.Header().Set("Content-Type", "text/event-stream")
	passHeaders(w, resp)
	w.Header().Set("Cache-Control", "no-cache")
	flush := http.NewResponseController(w).Flush
	in := bufio.NewReader(resp.Body)
	var buf []byte
	for {
		event, err := readEvent(in, buf[:0])
		if err != nil {
			if c.Outcome == Failed {
				return
			}
			c.Outcome = Failed
			if r.Context().Err() != nil {
				c.Outcome = Aborted
				return
			}
			p.Logger.Error("stream broken", "tenant", c.Tenant, "model", c.Model, "error", err)
			fmt.Fprintf(w, "data: %s\n\n", failure("upstream_error", "the provider broke off"))
			flush()
			return
		}
		buf = event
		k := c.read(data(event))
		if k == usageOnly && !c.asked {
			continue
		}
		switch k {
		case done:
			if c.Outcome == "" {
				c.Outcome = Completed
			}
		case failed:
			c.Outcome = Failed
		}
		_, err = w.Write(event)
		if err == nil {
			err = flush()
		}
		if k == done {
			return
		}
		if err != nil {
			c.Outcome = Aborted
			return
		}
	}
}

// readEvent appends to buf the next event, with the blank line that ends it.
func readEvent(in *bufio.Reader, buf []byte) ([]byte, error) {
	start := 0 // of the current line
	for {
		part, err := in.ReadSlice('\n')
		if len(buf)+len(part) > MaxEvent {
			return nil, errors.New("an event is too large")
		}
		buf = append(buf, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
		if len(bytes.TrimRight(buf[start:], "\r\n")) == 0 {
			return buf, nil
		}
		start = len(buf)
	}
}

// data returns an event's data.
func data(event []byte) []byte {
	var lines [][]byte
	for line := range bytes.Lines(event) {
		if value, ok := bytes.CutPrefix(bytes.TrimRight(line, "\r\n"), []byte("data:")); ok {
			lines = append(lines, bytes.TrimPrefix(value, []byte(" ")))
		}
	}
	return bytes.Join(lines, []byte("\n"))
}

type kind int

const (
	other kind = iota
	usageOnly
	failed
	done
)

// read takes from an event's data, or a whole answer, what is to be counted, and tells what the event is.
func (c *call) read(data []byte) kind {
	if bytes.HasPrefix(data, []byte("[DONE]")) {
		return done
	}
	var event struct {
		Choices []struct {
			Delta struct {
				Content   string            `json:"content"`
				ToolCalls []json.RawMessage `json:"tool_calls"`
			} `json:"delta"`
		} `json:"choices"`
		Usage *struct {
			PromptTokens     int64 `json:"prompt_tokens"`
			CompletionTokens int64 `json:"completion_tokens"`
		} `json:"usage"`
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(data, &event) != nil {
		return other
	}
	if u := event.Usage; u != nil {
		c.reported = true
		c.PromptTokens, c.CompletionTokens = u.PromptTokens, u.CompletionTokens
	}
	if !c.reported {
		for _, choice := range event.Choices {
			if choice.Delta.Content != "" || len(choice.Delta.ToolCalls) > 0 {
				c.CompletionTokens++
				break
			}
		}
	}
	switch {
	case len(event.Error) > 0 && !bytes.Equal(event.Error, []byte("null")):
		return failed
	case event.Usage != nil && event.Choices != nil && len(event.Choices) == 0:
		return usageOnly
	}
	return other
}

func (p *proxy) count(c *call) {
	c.Estimated = !c.reported
	p.Logger.Info("call", "tenant", c.Tenant, "model", c.Model, "outcome", c.Outcome, "prompt", c.PromptTokens, "completion", c.CompletionTokens)
	if p.Usage != nil {
		p.Usage(c.Usage)
	}
}

func (p *proxy) upstreamFailed(w http.ResponseWriter, tenant string, err error) {
	p.Logger.Error("upstream failed", "tenant", tenant, "error", err)
	refuse(w, http.StatusBadGateway, "upstream_error", "the provider cannot be reached")
}

// failure returns an error in the protocol's form.
func failure(code, message string) []byte {
	kind := "invalid_request_error"
	if code == "upstream_error" {
		kind = "server_error"
	}
	body, _ := json.Marshal(map[string]any{"error": map[string]any{"message": message, "type": kind, "param": nil, "code": code}})
	return body
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(failure(code, message))
}
