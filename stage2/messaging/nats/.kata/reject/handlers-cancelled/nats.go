// Hands its own context to the handlers, so that stopping breaks off what could have been finished.
//
//kata:caught-by TestStop
package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrPermanent is what a handler's error wraps when another attempt makes no sense.
	ErrPermanent = errors.New("nats: no use to try again")
	// ErrNobody says that nobody listens on the subject of a request.
	ErrNobody = errors.New("nats: nobody answers requests on this subject")
)

// ServiceError is an answer that says that a request has failed.
type ServiceError struct {
	Code        string // the header Nats-Service-Error-Code
	Description string // the header Nats-Service-Error
}

func (e *ServiceError) Error() string { return "nats: " + e.Code + ": " + e.Description }

// Config describes a queue.
type Config struct {
	Name     string        // the stream Name holds the jobs, the stream Name_DEAD those that failed for good
	Dedup    time.Duration // for how long a job's ID is remembered
	Answer   time.Duration // how long to wait for an answer of the server before it is asked again
	AckWait  time.Duration // how long a job of which nothing is heard stays with its worker
	Retry    time.Duration // how long a failed job rests
	Attempts int           // how often a job is handed to a handler at most
	Workers  int           // how many jobs one call of Work handles at once
}

// Job is a job for a handler.
type Job struct {
	ID      string
	Body    []byte
	Attempt int // 1 is the first
}

// poll is how long a request for a job stays with the server: how long Work may take to notice that it shall end.
const poll = 100 * time.Millisecond

// Queue is a work queue.
type Queue struct {
	cfg  Config
	js   jetstream.JetStream
	jobs jetstream.Consumer
}

// Open returns the queue. What of it is missing at the server is made, what differs from cfg is changed, and jobs that are there stay.
func Open(ctx context.Context, nc *nats.Conn, cfg Config) (*Queue, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:     cfg.Name + "_DEAD",
		Subjects: []string{cfg.Name + ".dead"},
		Storage:  jetstream.FileStorage,
	}); err != nil {
		return nil, err
	}
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:       cfg.Name,
		Subjects:   []string{cfg.Name + ".jobs"},
		Retention:  jetstream.WorkQueuePolicy,
		Storage:    jetstream.FileStorage,
		Duplicates: cfg.Dedup,
	}); err != nil {
		return nil, err
	}
	jobs, err := js.CreateOrUpdateConsumer(ctx, cfg.Name, jetstream.ConsumerConfig{
		Durable:   "workers",
		AckPolicy: jetstream.AckExplicitPolicy,
		AckWait:   cfg.AckWait,
		// No limit of the server's: it would leave the job in the stream, and tell nobody.
		MaxDeliver:    -1,
		MaxAckPending: -1,
	})
	if err != nil {
		return nil, err
	}
	return &Queue{cfg: cfg, js: js, jobs: jobs}, nil
}

// Publish puts a job into the queue, and returns nil once the server has stored it, or has one with this ID. When no answer comes, it asks
// again.
func (q *Queue) Publish(ctx context.Context, id string, body []byte) error {
	msg := &nats.Msg{Subject: q.cfg.Name + ".jobs", Header: nats.Header{}, Data: body}
	return q.store(ctx, msg, id)
}

// store publishes until there is an answer.
func (q *Queue) store(ctx context.Context, msg *nats.Msg, id string) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		attempt, cancel := context.WithTimeout(ctx, q.cfg.Answer)
		_, err := q.js.PublishMsg(attempt, msg, jetstream.WithMsgID(id), jetstream.WithRetryAttempts(0))
		var answer *jetstream.APIError
		if err == nil || errors.As(err, &answer) || errors.Is(err, nats.ErrConnectionClosed) {
			cancel()
			return err
		}
		<-attempt.Done() // also if it failed at once
		cancel()
	}
}

// Work has handle called for jobs, until ctx ends.
func (q *Queue) Work(ctx context.Context, handle func(context.Context, Job) error) error {
	errs := make([]error, q.cfg.Workers)
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() { errs[i] = q.work(ctx, handle) })
	}
	workers.Wait()
	return errors.Join(errs...)
}

// work asks for a job when it is free to handle one, and for no more than one: a job that waits in a client's buffer cannot be had by others,
// and its AckWait passes.
func (q *Queue) work(ctx context.Context, handle func(context.Context, Job) error) error {
	for ctx.Err() == nil {
		// Not with ctx: a job that is on its way when a request is abandoned would be lost for an AckWait.
		msg, err := q.jobs.Next(jetstream.FetchMaxWait(poll))
		switch {
		case err == nil && ctx.Err() == nil:
			q.do(ctx, msg, handle)
		case err == nil:
			msg.Nak()
		case errors.Is(err, nats.ErrConnectionClosed):
			return err
		case !errors.Is(err, nats.ErrTimeout):
			pause(ctx, poll)
		}
	}
	return nil
}

