package amqptest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// server is a broker of one virtual host. One lock is over all of it: nothing is done while it is held but changing state and putting
// frames into the connections' queues.
type server struct {
	listener net.Listener
	running  sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	exchanges map[string]*exchange
	queues    map[string]*queue
	conns     map[*conn]bool
	named     int // queues that the server has named
}

func newServer() (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{listener: listener, exchanges: map[string]*exchange{}, queues: map[string]*queue{}, conns: map[*conn]bool{}}
	for name, kind := range map[string]string{"": "direct", "amq.direct": "direct", "amq.fanout": "fanout", "amq.topic": "topic"} {
		s.exchanges[name] = &exchange{name: name, kind: kind, durable: true}
	}
	s.running.Go(s.serve)
	return s, nil
}

func (s *server) serve() {
	for {
		socket, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &conn{s: s, socket: socket, channels: map[uint16]*channel{}}
		c.wake = sync.NewCond(&c.outMu)
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			socket.Close()
			return
		}
		s.conns[c] = true
		s.mu.Unlock()
		s.running.Go(c.read)
		s.running.Go(c.write)
	}
}

// close ends the server and everything that it runs.
func (s *server) close() {
	s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.abort()
	}
	for _, q := range s.queues {
		q.stopTimer()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// restart forgets what a broker forgets when it is stopped and started: connections, queues and exchanges that are not durable, and
// messages that are not persistent.
func (s *server) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.abort()
		c.gone()
	}
	for name, q := range s.queues {
		if !q.durable {
			s.deleteQueue(q)
			continue
		}
		kept := q.ready[:0]
		for _, it := range q.ready {
			if it.msg.props.mode == amqp.Persistent {
				kept = append(kept, it)
			}
		}
		q.ready = kept
		s.queues[name] = q
	}
	for name, e := range s.exchanges {
		if !e.durable {
			delete(s.exchanges, name)
		}
	}
}

// conn is a client's connection.
type conn struct {
	s      *server
	socket net.Conn

	outMu sync.Mutex
	wake  *sync.Cond
	out   []byte
	ended bool // no more goes out but what is queued

	// below: under the server's lock
	channels     map[uint16]*channel
	cancelNotify bool
	closing      bool // connection.close was sent
	over         bool
}

// send queues frames.
func (c *conn) send(frames ...frame) {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	for _, f := range frames {
		c.out = f.append(c.out)
	}
	c.wake.Signal()
}

// finish has the connection closed when everything queued has been written.
func (c *conn) finish() {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	c.ended = true
	c.wake.Signal()
}

// abort breaks the connection.
func (c *conn) abort() {
	c.socket.Close()
	c.finish()
}

func (c *conn) write() {
	defer c.socket.Close()
	for {
		c.outMu.Lock()
		for len(c.out) == 0 && !c.ended {
			c.wake.Wait()
		}
		out, last := c.out, c.ended
		c.out = nil
		c.outMu.Unlock()
		if _, err := c.socket.Write(out); err != nil || last {
			return
		}
	}
}

func (c *conn) read() {
	defer func() {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		c.gone()
		c.finish()
	}()
	in := bufio.NewReader(c.socket)
	c.socket.SetReadDeadline(time.Now().Add(30 * time.Second))
	greeting := make([]byte, len(protocolHeader))
	if _, err := io.ReadFull(in, greeting); err != nil {
		return
	}
	if string(greeting) != protocolHeader {
		c.socket.Write([]byte(protocolHeader))
		return
	}
	heartbeat, ok := c.handshake(in)
	if !ok {
		return
	}
	if heartbeat > 0 {
		stop := make(chan struct{})
		defer close(stop)
		c.s.running.Go(func() { c.beat(heartbeat/2, stop) })
	}
	for {
		c.socket.SetReadDeadline(time.Time{})
		if heartbeat > 0 {
			c.socket.SetReadDeadline(time.Now().Add(2 * heartbeat))
		}
		f, err := readFrame(in)
		if err != nil {
			return
		}
		c.s.mu.Lock()
		again := !c.over && c.handle(f)
		c.s.mu.Unlock()
		if !again {
			return
		}
	}
}

