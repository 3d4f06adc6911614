package amqptest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// channel is a channel of a connection.
type channel struct {
	c         *conn
	number    uint16
	closing   bool // channel.close was sent
	consumers map[string]*consumer
	unacked   map[uint64]*delivery
	tag       uint64 // of the last delivery
	prefetch  int    // of consumers to come
	limit     int    // of all of them together
	confirms  bool
	published uint64
	lastQueue string
	tags      int // consumers that the server has named

	coming *coming // a message of which frames are still to come
}

type coming struct {
	msg       message
	mandatory bool
	size      int // -1 before the header
}

type consumer struct {
	ch       *channel
	q        *queue
	tag      string
	noAck    bool
	alone    bool
	prefetch int
	inHand   int
}

// delivery is a message that was delivered and not acknowledged.
type delivery struct {
	q  *queue
	it *item
	co *consumer // nil: it was got
}

func (co *consumer) hasRoom() bool {
	return co.noAck || (co.prefetch == 0 || co.inHand < co.prefetch) && (co.ch.limit == 0 || len(co.ch.unacked) < co.ch.limit)
}

func (ch *channel) reply(w *writer) { ch.c.call(ch.number, w) }

// content sends a method that carries a message.
func (ch *channel) content(w *writer, msg *message) {
	header := (&writer{}).short(60).short(0).longlong(uint64(len(msg.body))).properties(msg.props)
	frames := []frame{{frameMethod, ch.number, w.b}, {frameHeader, ch.number, header.b}}
	for part := range slices.Chunk(msg.body, 131072-8) {
		frames = append(frames, frame{frameBody, ch.number, part})
	}
	ch.c.send(frames...)
}

func (ch *channel) hold(q *queue, it *item, co *consumer, noAck bool) uint64 {
	ch.tag++
	if !noAck {
		ch.unacked[ch.tag] = &delivery{q, it, co}
		if co != nil {
			co.inHand++
		}
	}
	return ch.tag
}

func (ch *channel) deliver(co *consumer, it *item) {
	tag := ch.hold(co.q, it, co, co.noAck)
	ch.content(call(basicDeliver).shortstr(co.tag).longlong(tag).bits(it.redelivered).shortstr(it.msg.exchange).shortstr(it.msg.key), it.msg)
}

// end gives back what the channel has in hand, and ends its consumers.
func (ch *channel) end() {
	queues := map[*queue]bool{}
	for _, co := range ch.consumers {
		ch.drop(co)
		queues[co.q] = true
	}
	ch.giveBack(slices.Collect(maps.Keys(ch.unacked)))
	ch.coming = nil
	for q := range queues {
		ch.c.s.unused(q)
	}
}

func (ch *channel) drop(co *consumer) {
	delete(ch.consumers, co.tag)
	co.q.consumers = slices.DeleteFunc(co.q.consumers, func(other *consumer) bool { return other == co })
}

// unused deletes a queue that was to go with its last consumer.
func (s *server) unused(q *queue) {
	if q.autoDelete && len(q.consumers) == 0 {
		s.deleteQueue(q)
	}
}

// settle takes deliveries out of the consumer's hand.
func (ch *channel) settle(tags []uint64) []*delivery {
	slices.Sort(tags)
	var list []*delivery
	for _, tag := range tags {
		d := ch.unacked[tag]
		delete(ch.unacked, tag)
		if d.co != nil {
			d.co.inHand--
		}
		list = append(list, d)
	}
	return list
}

func (ch *channel) giveBack(tags []uint64) {
	queues := map[*queue]bool{}
	for _, d := range ch.settle(tags) {
		d.q.giveBack(d.it)
		queues[d.q] = true
	}
	for q := range queues {
		q.deliver()
		q.expire()
	}
}

// serve delivers what an acknowledgement has made room for.
func (ch *channel) serve() {
	for _, co := range ch.consumers {
		co.q.deliver()
	}
}

// named finds the deliveries that an acknowledgement is about.
func (ch *channel) named(tag uint64, multiple bool) ([]uint64, *exception) {
	var tags []uint64
	if multiple {
		for t := range ch.unacked {
			if t <= tag || tag == 0 {
				tags = append(tags, t)
			}
		}
	} else if ch.unacked[tag] != nil {
		tags = append(tags, tag)
	}
	if len(tags) == 0 && !(multiple && tag <= ch.tag) {
		return nil, refuse(amqp.PreconditionFailed, "PRECONDITION_FAILED - unknown delivery tag %d", tag)
	}
	return tags, nil
}

