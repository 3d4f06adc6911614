// Lets a worker panic: the process dies before the runtime has heard of it.
//
//kata:caught-by TestReportsPanics
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

const (
	// margin is how long before the invocation's deadline the last booking is given up.
	margin = 500 * time.Millisecond
	// flushMargin is how long before the deadline the metrics are given up.
	flushMargin = 250 * time.Millisecond
	// concurrency is how many bookings are under way at the same time, at most.
	concurrency = 8
)

func main() {
	b := &booker{ledger: os.Getenv("LEDGER")}
	// What all invocations need is fetched once, before the first: start-up time is not the first message's time.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	rates, err := b.fetchRates(ctx)
	cancel()
	if err != nil {
		log.Fatalf("cannot start: %v", err)
	}
	b.rates = rates
	lambda.Start(b.handle)
}

type booker struct {
	ledger string
	rates  map[string]int64
}

// job is an order, with the messages that carry it.
type job struct {
	Order
	messages []int
}

// handle books a batch, and reports the messages that are to be delivered again.
func (b *booker) handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	work, cancel := before(ctx, margin)
	defer cancel()

	failed := make([]bool, len(batch.Records))
	jobs := group(batch.Records, failed)
	queue := make(chan *job, len(jobs))
	for _, j := range jobs {
		queue <- j
	}
	close(queue)

	var (
		workers sync.WaitGroup
	)
	for range min(concurrency, len(jobs)) {
		workers.Go(func() {
			for j := range queue {
				if err := b.book(work, j.Order); err != nil {
					log.Printf("order %s: %v", j.ID, err)
					for _, i := range j.messages {
						failed[i] = true
					}
				}
			}
		})
	}
	workers.Wait()

	answer := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, m := range batch.Records {
		if failed[i] {
			answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	// Once the answer is given the process is frozen; what is not sent by then may never be.
	b.flush(ctx, len(batch.Records)-len(answer.BatchItemFailures), len(answer.BatchItemFailures))
	return answer, nil
}

// group collects the messages by order; what is no order has failed already.
func group(messages []events.SQSMessage, failed []bool) (jobs []*job) {
	known := map[string]*job{}
	for i, m := range messages {
		var o Order
		if err := json.Unmarshal([]byte(m.Body), &o); err != nil || o.ID == "" {
			failed[i] = true
			continue
		}
		j := known[o.ID]
		if j == nil {
			j = &job{Order: o}
			known[o.ID] = j
			jobs = append(jobs, j)
		}
		j.messages = append(j.messages, i)
	}
	return jobs
}

// book books an order under its own id, so that the ledger knows it when it comes again.
func (b *booker) book(ctx context.Context, o Order) error {
	rate, ok := b.rates[o.Currency]
	if !ok {
		return fmt.Errorf("no rate for %q", o.Currency)
	}
	status, err := b.send(ctx, http.MethodPut, "/entries/"+url.PathEscape(o.ID), map[string]int64{"cents": o.Cents(rate)})
	if err != nil {
		return err
	}
	if status != http.StatusCreated && status != http.StatusConflict {
		return fmt.Errorf("the ledger answered %d", status)
	}
	return nil
}

func (b *booker) flush(ctx context.Context, booked, failed int) {
	ctx, cancel := before(ctx, flushMargin)
	defer cancel()
	if _, err := b.send(ctx, http.MethodPost, "/metrics", map[string]int{"booked": booked, "failed": failed}); err != nil {
		log.Printf("metrics lost: %v", err)
	}
}

func (b *booker) send(ctx context.Context, method, path string, body any) (int, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, b.ledger+path, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, nil
}

func (b *booker) fetchRates(ctx context.Context) (rates map[string]int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.ledger+"/rates", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New("rates: " + resp.Status)
	}
	return rates, json.NewDecoder(resp.Body).Decode(&rates)
}

// before returns a context that ends d before ctx's deadline.
func before(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-d))
}