// do sees to one job.
func (q *Queue) do(ctx context.Context, msg jetstream.Msg, handle func(context.Context, Job) error) {
	meta, err := msg.Metadata()
	if err != nil {
		return
	}
	job := Job{ID: msg.Headers().Get(nats.MsgIdHdr), Body: msg.Data(), Attempt: int(meta.NumDelivered)}
	if job.Attempt > q.cfg.Attempts { // whoever had the last one is gone
		q.bury(ctx, msg, meta, q.cfg.Attempts, errors.New("nats: the last attempt did not end"))
		return
	}
	stop := q.keep(msg)
	err = call(ctx, job, handle)
	stop()
	switch {
	case err == nil:
		q.done(ctx, msg)
	case errors.Is(err, ErrPermanent) || job.Attempt == q.cfg.Attempts:
		q.bury(ctx, msg, meta, job.Attempt, err)
	default:
		msg.NakWithDelay(q.cfg.Retry)
	}
}

// keep tells the server that the job is being worked on, until the returned function is called.
func (q *Queue) keep(msg jetstream.Msg) (stop func()) {
	end := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(q.cfg.AckWait / 3)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				msg.InProgress()
			case <-end:
				return
			}
		}
	})
	return func() {
		close(end)
		beating.Wait()
	}
}

// done acknowledges, and waits until the server knows. If it does not hear of it, it hands the job out again.
func (q *Queue) done(ctx context.Context, msg jetstream.Msg) {
	ctx, cancel := context.WithTimeout(ctx, q.cfg.Answer)
	defer cancel()
	msg.DoubleAck(ctx)
}

// bury makes a job a dead letter. It leaves the queue when the dead letter is stored, and not before.
func (q *Queue) bury(ctx context.Context, msg jetstream.Msg, meta *jetstream.MsgMetadata, attempts int, why error) {
	dead := &nats.Msg{Subject: q.cfg.Name + ".dead", Data: msg.Data(), Header: nats.Header{
		"Job-Id":       {msg.Headers().Get(nats.MsgIdHdr)},
		"Job-Attempts": {strconv.Itoa(attempts)},
		"Job-Error":    {why.Error()},
	}}
	ctx, cancel := context.WithTimeout(ctx, q.cfg.Answer)
	defer cancel()
	if err := q.store(ctx, dead, fmt.Sprintf("%s.%d", meta.Stream, meta.Sequence.Stream)); err != nil {
		msg.NakWithDelay(q.cfg.Retry)
		return
	}
	q.done(context.WithoutCancel(ctx), msg)
}

func call(ctx context.Context, job Job, handle func(context.Context, Job) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("nats: the handler panicked: %v", r)
		}
	}()
	return handle(ctx, job)
}

// Request asks whoever listens on the subject, and returns the answer.
func Request(ctx context.Context, nc *nats.Conn, subject string, body []byte) ([]byte, error) {
	answer, err := nc.RequestWithContext(ctx, subject, body)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("%w: %s", ErrNobody, subject)
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	if code := answer.Header.Get("Nats-Service-Error-Code"); code != "" {
		return nil, &ServiceError{Code: code, Description: answer.Header.Get("Nats-Service-Error")}
	}
	return answer.Data, nil
}

// Listen has handle called for each event of a subject, one after the other, until ctx ends. Of events that come while handle runs it keeps
// buffer; lost is told how many more were lost.
func Listen(ctx context.Context, nc *nats.Conn, subject string, buffer int, handle func(body []byte), lost func(n int)) error {
	events := make(chan *nats.Msg, buffer)
	sub, err := nc.ChanSubscribe(subject, events)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	told := 0
	tell := func() {
		mu.Lock()
		defer mu.Unlock()
		if dropped, err := sub.Dropped(); err == nil && dropped > told {
			n := dropped - told
			told = dropped
			lost(n)
		}
	}
	// The status is the subscription's own; the connection's error handler is its owner's.
	status := sub.StatusChanged(nats.SubscriptionSlowConsumer, nats.SubscriptionClosed)
	end := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case s := <-status:
				if s == nats.SubscriptionClosed {
					return
				}
				tell()
			case <-end:
				return
			}
		}
	})
	defer watching.Wait()
	defer close(end)
	defer sub.Unsubscribe()
	for {
		select {
		case <-ctx.Done():
			tell()
			return nil
		case event, ok := <-events:
			if !ok {
				return nats.ErrConnectionClosed
			}
			if ctx.Err() == nil {
				handle(event.Data)
			}
			tell()
		}
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
