package amqptest

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// message is a message as it was published.
type message struct {
	exchange, key string
	props         properties
	body          []byte
}

// item is a message in a queue.
type item struct {
	msg         *message
	position    uint64
	redelivered bool
	expires     time.Time // zero: never
}

// queue keeps messages in the order in which they came; those that are given back go where they were.
type queue struct {
	s          *server
	name       string
	durable    bool
	autoDelete bool
	exclusive  *conn
	args       amqp.Table

	ready     []*item
	last      uint64
	consumers []*consumer // the next to be served first
	timer     *time.Timer
	gone      bool
}

// number reads a number among a queue's arguments.
func (q *queue) number(name string) (int64, bool) {
	v, ok := integer(q.args[name])
	return v, ok
}

func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int8:
		return int64(v), true
	case byte:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int64:
		return v, true
	}
	return 0, false
}

// full tells whether the queue refuses what is published.
func (q *queue) full() bool {
	limit, ok := q.number("x-max-length")
	return ok && q.args["x-overflow"] == "reject-publish" && int64(len(q.ready)) >= limit
}

// put appends a message.
func (q *queue) put(msg *message) {
	q.last++
	it := &item{msg: msg, position: q.last}
	ttl, ok := q.number("x-message-ttl")
	if own, err := strconv.ParseInt(msg.props.expiration, 10, 64); err == nil && (!ok || own < ttl) {
		ttl, ok = own, true
	}
	if ok {
		it.expires = time.Now().Add(time.Duration(ttl) * time.Millisecond)
	}
	q.ready = append(q.ready, it)
	q.deliver() // before it expires: a message with a TTL of 0 goes to a consumer that waits
	q.expire()
	if limit, ok := q.number("x-max-length"); ok {
		for int64(len(q.ready)) > limit {
			q.deadLetter(q.pop(), "maxlen")
		}
	}
}

func (q *queue) pop() *item {
	it := q.ready[0]
	q.ready = q.ready[1:]
	return it
}

// giveBack puts items where they were.
func (q *queue) giveBack(items ...*item) {
	if q.gone {
		return
	}
	for _, it := range items {
		it.redelivered = true
		q.ready = append(q.ready, it)
	}
	sort.SliceStable(q.ready, func(i, j int) bool { return q.ready[i].position < q.ready[j].position })
}

// expire drops what has expired at the head of the queue, and comes again when the next one does.
func (q *queue) expire() {
	q.stopTimer()
	for len(q.ready) > 0 {
		next := q.ready[0].expires
		if next.IsZero() {
			return
		}
		if wait := time.Until(next); wait > 0 {
			q.timer = time.AfterFunc(wait, func() {
				q.s.mu.Lock()
				defer q.s.mu.Unlock()
				if !q.gone && !q.s.closed {
					q.expire()
				}
			})
			return
		}
		q.deadLetter(q.pop(), "expired")
	}
}

func (q *queue) stopTimer() {
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
}

// deliver hands messages to consumers while there are both.
func (q *queue) deliver() {
	for len(q.ready) > 0 {
		i := slices.IndexFunc(q.consumers, (*consumer).hasRoom)
		if i < 0 {
			return
		}
		co := q.consumers[i]
		q.consumers = append(slices.Delete(q.consumers, i, i+1), co)
		co.ch.deliver(co, q.pop())
	}
}

// deadLetter passes a message on to the queue's dead letter exchange, if it has one.
func (q *queue) deadLetter(it *item, reason string) {
	name, ok := q.args["x-dead-letter-exchange"].(string)
	e := q.s.exchanges[name]
	if !ok || e == nil {
		return
	}
	msg := it.msg
	deaths, _ := msg.props.headers["x-death"].([]any)
	if reason != "rejected" && cycles(deaths, q.name) {
		return
	}
	dead := *msg
	dead.exchange = name
	if key, ok := q.args["x-dead-letter-routing-key"].(string); ok {
		dead.key = key
	}
	headers := amqp.Table{}
	maps.Copy(headers, msg.props.headers)
	death := amqp.Table{"reason": reason, "queue": q.name, "exchange": msg.exchange, "routing-keys": []any{msg.key},
		"time": time.Now(), "count": int64(1)}
	if msg.props.expiration != "" {
		death["original-expiration"] = msg.props.expiration
		dead.props.expiration = ""
	}
	others := []any{}
	for _, d := range deaths {
		if d, ok := d.(amqp.Table); ok && d["queue"] == q.name && d["reason"] == reason {
			n, _ := d["count"].(int64)
			death = maps.Clone(d)
			death["count"] = n + 1
			continue
		}
		others = append(others, d)
	}
	headers["x-death"] = append([]any{death}, others...)
	if len(deaths) == 0 {
		headers["x-first-death-reason"], headers["x-first-death-queue"], headers["x-first-death-exchange"] = reason, q.name, msg.exchange
	}
	dead.props.headers = headers
	for _, to := range q.s.route(e, dead.key) {
		if !to.full() {
			to.put(&dead)
		}
	}
}

// cycles tells whether a message that nobody has rejected has been dead in that queue before.
func cycles(deaths []any, queue string) bool {
	before := false
	for _, d := range deaths {
		d, _ := d.(amqp.Table)
		if d["reason"] == "rejected" {
			return false
		}
		before = before || d["queue"] == queue
	}
	return before
}
