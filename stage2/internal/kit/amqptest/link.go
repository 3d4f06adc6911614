package amqptest

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// Link is an address of the broker for one client: a proxy that reads the frames that pass, counts them, and disturbs them when a test
// wants. It does not know which broker is behind it.
type Link struct {
	broker   *Broker
	listener net.Listener
	running  sync.WaitGroup

	mu        sync.Mutex
	flowing   *sync.Cond // frozen has changed
	pairs     map[*pair]bool
	attempts  []time.Time
	down      bool
	frozen    bool
	closed    bool
	hold      func(Published) bool
	late      bool // deliveries are held back
	published []Published
	counts    Counts
}

// Published is a message that a client has sent to the broker.
type Published struct {
	Connection    int // 1 is the link's first
	Exchange, Key string
	ID            string // the property message-id
	Body          string
	Mandatory     bool
	Persistent    bool
}

// Counts is what has passed a link so far.
type Counts struct {
	Connections int // handshakes that were begun
	Confirms    int // messages of which the client has heard ack or nack
	Deliveries  int // messages that the client was sent by basic.deliver
	Acks        int // messages that it has acknowledged
	Nacks       int // messages that it has rejected, whether to be queued again or not
	InHand      int // deliveries that are not settled at this moment
	MostInHand  int // the greatest InHand of one connection
}

// Link opens a way to the broker. It is closed when the test ends.
func (b *Broker) Link(t testing.TB) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("amqptest: %v", err)
	}
	l := &Link{broker: b, listener: listener, pairs: map[*pair]bool{}}
	l.flowing = sync.NewCond(&l.mu)
	l.running.Go(l.serve)
	b.mu.Lock()
	b.links = append(b.links, l)
	b.mu.Unlock()
	t.Cleanup(l.close)
	return l
}

// URL is what a client dials.
func (l *Link) URL() string {
	return l.broker.url(l.listener.Addr().String())
}

// Cut breaks the link's connections. New ones can be made.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
}

func (l *Link) cut() {
	for p := range l.pairs {
		p.sever()
	}
	l.flowing.Broadcast()
}

// Down breaks the link's connections, and those that come, until Up.
func (l *Link) Down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	l.cut()
}

// Up lets connections through again.
func (l *Link) Up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// Freeze holds everything back, in both directions. No connection breaks: nobody is told.
func (l *Link) Freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = true
}

// Thaw ends a Freeze. What was held back goes on its way.
func (l *Link) Thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = false
	l.flowing.Broadcast()
}

// HoldConfirms keeps the broker's confirms, ack and nack, of certain messages from the client; nil means of all. The broker has taken
// the messages, and everything else passes. What is held is lost when its connection breaks.
func (l *Link) HoldConfirms(of func(Published) bool) {
	if of == nil {
		of = func(Published) bool { return true }
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = of
}

// ReleaseConfirms lets the confirms through that were held, and those to come.
func (l *Link) ReleaseConfirms() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = nil
	for p := range l.pairs {
		for _, f := range p.held {
			l.counts.Confirms++
			p.toClient(f)
		}
		p.held = nil
	}
}

// HoldDeliveries keeps from the client what the broker delivers to its consumers. The broker takes it to be in the client's hand. What is
// held is lost when its connection breaks.
func (l *Link) HoldDeliveries() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = true
}

// ReleaseDeliveries lets the deliveries through that were held, and those to come.
func (l *Link) ReleaseDeliveries() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = false
	for p := range l.pairs {
		p.toClient(p.deliveries...)
		p.deliveries = nil
	}
}

// Held counts the confirms that are held back.
func (l *Link) Held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for p := range l.pairs {
		n += len(p.held)
	}
	return n
}

// Published lists what the client has published so far.
func (l *Link) Published() []Published {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.published)
}

// Attempts lists when the client tried to connect.
func (l *Link) Attempts() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.attempts)
}

// Open counts the connections that are open now.
func (l *Link) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pairs)
}