func (ch *channel) handle(f frame) *exception {
	if f.kind == frameMethod {
		if ch.coming != nil {
			return fatal(amqp.UnexpectedFrame, "UNEXPECTED_FRAME - expected content, got a method")
		}
		args := f.args()
		ex := ch.method(f.method(), args)
		if args.err != nil {
			return fatal(amqp.SyntaxError, "SYNTAX_ERROR - %v", args.err)
		}
		return ex
	}
	if ch.coming == nil || (f.kind == frameHeader) != (ch.coming.size < 0) {
		return fatal(amqp.UnexpectedFrame, "UNEXPECTED_FRAME - no content was expected")
	}
	if f.kind == frameHeader {
		r := &reader{b: f.payload}
		r.long()
		ch.coming.size = int(r.longlong())
		ch.coming.msg.props = r.properties()
		if r.err != nil {
			return fatal(amqp.SyntaxError, "SYNTAX_ERROR - %v", r.err)
		}
	} else {
		ch.coming.msg.body = append(ch.coming.msg.body, f.payload...)
	}
	if len(ch.coming.msg.body) < ch.coming.size {
		return nil
	}
	whole := ch.coming
	ch.coming = nil
	return ch.publish(whole)
}

// publish routes a message: it is returned first, if it has to be, and confirmed then.
func (ch *channel) publish(p *coming) *exception {
	s := ch.c.s
	e := s.exchanges[p.msg.exchange]
	if e == nil {
		return refuse(amqp.NotFound, "NOT_FOUND - no exchange '%s' in vhost '/'", p.msg.exchange)
	}
	ch.published++
	queues := s.route(e, p.msg.key)
	if len(queues) == 0 && p.mandatory {
		ch.content(call(basicReturn).short(amqp.NoRoute).shortstr("NO_ROUTE").shortstr(p.msg.exchange).shortstr(p.msg.key), &p.msg)
	}
	answer := call(basicAck).longlong(ch.published).bits(false)
	for _, q := range queues {
		if q.full() {
			answer = call(basicNack).longlong(ch.published).bits(false, false)
			continue
		}
		q.put(&p.msg)
	}
	if ch.confirms {
		ch.reply(answer)
	}
	return nil
}

