// Leaves out every stack that was there before, so that a leak is seen only as long as it is new.
//
//kata:caught-by TestGrowth
package goroutineleak

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"
)

// Source asks one exchange for a price. It may ignore its context for a while, but it returns in the end.
type Source func(ctx context.Context) (float64, error)

// First asks all sources at the same time and returns the first price that comes. It waits for no other source, and ends the
// context that they were given. If all of them fail it returns an error that wraps each of theirs; if ctx ends first, the
// cause of ctx.
func First(ctx context.Context, sources ...Source) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the other answers are of no use any more

	type answer struct {
		price float64
		err   error
	}
	// There is room for every answer: whoever comes after First has returned finds nobody to take it. A send that gives way to
	// nobody listening would be no remedy, for First may just be busy with another answer.
	answers := make(chan answer, len(sources))
	for _, ask := range sources {
		go func() {
			price, err := ask(ctx)
			answers <- answer{price, err}
		}()
	}
	errs := []error{errors.New("goroutineleak: no source has a price")}
	for range sources {
		select {
		case a := <-answers:
			if a.err == nil {
				return a.price, nil
			}
			errs = append(errs, a.err)
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return 0, errors.Join(errs...)
}

// Feed subscribes to prices. It sends them until its context ends or it has no more, then closes the channel.
type Feed func(ctx context.Context) (<-chan float64, error)

// ErrFeedEnded says that a feed had no more prices.
var ErrFeedEnded = errors.New("goroutineleak: the feed has ended")

// Until returns the feed's first price for which reached is true. It returns the feed's error if there is no subscription, ErrFeedEnded
// if the feed has no more prices, and the cause of ctx if that ends. However Until ends, so does the subscription.
func Until(ctx context.Context, feed Feed, reached func(price float64) bool) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the caller's context may go on for days; deferred, it also covers a panic of reached
	prices, err := feed(ctx)
	if err != nil {
		return 0, err
	}
	for {
		select {
		case price, ok := <-prices:
			if !ok {
				return 0, ErrFeedEnded
			}
			if reached(price) {
				return price, nil
			}
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// ErrClosed says that a buffer takes no more prices.
var ErrClosed = errors.New("goroutineleak: closed")

// Buffer collects prices and sends them on, several at a time.
type Buffer struct {
	send    func(prices []float64)
	closing chan struct{} // closed by the first Close
	done    chan struct{} // closed when all is sent

	mu      sync.Mutex
	pending []float64
	closed  bool
}

// NewBuffer returns a buffer that gives send what was added: in order, no later than every after it was added, never nothing, and
// never in two calls at the same time.
func NewBuffer(every time.Duration, send func(prices []float64)) *Buffer {
	b := &Buffer{send: send, closing: make(chan struct{}), done: make(chan struct{})}
	go b.run(every)
	return b
}

// run is the only one who sends. Ranging over the ticker's channel would not do: Stop does not close it.
func (b *Buffer) run(every time.Duration) {
	defer close(b.done)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.flush()
		case <-b.closing:
			b.flush()
			return
		}
	}
}

func (b *Buffer) flush() {
	b.mu.Lock()
	prices := b.pending
	b.pending = nil
	b.mu.Unlock()
	if len(prices) > 0 {
		b.send(prices)
	}
}

// Add adds a price, or returns ErrClosed.
func (b *Buffer) Add(price float64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	b.pending = append(b.pending, price)
	return nil
}

// Close ends the buffer. It returns when send has returned for all that was added; also if it is called again.
func (b *Buffer) Close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.closing)
	}
	b.mu.Unlock()
	<-b.done
}

// MaxBody is how long a body Fetch reads.
const MaxBody = 1 << 20

// ErrTooLong says that a body is longer than MaxBody.
var ErrTooLong = errors.New("goroutineleak: the body is too long")

// StatusError is an answer with another status than 200.
type StatusError struct {
	Code int
	Text string // the first 256 bytes of the body, or all of it if it is shorter
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("goroutineleak: status %d: %s", e.Code, e.Text)
}

// Fetch returns the body of the answer to a GET, a *StatusError if the status is not 200, or ErrTooLong. After a body of up to
// MaxBody, whatever the status, the connection serves the next request; of a longer one Fetch does not read the rest.
func Fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	// A connection is used again only if its body was read to the end, whatever of it is wanted.
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if resp.StatusCode != http.StatusOK {
		return nil, &StatusError{resp.StatusCode, string(body[:min(len(body), 256)])}
	}
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, ErrTooLong
	}
	return body, nil
}

// Frame is a function on a stack.
type Frame struct {
	Func string // with its package's path, as in the profile
	Line int
}

// Group is goroutines that stand at the same place.
type Group struct {
	Count int     // how many more there are than before
	Stack []Frame // innermost first, without the runtime's functions at the inner end
}

// Leaks compares two goroutine profiles of a process, as /debug/pprof/goroutine serves them and [runtime/pprof] writes them with debug 0.
// It returns the groups that have grown, the one that has grown most first. The runtime's own goroutines are left out.
func Leaks(before, after []byte) ([]Group, error) {
	old, err := groups(before)
	if err != nil {
		return nil, fmt.Errorf("goroutineleak: profile before: %w", err)
	}
	grown, err := groups(after)
	if err != nil {
		return nil, fmt.Errorf("goroutineleak: profile after: %w", err)
	}
	var leaks []Group
	for key, g := range grown {
		if _, known := old[key]; !known {
			leaks = append(leaks, g)
		}
	}
	slices.SortFunc(leaks, func(a, b Group) int { return cmp.Compare(b.Count, a.Count) })
	return leaks, nil
}

// groups reads a profile's goroutines. The keys are stacks as text: the ids of a profile mean nothing in another one.
func groups(data []byte) (map[string]Group, error) {
	p, err := profile.ParseData(data)
	if err != nil {
		return nil, err
	}
	groups := make(map[string]Group)
	for _, s := range p.Sample {
		stack := stackOf(s)
		if runtimesOwn(stack) {
			continue
		}
		stack = withoutParking(stack)
		// There may be several samples of a stack: one for each set of labels.
		key := fmt.Sprint(stack)
		groups[key] = Group{Count: groups[key].Count + int(s.Value[0]), Stack: stack}
	}
	return groups, nil
}

func stackOf(s *profile.Sample) []Frame {
	var stack []Frame
	for _, loc := range s.Location {
		for _, line := range loc.Line { // more than one where functions were inlined
			stack = append(stack, Frame{line.Function.Name, int(line.Line)})
		}
	}
	return stack
}

// runtimesOwn tells by where a goroutine was started. Where it stands says nothing: all that wait do so in the runtime.
func runtimesOwn(stack []Frame) bool {
	if len(stack) == 0 {
		return true
	}
	start := stack[len(stack)-1].Func
	if inRuntime(start) || strings.HasPrefix(start, "runtime/") || strings.HasPrefix(start, "os/signal.") {
		return true
	}
	stack = withoutParking(stack)
	return strings.HasPrefix(stack[0].Func, "runtime/pprof.") // it is writing the profile
}

// withoutParking leaves out what the runtime does at the inner end of a stack.
func withoutParking(stack []Frame) []Frame {
	for len(stack) > 0 && inRuntime(stack[0].Func) {
		stack = stack[1:]
	}
	return stack
}

func inRuntime(function string) bool {
	return strings.HasPrefix(function, "runtime.") || strings.HasPrefix(function, "internal/runtime/")
}