// Counts is what has passed so far.
func (l *Link) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts
	for p := range l.pairs {
		c.InHand += p.inHand()
	}
	return c
}

func (l *Link) close() {
	l.listener.Close()
	l.mu.Lock()
	l.closed, l.frozen = true, false
	l.flowing.Broadcast()
	l.cut()
	l.mu.Unlock()
	l.running.Wait()
}

func (l *Link) serve() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		l.attempts = append(l.attempts, time.Now())
		down := l.down || l.closed
		l.mu.Unlock()
		if down {
			client.Close()
			continue
		}
		l.running.Go(func() { l.forward(client) })
	}
}

func (l *Link) forward(client net.Conn) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", l.broker.addr, Patience)
	if err != nil {
		return
	}
	defer server.Close()
	p := &pair{link: l, client: client, server: server, channels: map[uint16]*seen{}}
	l.mu.Lock()
	if l.down || l.closed {
		l.mu.Unlock()
		return
	}
	l.counts.Connections++
	p.number = l.counts.Connections
	l.pairs[p] = true
	l.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.up()
		p.end()
	}()
	p.downstream()
	p.end()
	<-done
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
}

// pair is a client's connection and the one to the broker that stands for it. What it knows is under the link's lock.
type pair struct {
	link           *Link
	number         int
	client, server net.Conn
	channels       map[uint16]*seen
	held           []frame // confirms
	deliveries     []frame // that are held too
	over           bool
}

// seen is what a link knows of a channel.
type seen struct {
	sending   *Published // of which frames are still to come
	left      int        // bytes of it that are to come; -1 before the header
	confirms  bool
	published uint64
	open      map[uint64]Published // published and not confirmed
	unsettled map[uint64]bool      // delivered and not settled
	late      bool                 // the message that the broker is sending is held back
}

func (p *pair) end() {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	p.sever()
	p.link.flowing.Broadcast()
}

// sever breaks both connections, so that both pumps end. The caller holds the link's lock.
func (p *pair) sever() {
	p.held, p.deliveries = nil, nil // lost
	p.over = true
	p.client.Close()
	p.server.Close()
}

func (p *pair) channel(n uint16) *seen {
	if p.channels[n] == nil {
		p.channels[n] = &seen{open: map[uint64]Published{}, unsettled: map[uint64]bool{}}
	}
	return p.channels[n]
}

func (p *pair) inHand() int {
	n := 0
	for _, ch := range p.channels {
		n += len(ch.unsettled)
	}
	return n
}

// pass waits until the link is not frozen, with the lock held.
func (p *pair) pass() {
	for p.link.frozen && !p.over {
		p.link.flowing.Wait()
	}
}

func (p *pair) toClient(frames ...frame) {
	var b []byte
	for _, f := range frames {
		b = f.append(b)
	}
	p.client.SetWriteDeadline(time.Now().Add(Patience)) // a client that does not read must not hold up the test
	p.client.Write(b)
}

// up carries what the client sends.
func (p *pair) up() {
	greeting := make([]byte, len(protocolHeader))
	if _, err := io.ReadFull(p.client, greeting); err != nil {
		return
	}
	if _, err := p.server.Write(greeting); err != nil || !bytes.HasPrefix(greeting, []byte("AMQP")) {
		return
	}
	for {
		f, err := readFrame(p.client)
		if err != nil {
			return
		}
		p.link.mu.Lock()
		p.pass()
		p.sent(f)
		p.link.mu.Unlock()
		if _, err := p.server.Write(f.append(nil)); err != nil {
			return
		}
	}
}