// queue finds a queue; no name is the last one that the channel declared.
func (ch *channel) queue(name string) (*queue, *exception) {
	if name == "" {
		name = ch.lastQueue
	}
	q := ch.c.s.queues[name]
	if q == nil {
		return nil, refuse(amqp.NotFound, "NOT_FOUND - no queue '%s' in vhost '/'", name)
	}
	if q.exclusive != nil && q.exclusive != ch.c {
		return nil, refuse(amqp.ResourceLocked, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%s' in vhost '/'", name)
	}
	return q, nil
}

func (ch *channel) method(m method, r *reader) *exception {
	s := ch.c.s
	switch m {
	case channelFlow:
		ch.reply(call(channelFlowOk).bits(r.bits()[0]))
	case exchangeDeclare:
		return ch.declareExchange(r)
	case exchangeDelete:
		r.short()
		name, bits := r.shortstr(), r.bits()
		e := s.exchanges[name]
		if name == "" || strings.HasPrefix(name, "amq.") {
			return refuse(amqp.AccessRefused, "ACCESS_REFUSED - operation not permitted on the default exchange")
		}
		if e != nil && bits[0] && len(e.bindings) > 0 {
			return refuse(amqp.PreconditionFailed, "PRECONDITION_FAILED - exchange '%s' in vhost '/' in use", name)
		}
		delete(s.exchanges, name)
		if !bits[1] {
			ch.reply(call(exchangeDeleteOk))
		}
	case queueDeclare:
		return ch.declareQueue(r)
	case queueBind, queueUnbind:
		return ch.bind(m, r)
	case queuePurge:
		r.short()
		q, ex := ch.queue(r.shortstr())
		if ex != nil {
			return ex
		}
		n := len(q.ready)
		q.ready = nil
		if !r.bits()[0] {
			ch.reply(call(queuePurgeOk).long(uint32(n)))
		}
	case queueDelete:
		return ch.deleteQueue(r)
	case basicQos:
		r.long()
		n, all := int(r.short()), r.bits()[0]
		if all {
			ch.limit = n
			ch.serve()
		} else {
			ch.prefetch = n
		}
		ch.reply(call(basicQosOk))
	case basicConsume:
		return ch.consume(r)
	case basicCancel:
		tag, bits := r.shortstr(), r.bits()
		if co := ch.consumers[tag]; co != nil {
			ch.drop(co)
			s.unused(co.q)
		}
		if !bits[0] {
			ch.reply(call(basicCancelOk).shortstr(tag))
		}
	case basicCancelOk:
	case basicPublish:
		r.short()
		p := &coming{msg: message{exchange: r.shortstr(), key: r.shortstr()}, size: -1}
		bits := r.bits()
		p.mandatory = bits[0]
		if bits[1] {
			return fatal(amqp.NotImplemented, "NOT_IMPLEMENTED - immediate=true")
		}
		ch.coming = p
	case basicGet:
		r.short()
		q, ex := ch.queue(r.shortstr())
		if ex != nil {
			return ex
		}
		q.expire()
		if len(q.ready) == 0 {
			ch.reply(call(basicGetEmpty).shortstr(""))
			return nil
		}
		it := q.pop()
		tag := ch.hold(q, it, nil, r.bits()[0])
		ch.content(call(basicGetOk).longlong(tag).bits(it.redelivered).shortstr(it.msg.exchange).shortstr(it.msg.key).long(uint32(len(q.ready))), it.msg)
	case basicAck:
		tags, ex := ch.named(r.longlong(), r.bits()[0])
		if ex != nil {
			return ex
		}
		ch.settle(tags)
		ch.serve()
	case basicReject, basicNack:
		tag, bits := r.longlong(), r.bits()
		multiple, requeue := false, bits[0]
		if m == basicNack {
			multiple, requeue = bits[0], bits[1]
		}
		tags, ex := ch.named(tag, multiple)
		if ex != nil {
			return ex
		}
		if requeue {
			ch.giveBack(tags)
		} else {
			for _, d := range ch.settle(tags) {
				if !d.q.gone {
					d.q.deadLetter(d.it, "rejected")
				}
			}
		}
		ch.serve()
	case basicRecover:
		if !r.bits()[0] {
			return fatal(amqp.NotImplemented, "NOT_IMPLEMENTED - requeue=false")
		}
		ch.giveBack(slices.Collect(maps.Keys(ch.unacked)))
		ch.reply(call(basicRecoverOk))
	case confirmSelect:
		ch.confirms = true
		if !r.bits()[0] {
			ch.reply(call(confirmSelectOk))
		}
	default:
		return fatal(amqp.NotImplemented, "NOT_IMPLEMENTED - method %d.%d", m>>16, m&0xFFFF)
	}
	return nil
}

func (ch *channel) declareExchange(r *reader) *exception {
	s := ch.c.s
	r.short()
	name, kind, bits := r.shortstr(), r.shortstr(), r.bits()
	r.table()
	passive, durable, autoDelete, noWait := bits[0], bits[1], bits[2], bits[4]
	e := s.exchanges[name]
	switch {
	case e == nil && passive:
		return refuse(amqp.NotFound, "NOT_FOUND - no exchange '%s' in vhost '/'", name)
	case e == nil && strings.HasPrefix(name, "amq."):
		return refuse(amqp.AccessRefused, "ACCESS_REFUSED - exchange name '%s' contains reserved prefix 'amq.*'", name)
	case e == nil && kind != "direct" && kind != "fanout" && kind != "topic":
		return fatal(amqp.CommandInvalid, "COMMAND_INVALID - unknown exchange type '%s'", kind)
	case e == nil:
		s.exchanges[name] = &exchange{name: name, kind: kind, durable: durable, autoDelete: autoDelete}
	case passive:
	case e.kind != kind:
		return inequivalent("type", "exchange", name, kind, e.kind)
	case e.durable != durable:
		return inequivalent("durable", "exchange", name, durable, e.durable)
	case e.autoDelete != autoDelete:
		return inequivalent("auto_delete", "exchange", name, autoDelete, e.autoDelete)
	}
	if !noWait {
		ch.reply(call(exchangeDeclareOk))
	}
	return nil
}

func inequivalent(arg, what, name string, received, current any) *exception {
	return refuse(amqp.PreconditionFailed, "PRECONDITION_FAILED - inequivalent arg '%s' for %s '%s' in vhost '/': received '%v' but current is '%v'",
		arg, what, name, received, current)
}

func (ch *channel) declareQueue(r *reader) *exception {
	s := ch.c.s
	r.short()
	name, bits := r.shortstr(), r.bits()
	args := r.table()
	passive, durable, exclusive, autoDelete, noWait := bits[0], bits[1], bits[2], bits[3], bits[4]
	if name == "" && !passive {
		s.named++
		name = fmt.Sprintf("amq.gen-%d", s.named)
	} else if s.queues[name] == nil && !passive && strings.HasPrefix(name, "amq.") {
		return refuse(amqp.AccessRefused, "ACCESS_REFUSED - queue name '%s' contains reserved prefix 'amq.*'", name)
	}
	q := s.queues[name]
	if q == nil && !passive {
		q = &queue{s: s, name: name, durable: durable, autoDelete: autoDelete, args: args}
		if exclusive {
			q.exclusive = ch.c
		}
		s.queues[name] = q
	} else {
		var ex *exception
		if q, ex = ch.queue(name); ex != nil {
			return ex
		}
		if !passive {
			if ex := q.differs(durable, exclusive, autoDelete, args); ex != nil {
				return ex
			}
		}
	}
	ch.lastQueue = name
	q.expire()
	if !noWait {
		ch.reply(call(queueDeclareOk).shortstr(name).long(uint32(len(q.ready))).long(uint32(len(q.consumers))))
	}
	return nil
}

// differs refuses a declaration that does not agree with the queue.
func (q *queue) differs(durable, exclusive, autoDelete bool, args amqp.Table) *exception {
	switch {
	case q.durable != durable:
		return inequivalent("durable", "queue", q.name, durable, q.durable)
	case q.autoDelete != autoDelete:
		return inequivalent("auto_delete", "queue", q.name, autoDelete, q.autoDelete)
	case (q.exclusive != nil) != exclusive:
		return inequivalent("exclusive", "queue", q.name, exclusive, q.exclusive != nil)
	}
	for _, name := range []string{"x-message-ttl", "x-max-length", "x-overflow", "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-queue-type"} {
		received, current := args[name], q.args[name]
		a, isNumber := integer(received)
		b, _ := integer(current)
		if received != current && !(isNumber && current != nil && a == b) {
			return inequivalent(name, "queue", q.name, orNone(received), orNone(current))
		}
	}
	return nil
}

func orNone(v any) any {
	if v == nil {
		return "none"
	}
	return v
}

func (ch *channel) bind(m method, r *reader) *exception {
	s := ch.c.s
	r.short()
	q, ex := ch.queue(r.shortstr())
	if ex != nil {
		return ex
	}
	name, key := r.shortstr(), r.shortstr()
	noWait := m == queueBind && r.bits()[0]
	r.table()
	e := s.exchanges[name]
	switch {
	case e == nil:
		return refuse(amqp.NotFound, "NOT_FOUND - no exchange '%s' in vhost '/'", name)
	case name == "":
		return refuse(amqp.AccessRefused, "ACCESS_REFUSED - operation not permitted on the default exchange")
	}
	b := binding{q, key}
	if m == queueUnbind {
		s.unbind(e, func(other binding) bool { return other == b })
		ch.reply(call(queueUnbindOk))
		return nil
	}
	if !slices.Contains(e.bindings, b) {
		e.bindings = append(e.bindings, b)
	}
	if !noWait {
		ch.reply(call(queueBindOk))
	}
	return nil
}

func (ch *channel) deleteQueue(r *reader) *exception {
	r.short()
	name, bits := r.shortstr(), r.bits()
	n := 0
	if ch.c.s.queues[name] != nil || name == "" { // to delete what is not there is no error
		q, ex := ch.queue(name)
		if ex != nil {
			return ex
		}
		if n = len(q.ready); bits[1] && n > 0 {
			return refuse(amqp.PreconditionFailed, "PRECONDITION_FAILED - queue '%s' in vhost '/' not empty", name)
		}
		if bits[0] && len(q.consumers) > 0 {
			return refuse(amqp.PreconditionFailed, "PRECONDITION_FAILED - queue '%s' in vhost '/' in use", name)
		}
		ch.c.s.deleteQueue(q)
	}
	if !bits[2] {
		ch.reply(call(queueDeleteOk).long(uint32(n)))
	}
	return nil
}

func (ch *channel) consume(r *reader) *exception {
	r.short()
	q, ex := ch.queue(r.shortstr())
	if ex != nil {
		return ex
	}
	tag, bits := r.shortstr(), r.bits()
	r.table()
	if tag == "" {
		ch.tags++
		tag = fmt.Sprintf("amq.ctag-%d-%d", ch.number, ch.tags)
	}
	if ch.consumers[tag] != nil {
		return fatal(amqp.NotAllowed, "NOT_ALLOWED - attempt to reuse consumer tag '%s'", tag)
	}
	if len(q.consumers) > 0 && (bits[2] || q.consumers[0].alone) {
		return refuse(amqp.AccessRefused, "ACCESS_REFUSED - queue '%s' in vhost '/' in exclusive use", q.name)
	}
	co := &consumer{ch: ch, q: q, tag: tag, noAck: bits[1], alone: bits[2], prefetch: ch.prefetch}
	ch.consumers[tag] = co
	q.consumers = append(q.consumers, co)
	if !bits[3] {
		ch.reply(call(basicConsumeOk).shortstr(tag))
	}
	q.deliver()
	return nil
}
