// Package kafka works on the records of a Kafka topic: many at once, each key in order, none lost.
package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrLost is the cause of a handler's context when its partition belongs to another member of the group.
var ErrLost = errors.New("kafka: partition lost")

// Config is what Run needs to know.
type Config struct {
	Client      []kgo.Opt // for the client: where the brokers are, how it talks to them
	Group       string
	Topic       string
	DeadLetters string        // the topic for records that cannot be handled
	Workers     int           // how many handlers run at once
	Attempts    int           // how often a record is handed to the handler before it is a dead letter
	Retry       time.Duration // the pause between two attempts
}

// Run works on the topic as a member of the group until ctx ends: it calls handle for each record, for up to Config.Workers at once, and
// for records of the same key of a partition one after the other.
//
// A record is settled when handle has returned nil, or when it has failed, or panicked, Config.Attempts times and is stored as a dead
// letter. Only a record before which all others of its partition are settled is committed. The context of handle has the values of ctx and does
// not end with it; it ends with the cause ErrLost when the partition was taken away without notice.
//
// When ctx ends, Run starts no further handler, waits for those that run, commits, leaves the group and returns nil. It returns an error only
// if the client cannot be made.
func Run(ctx context.Context, cfg Config, handle func(context.Context, *kgo.Record) error) error {
	panic("TODO: consume")
}

// Lag returns for each partition of a topic how many of the records that it holds the group has not committed.
func Lag(ctx context.Context, client *kgo.Client, group, topic string) (map[int32]int64, error) {
	panic("TODO: compare what is there with what is committed")
}