// sent notes what the client sends.
func (p *pair) sent(f frame) {
	ch := p.channel(f.channel)
	switch f.method() {
	case confirmSelect:
		ch.confirms = true
	case basicPublish:
		r := f.args()
		r.short()
		ch.sending = &Published{Connection: p.number, Exchange: r.shortstr(), Key: r.shortstr()}
		ch.sending.Mandatory = r.bits()[0]
		ch.left = -1
		return
	case basicAck:
		r := f.args()
		p.link.counts.Acks += ch.settle(r.longlong(), r.bits()[0])
	case basicNack:
		r := f.args()
		p.link.counts.Nacks += ch.settle(r.longlong(), r.bits()[0])
	case basicReject:
		p.link.counts.Nacks += ch.settle(f.args().longlong(), false)
	case channelClose, channelCloseOk: // nothing more may come on this channel
		delete(p.channels, f.channel)
		here := func(held frame) bool { return held.channel == f.channel }
		p.held, p.deliveries = slices.DeleteFunc(p.held, here), slices.DeleteFunc(p.deliveries, here)
	case queueDeclare:
		r := f.args()
		r.short()
		name, bits := r.shortstr(), r.bits()
		if !bits[0] && name != "" {
			p.link.broker.declared(name, true, bits[1])
		}
	case exchangeDeclare:
		r := f.args()
		r.short()
		name := r.shortstr()
		r.shortstr()
		if bits := r.bits(); !bits[0] {
			p.link.broker.declared(name, false, bits[1])
		}
	}
	if ch.sending == nil {
		return
	}
	switch f.kind {
	case frameHeader:
		r := &reader{b: f.payload}
		r.long()
		ch.left = int(r.longlong())
		props := r.properties()
		ch.sending.ID, ch.sending.Persistent = props.messageID, props.mode == 2
	case frameBody:
		ch.left -= len(f.payload)
		ch.sending.Body += string(f.payload)
	}
	if ch.left == 0 {
		p.link.published = append(p.link.published, *ch.sending)
		if ch.confirms {
			ch.published++
			ch.open[ch.published] = *ch.sending
		}
		ch.sending = nil
	}
}

func (ch *seen) settle(tag uint64, multiple bool) int {
	n := 0
	for t := range ch.unsettled {
		if t == tag || multiple && (t < tag || tag == 0) {
			delete(ch.unsettled, t)
			n++
		}
	}
	return n
}

// downstream carries what the broker sends.
func (p *pair) downstream() {
	for {
		f, err := readFrame(p.server)
		if err != nil {
			return
		}
		p.link.mu.Lock()
		p.pass()
		pass := p.received(f)
		p.toClient(pass...)
		p.link.mu.Unlock()
	}
}

// received notes what the broker sends, and returns what of it the client gets.
func (p *pair) received(f frame) []frame {
	l, ch := p.link, p.channel(f.channel)
	m := f.method()
	if m != 0 {
		ch.late = m == basicDeliver && l.late
	}
	switch m {
	case basicAck, basicNack:
		return p.confirm(ch, f, m)
	case basicDeliver:
		r := f.args()
		r.shortstr()
		ch.unsettled[r.longlong()] = true
		l.counts.Deliveries++
		l.counts.MostInHand = max(l.counts.MostInHand, p.inHand())
	case channelClose, channelCloseOk:
		delete(p.channels, f.channel)
	}
	if ch.late && l.late {
		p.deliveries = append(p.deliveries, f)
		return nil
	}
	return []frame{f}
}

// confirm makes of a confirm one for each message, and holds back what is to be held.
func (p *pair) confirm(ch *seen, f frame, m method) []frame {
	r := f.args()
	tag, multiple := r.longlong(), r.bits()[0]
	var tags []uint64
	for t := range ch.open {
		if t == tag || multiple && (t < tag || tag == 0) {
			tags = append(tags, t)
		}
	}
	slices.Sort(tags)
	var pass []frame
	for _, t := range tags {
		one := frame{frameMethod, f.channel, call(m).longlong(t).bits(false).b}
		msg := ch.open[t]
		delete(ch.open, t)
		if p.link.hold != nil && p.link.hold(msg) {
			p.held = append(p.held, one)
			continue
		}
		p.link.counts.Confirms++
		pass = append(pass, one)
	}
	return pass
}
