// Books a queue's orders.
//
//kata:zh 给队列中的订单记账
//kata:level 2
//kata:minutes 90
//kata:engine simulated Lambda Runtime API, real aws-lambda-go
//kata:timeout 40s
package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Of a batch, the messages that failed are reported, in the batch's order, and no others.
//
//kata:zh 一批消息只按批内顺序报告失败的那些。
func TestReportsFailedMessages(t *testing.T) {
	w := start(t)
	w.put = func(r *http.Request, id string) int {
		if strings.HasPrefix(id, "bad") {
			return 503
		}
		return 201
	}
	w.want(w.invoke(time.Minute, order("a", 1, "EUR"), order("bad1", 1, "EUR"), `{"order":`, order("b", 2, "USD"), order("c", 1, "XXX"), `{"amount":1,"currency":"EUR"}`, order("bad2", 1, "EUR"), order("d/e", 3, "USD")),
		"m1", "m2", "m4", "m5", "m6")
	if got, want := fmt.Sprint(w.entries()), "[a 100 b 184 bad1 100 bad2 100 d/e 276]"; got != want {
		t.Errorf("the ledger was asked for the entries (order and cents) %s, want %s", got, want)
	}
	w.want(w.invoke(time.Minute, order("f", 1, "EUR")))
}

// The answer comes before the deadline, whatever hangs: what is not booked half a second before it is given up and reported as failed.
//
//kata:zh 无论什么卡住，都在截止时间之前应答：提前半秒放弃未记完的消息并报告失败。
func TestAnswersBeforeTheDeadline(t *testing.T) {
	w := start(t)
	cancelled := make(chan struct{})
	w.put = func(r *http.Request, id string) int {
		if id == "slow" {
			select {
			case <-r.Context().Done():
				close(cancelled)
			case <-w.over:
			}
		}
		return 201
	}
	got := w.invoke(1200*time.Millisecond, order("a", 1, "EUR"), order("slow", 1, "EUR"), order("b", 1, "EUR"))
	if got.late > -100*time.Millisecond {
		t.Errorf("a booking hangs, and the invocation is answered %v before its deadline, want about 500ms", -got.late)
	}
	w.want(got, "m1")
	select {
	case <-cancelled:
	case <-time.After(time.Second):
		t.Error("the answer has been given, and a booking that hangs is still under way")
	}
}

// What all invocations need is fetched once, before the first one is asked for; without it the program ends.
//
//kata:zh 公用的准备工作只在取第一次调用之前做一次，做不成程序就退出。
func TestStartsOnce(t *testing.T) {
	w := start(t)
	for i := range 3 {
		w.want(w.invoke(time.Minute, order(fmt.Sprint("o", i), 1, "EUR")))
	}
	w.mu.Lock()
	rates, early := w.rates, w.early
	w.mu.Unlock()
	if rates != 1 {
		t.Errorf("3 invocations, and the rates were fetched %d times, want once", rates)
	}
	if early {
		t.Error("the program asked for its first invocation before it had fetched the rates")
	}
	broken := launch(t, func(w *world) { w.noRates = true })
	if code := broken.exit("the ledger has no rates (status 500)"); code == 0 {
		t.Error("the ledger has no rates: the program ends with exit code 0, want another")
	}
}

// An order that is delivered again is booked once, under its own id, and one that failed is tried again.
//
//kata:zh 重复投递的订单只记一次账，用订单自己的 id；失败的则再试。
func TestBooksOnce(t *testing.T) {
	w := start(t)
	seen := map[string]int{}
	w.put = func(r *http.Request, id string) int {
		w.mu.Lock()
		defer w.mu.Unlock()
		seen[id]++
		switch {
		case id == "flaky" && seen[id] == 1:
			return 500
		case id == "flaky" && seen[id] == 2, seen[id] == 1:
			return 201
		}
		return 409
	}
	count := func(id string) int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return seen[id]
	}
	w.want(w.invoke(time.Minute, order("a", 1, "EUR"), order("flaky", 1, "EUR"), order("a", 1, "EUR"), order("flaky", 1, "EUR")), "m1", "m3")
	if a, flaky := count("a"), count("flaky"); a != 1 || flaky != 1 {
		t.Errorf("a batch has 2 orders, each twice: the ledger was asked %d and %d times, want once each", a, flaky)
	}
	w.want(w.invoke(time.Minute, order("flaky", 1, "EUR"), order("a", 1, "EUR")))
	if flaky := count("flaky"); flaky != 2 {
		t.Errorf("an order that failed is delivered again: the ledger was asked %d times in all, want 2", flaky)
	}
}