func (c *conn) beat(every time.Duration, stop chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.send(frame{kind: frameHeartbeat})
		case <-stop:
			return
		}
	}
}

func (c *conn) call(channel uint16, w *writer) {
	c.send(frame{frameMethod, channel, w.b})
}

func (c *conn) handshake(in io.Reader) (heartbeat time.Duration, ok bool) {
	c.call(0, call(connectionStart).octet(0).octet(9).table(amqp.Table{
		"product": "roadkata amqptest",
		"capabilities": amqp.Table{"publisher_confirms": true, "basic.nack": true, "consumer_cancel_notify": true,
			"authentication_failure_close": true, "per_consumer_qos": true},
	}).longstr("PLAIN").longstr("en_US"))
	f, err := readFrame(in)
	if err != nil || f.method() != connectionStartOk {
		return 0, false
	}
	args := f.args()
	capabilities, _ := args.table()["capabilities"].(amqp.Table)
	mechanism, response := args.shortstr(), args.longstr()
	if mechanism != "PLAIN" || response != "\x00guest\x00guest" {
		c.call(0, call(connectionClose).short(amqp.AccessRefused).
			shortstr("ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.").long(0))
		readFrame(in) // close-ok
		return 0, false
	}
	c.cancelNotify, _ = capabilities["consumer_cancel_notify"].(bool)
	c.call(0, call(connectionTune).short(2047).long(131072).short(60))
	if f, err = readFrame(in); err != nil || f.method() != connectionTuneOk {
		return 0, false
	}
	args = f.args()
	args.short()
	args.long()
	heartbeat = time.Duration(args.short()) * time.Second
	if f, err = readFrame(in); err != nil || f.method() != connectionOpen {
		return 0, false
	}
	if vhost := f.args().shortstr(); vhost != "/" {
		c.call(0, call(connectionClose).short(amqp.NotAllowed).shortstr(fmt.Sprintf("NOT_ALLOWED - vhost %s not found", vhost)).long(uint32(connectionOpen)))
		readFrame(in)
		return 0, false
	}
	c.call(0, call(connectionOpenOk).shortstr(""))
	return heartbeat, true
}

// gone forgets a connection: what it had not acknowledged is delivered again, and its exclusive queues end.
func (c *conn) gone() {
	if c.over {
		return
	}
	c.over = true
	delete(c.s.conns, c)
	for _, ch := range c.channels {
		ch.end()
	}
	for _, q := range c.s.queues {
		if q.exclusive == c {
			c.s.deleteQueue(q)
		}
	}
}

// exception is an error that closes a channel, or the connection.
type exception struct {
	code int
	text string
	hard bool
}

func refuse(code int, format string, args ...any) *exception {
	return &exception{code: code, text: fmt.Sprintf(format, args...)}
}

func fatal(code int, format string, args ...any) *exception {
	return &exception{code, fmt.Sprintf(format, args...), true}
}

