// Package nats gives work to whoever is free over NATS: a work queue on JetStream, and beside it, on core NATS, requests and events.
package nats

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
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

// Queue is a work queue.
type Queue struct {
	// TODO
}

// Open returns the queue. What of it is missing at the server is made, what differs from cfg is changed, and jobs that are there stay.
func Open(ctx context.Context, nc *nats.Conn, cfg Config) (*Queue, error) {
	panic("TODO: make the streams and the durable consumer")
}

// Publish puts a job into the queue, and returns nil once the server has stored it, or has one with this ID. When no answer comes within
// Config.Answer, it asks again, until ctx ends; then it returns the cause of that. What the server refuses it returns.
func (q *Queue) Publish(ctx context.Context, id string, body []byte) error {
	panic("TODO: publish, and wait for the answer")
}

// Work has handle called for jobs, Config.Workers at once, until ctx ends. Then it starts no other, waits for those that run and returns nil.
//
// When handle returns nil, the job is done. When its error wraps ErrPermanent, or the job has had Config.Attempts, it becomes a dead letter.
// After any other error, and after a panic, it rests for Config.Retry and is handled again. A job whose worker is gone is handled again
// after Config.AckWait; one whose worker is alive is not, however long that takes.
//
// The context of handle has the values of ctx and does not end with it.
func (q *Queue) Work(ctx context.Context, handle func(context.Context, Job) error) error {
	panic("TODO: work")
}

// Request asks whoever listens on the subject, and returns the answer's body. It returns ErrNobody, at once, if nobody listens, a
// *ServiceError if the answer is one, and the cause of ctx if that ends before there is an answer.
func Request(ctx context.Context, nc *nats.Conn, subject string, body []byte) ([]byte, error) {
	panic("TODO: ask")
}

// Listen has handle called for each event of a subject, one after the other, until ctx ends; then it returns nil. Of events that come
// while handle runs it keeps buffer. What comes on top of that is lost, and lost is told how many: at once of the first, of others not
// later than when handle has returned. Calls of lost do not overlap each other; they may overlap handle.
func Listen(ctx context.Context, nc *nats.Conn, subject string, buffer int, handle func(body []byte), lost func(n int)) error {
	panic("TODO: listen")
}