// A panic is reported to the runtime as the panic that it was, with a stack, and the process ends.
//
//kata:zh panic 原样连同调用栈报告给运行时，随后进程退出。
func TestReportsPanics(t *testing.T) {
	w := start(t)
	got := w.invoke(time.Minute, order("a", 1, "EUR"), order("b", 2_000_000_000, "EUR"), order("c", 1, "EUR"))
	var report struct {
		ErrorType, ErrorMessage string
		StackTrace              []any
	}
	json.Unmarshal(got.body, &report)
	if got.kind != "error" || report.ErrorType != "OverflowError" || report.ErrorMessage != "amount 2000000000 overflows" || len(report.StackTrace) == 0 {
		t.Fatalf("Cents panicked: the runtime gets %s %s, want an error of the type OverflowError with its message and a stack", got.kind, got.body)
	}
	if code := w.exit("a panic was reported"); code == 0 {
		t.Error("after a panic the program ends with exit code 0, want another")
	}
}

// The metrics are with the ledger when the answer is given, and do not decide what it is.
//
//kata:zh 应答之前指标已送达账本，送不到也不影响应答。
func TestFlushesBeforeTheAnswer(t *testing.T) {
	w := start(t)
	w.slowMetrics = true
	w.want(w.invoke(time.Minute, order("a", 1, "EUR"), order("x", 1, "XXX"), order("b", 1, "EUR")), "m1")
	w.metricsAre(`{"booked":2,"failed":1}`)
	w.want(w.invoke(time.Minute, order("x", 1, "XXX")), "m0")
	w.metricsAre(`{"booked":0,"failed":1}`)
	w.mu.Lock()
	w.noMetrics = true
	w.mu.Unlock()
	w.want(w.invoke(1200*time.Millisecond, order("c", 1, "EUR")))
}

// Bookings are made at the same time, eight at most.
//
//kata:zh 记账并发进行，最多八笔。
func TestBooksConcurrently(t *testing.T) {
	w := start(t)
	full := make(chan struct{})
	var now, most int
	w.put = func(r *http.Request, id string) int {
		w.mu.Lock()
		now++
		most = max(most, now)
		if now == 8 && most == 8 {
			select {
			case <-full:
			default:
				time.AfterFunc(200*time.Millisecond, func() { close(full) }) // for a ninth one to come
			}
		}
		w.mu.Unlock()
		select {
		case <-full:
		case <-r.Context().Done():
		case <-w.over:
		}
		w.mu.Lock()
		now--
		w.mu.Unlock()
		return 201
	}
	var all []string
	for i := range 20 {
		all = append(all, order(fmt.Sprint("o", i), 1, "EUR"))
	}
	got := w.invoke(1800*time.Millisecond, all...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if most != 8 {
		t.Errorf("a batch of 20: %d bookings were under way at the same time, want 8", most)
	}
	w.want(got)
}

func order(id string, amount int64, currency string) string {
	return fmt.Sprintf(`{"order":%q,"amount":%d,"currency":%q}`, id, amount, currency)
}

// answer is what the program told the runtime of an invocation.
type answer struct {
	kind  string // response or error
	body  []byte
	late  time.Duration // after the deadline
	flush []string      // the metrics that the ledger had by then
}

type event struct {
	id       string
	body     []byte
	deadline time.Time
}

// world is the program, with the runtime and the ledger around it.
type world struct {
	t       *testing.T
	events  chan event
	answers chan answer
	over    chan struct{} // closed at the end of the test
	ended   chan struct{} // closed when the program has ended
	cmd     *exec.Cmd
	output  bytes.Buffer // of the program, complete when it has ended
	put     func(r *http.Request, id string) int
	count   int
	last    answer

	mu        sync.Mutex
	deadline  time.Time
	rates     int
	early     bool // an invocation was asked for before the rates
	noRates   bool
	noMetrics bool

	slowMetrics bool // the ledger takes a while before it has the metrics; set before the first invocation
	asked       map[string]int64
	metrics     []string
}

func start(t *testing.T) *world {
	t.Helper()
	return launch(t, func(*world) {})
}

// launch starts the program in a world that prepare has changed.
func launch(t *testing.T, prepare func(*world)) *world {
	t.Helper()
	w := &world{t: t, events: make(chan event, 1), answers: make(chan answer, 10), over: make(chan struct{}), ended: make(chan struct{}), asked: map[string]int64{}}
	w.put = func(*http.Request, string) int { return 201 }
	prepare(w)
	runtime := http.NewServeMux()
	runtime.HandleFunc("GET /2018-06-01/runtime/invocation/next", w.next)
	runtime.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{kind}", w.answered)
	api := httptest.NewServer(runtime)
	books := http.NewServeMux()
	books.HandleFunc("GET /rates", func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.rates++
		if w.noRates {
			rw.WriteHeader(500)
		}
		fmt.Fprint(rw, `{"EUR":100,"USD":92}`)
	})
	books.HandleFunc("PUT /entries/{order}", func(rw http.ResponseWriter, r *http.Request) {
		var body struct{ Cents int64 }
		json.NewDecoder(r.Body).Decode(&body)
		io.Copy(io.Discard, r.Body)
		w.mu.Lock()
		w.asked[r.PathValue("order")] = body.Cents
		w.mu.Unlock()
		rw.WriteHeader(w.put(r, r.PathValue("order")))
	})
	books.HandleFunc("POST /metrics", func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if w.slowMetrics {
			select {
			case <-time.After(150 * time.Millisecond):
			case <-w.over:
			}
		}
		w.mu.Lock()
		hang := w.noMetrics
		if !hang {
			w.metrics = append(w.metrics, strings.Join(strings.Fields(string(body)), ""))
		}
		w.mu.Unlock()
		if hang {
			select {
			case <-r.Context().Done():
			case <-w.over:
			}
		}
	})
	ledger := httptest.NewServer(books)

	path := os.Getenv("ROADKATA_PROGRAM")
	if path == "" {
		t.Fatal("ROADKATA_PROGRAM does not say where the program is")
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cmd = exec.CommandContext(ctx, path)
	w.cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "LEDGER=" + ledger.URL}
	w.cmd.Stdout, w.cmd.Stderr = &w.output, &w.output
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		w.cmd.Wait()
		close(w.ended)
	}()
	t.Cleanup(func() {
		close(w.over)
		cancel()
		<-w.ended
		api.CloseClientConnections()
		ledger.CloseClientConnections()
		api.Close()
		ledger.Close()
	})
	return w
}