// handle takes a frame; false ends the connection. The caller holds the server's lock.
func (c *conn) handle(f frame) bool {
	m := f.method()
	switch {
	case f.kind == frameHeartbeat:
		return true
	case m == connectionCloseOk:
		return false
	case c.closing:
		return true
	case m == connectionClose:
		c.gone() // what the client did not acknowledge is back in its queue when it hears close-ok
		c.call(0, call(connectionCloseOk))
		return false
	case f.channel == 0:
		return c.fail(fatal(amqp.CommandInvalid, "COMMAND_INVALID - unexpected frame on channel 0"), 0, m)
	}
	ch := c.channels[f.channel]
	switch {
	case ch == nil && m == channelOpen:
		c.channels[f.channel] = &channel{c: c, number: f.channel, consumers: map[string]*consumer{}, unacked: map[uint64]*delivery{}}
		c.call(f.channel, call(channelOpenOk).long(0))
		return true
	case ch == nil:
		return c.fail(fatal(amqp.ChannelError, "CHANNEL_ERROR - expected 'channel.open'"), f.channel, m)
	case m == channelOpen:
		return c.fail(fatal(amqp.ChannelError, "CHANNEL_ERROR - second 'channel.open' seen"), f.channel, m)
	case m == channelCloseOk:
		delete(c.channels, f.channel)
		return true
	case m == channelClose:
		ch.end()
		delete(c.channels, f.channel)
		c.call(f.channel, call(channelCloseOk))
		return true
	case ch.closing:
		return true
	}
	if ex := ch.handle(f); ex != nil {
		return c.fail(ex, f.channel, m)
	}
	return true
}

// fail tells the client of an exception.
func (c *conn) fail(ex *exception, number uint16, m method) bool {
	end := func(close method) *writer {
		return call(close).short(uint16(ex.code)).shortstr(ex.text).long(uint32(m))
	}
	if ex.hard {
		c.closing = true
		for _, ch := range c.channels {
			ch.end()
		}
		c.call(0, end(connectionClose))
		return true
	}
	ch := c.channels[number]
	ch.end()
	ch.closing = true
	c.call(number, end(channelClose))
	return true
}

// exchange routes messages to queues.
type exchange struct {
	name, kind          string
	durable, autoDelete bool
	bindings            []binding
}

type binding struct {
	queue *queue
	key   string
}

// route returns the queues that a message with that routing key goes to, each of them once.
func (s *server) route(e *exchange, key string) []*queue {
	if e.name == "" {
		if q := s.queues[key]; q != nil {
			return []*queue{q}
		}
		return nil
	}
	var found []*queue
	seen := map[*queue]bool{}
	for _, b := range e.bindings {
		match := e.kind == "fanout" || e.kind == "direct" && b.key == key ||
			e.kind == "topic" && topicMatches(strings.Split(b.key, "."), strings.Split(key, "."))
		if match && !seen[b.queue] {
			seen[b.queue] = true
			found = append(found, b.queue)
		}
	}
	return found
}

// topicMatches tells whether a routing key matches a pattern, both in words: * stands for one word, # for any number.
func topicMatches(pattern, key []string) bool {
	switch {
	case len(pattern) == 0:
		return len(key) == 0
	case pattern[0] == "#":
		return topicMatches(pattern[1:], key) || len(key) > 0 && topicMatches(pattern, key[1:])
	case len(key) == 0:
		return false
	}
	return (pattern[0] == "*" || pattern[0] == key[0]) && topicMatches(pattern[1:], key[1:])
}

// unbind removes the bindings that drop chooses, and an exchange that was to go with the last of them.
func (s *server) unbind(e *exchange, drop func(binding) bool) {
	kept := e.bindings[:0]
	for _, b := range e.bindings {
		if !drop(b) {
			kept = append(kept, b)
		}
	}
	lost := len(kept) < len(e.bindings)
	e.bindings = kept
	if lost && len(kept) == 0 && e.autoDelete {
		delete(s.exchanges, e.name)
	}
}

// deleteQueue deletes a queue and everything that hangs on it. Its consumers are told.
func (s *server) deleteQueue(q *queue) {
	if s.queues[q.name] != q {
		return
	}
	delete(s.queues, q.name)
	q.stopTimer()
	q.gone = true
	for _, e := range s.exchanges {
		s.unbind(e, func(b binding) bool { return b.queue == q })
	}
	for _, co := range q.consumers {
		delete(co.ch.consumers, co.tag)
		if co.ch.c.cancelNotify && !co.ch.c.over {
			co.ch.c.call(co.ch.number, call(basicCancel).shortstr(co.tag).bits(true))
		}
	}
	q.consumers = nil
	q.ready = nil
}