func (w *world) next(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.early = w.early || w.rates == 0
	w.mu.Unlock()
	select {
	case e := <-w.events:
		rw.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
		rw.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(e.deadline.UnixMilli(), 10))
		rw.Write(e.body)
	case <-r.Context().Done():
	case <-w.over:
		rw.WriteHeader(http.StatusGone)
	}
}

func (w *world) answered(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	a := answer{r.PathValue("kind"), body, time.Since(w.deadline), w.metrics}
	w.metrics = nil
	w.mu.Unlock()
	rw.WriteHeader(http.StatusAccepted)
	w.answers <- a
}

// invoke gives the program a batch whose messages m0, m1 … have the bodies, and returns its answer.
func (w *world) invoke(limit time.Duration, bodies ...string) answer {
	w.t.Helper()
	var batch struct{ Records []map[string]string }
	for i, body := range bodies {
		batch.Records = append(batch.Records, map[string]string{"messageId": fmt.Sprint("m", i), "body": body})
	}
	data, _ := json.Marshal(batch)
	w.count++
	deadline := time.Now().Add(limit)
	w.mu.Lock()
	w.deadline = deadline
	w.mu.Unlock()
	w.events <- event{fmt.Sprint("request-", w.count), data, deadline}
	patience := min(limit+700*time.Millisecond, 10*time.Second)
	select {
	case w.last = <-w.answers:
		if w.last.late > 0 {
			w.t.Fatalf("an invocation with %v left was answered %v after its deadline", limit, w.last.late)
		}
		return w.last
	case <-w.ended:
		w.t.Fatalf("the program ended without an answer to its invocation; it wrote:\n%s", w.output.String())
	case <-time.After(patience):
		w.t.Fatalf("an invocation with %v left has no answer after %v", limit, patience)
	}
	return answer{}
}

// want fails the test unless the answer reports these messages as failed.
func (w *world) want(a answer, failures ...string) {
	w.t.Helper()
	var body struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	err := json.Unmarshal(a.body, &body)
	var got []string
	for _, f := range body.BatchItemFailures {
		got = append(got, f.ItemIdentifier)
	}
	if a.kind != "response" || err != nil || !slices.Equal(got, failures) {
		w.t.Fatalf("the runtime gets the %s %s, want a response with the failures %q", a.kind, a.body, failures)
	}
}

func (w *world) metricsAre(want string) {
	w.t.Helper()
	if got := strings.Join(w.last.flush, " "); got != want {
		w.t.Errorf("when the answer was given, the ledger had the metrics %q of this invocation, want %q", got, want)
	}
}

// entries returns the orders that the ledger was asked for, with their cents.
func (w *world) entries() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, cents := range w.asked {
		all = append(all, fmt.Sprint(id, " ", cents))
	}
	slices.Sort(all)
	return all
}

// exit waits for the program's end.
func (w *world) exit(after string) int {
	w.t.Helper()
	select {
	case <-w.ended:
		return w.cmd.ProcessState.ExitCode()
	case <-time.After(1500 * time.Millisecond):
		w.t.Fatalf("%s, and the program does not end", after)
		return 0
	}
}
