package natstest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Link is an address of the server for one client: a proxy that notes what passes, and disturbs it when a test wants.
type Link struct {
	server   *Server
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	moved *sync.Cond // acks may pass, or a connection is severed
	pairs map[*pair]bool
	down  bool // also after the end of the test
	hold  bool
	acks  bool // they are held
	lose  int
	sent  []Message
}

// Message is a message that a client has published.
type Message struct {
	Subject string
	ID      string // the header Nats-Msg-Id
	Body    string
}

// Link opens a way to the server. It is closed when the test ends.
func (s *Server) Link(t testing.TB) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	l := &Link{server: s, listener: listener, pairs: map[*pair]bool{}}
	l.moved = sync.NewCond(&l.mu)
	l.running.Go(l.serve)
	t.Cleanup(func() {
		l.listener.Close()
		l.Down()
		l.running.Wait()
	})
	return l
}

// Connect makes a connection through the link, which is made again quickly when it breaks. It is closed when the test ends.
func (l *Link) Connect(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	opts = append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(5 * time.Millisecond), nats.ReconnectJitter(0, 0), nats.IgnoreDiscoveredServers()}, opts...)
	nc, err := nats.Connect(l.server.url(l.listener.Addr().String()), opts...)
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	t.Cleanup(nc.Close)
	return nc
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

// HoldAnswers keeps JetStream's answers to published messages from the client: the server has stored them, and everything else passes. What
// is held is lost when its connection breaks.
func (l *Link) HoldAnswers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = true
}

// ReleaseAnswers lets the answers through that were held, and those to come.
func (l *Link) ReleaseAnswers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = false
	for p := range l.pairs {
		for _, frame := range p.held {
			p.toClient(frame)
		}
		p.held = nil
	}
}

// Held counts the answers that are held back.
func (l *Link) Held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for p := range l.pairs {
		n += len(p.held)
	}
	return n
}

// HoldAcks keeps what the client says of the messages that it was given from the server, and what it sends after that.
func (l *Link) HoldAcks() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = true
}

// ReleaseAcks lets through what was held, and what is to come.
func (l *Link) ReleaseAcks() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = false
	l.moved.Broadcast()
}

// LoseAnswers loses the next n of JetStream's answers to published messages.
func (l *Link) LoseAnswers(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = n
}

// Sent lists what the client has published to a subject so far; to all below it, if the subject ends in ".".
func (l *Link) Sent(subject string) []Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Message
	for _, m := range l.sent {
		if m.Subject == subject || strings.HasSuffix(subject, ".") && strings.HasPrefix(m.Subject, subject) {
			list = append(list, m)
		}
	}
	return list
}

// Acks counts what the client has said of the messages that it was given: "+ACK", "-NAK", "+WPI" (in progress) or "+TERM".
func (l *Link) Acks(verb string) int {
	n := 0
	for _, m := range l.Sent("$JS.ACK.") {
		if strings.HasPrefix(m.Body, verb) || m.Body == "" && verb == "+ACK" {
			n++
		}
	}
	return n
}

// Subscriptions lists the subjects that the client is subscribed to now, sorted.
func (l *Link) Subscriptions() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for p := range l.pairs {
		for _, subject := range p.subscribed {
			list = append(list, subject)
		}
	}
	slices.Sort(list)
	return list
}

func (l *Link) serve() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.forward(client) })
	}
}

func (l *Link) forward(client net.Conn) {
	defer client.Close()
	upstream, err := net.DialTimeout("tcp", l.server.addr, Patience)
	if err != nil {
		return
	}
	defer upstream.Close()
	p := &pair{link: l, client: client, server: upstream, subscribed: map[string]string{}}
	l.mu.Lock()
	if l.down {
		l.mu.Unlock()
		return
	}
	l.pairs[p] = true
	l.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.carry(client, p.up)
	}()
	p.carry(upstream, p.downstream)
	<-done
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pairs, p)
}

// pair is a client's connection and the one to the server that stands for it. What it knows is under the link's lock.
type pair struct {
	link           *Link
	client, server net.Conn
	subscribed     map[string]string // subjects, by the client's number
	held           [][]byte
	over           bool
}

func (p *pair) sever() {
	p.held = nil
	p.over = true
	p.client.Close()
	p.server.Close()
	p.link.moved.Broadcast()
}

// carry hands on, frame by frame, until one side is gone; then it severs the other.
func (p *pair) carry(from io.Reader, pass func(op string, args []string, frame []byte) error) {
	defer func() {
		p.link.mu.Lock()
		defer p.link.mu.Unlock()
		p.sever()
	}()
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		op := strings.ToUpper(fields[0])
		if op == "PUB" || op == "HPUB" || op == "MSG" || op == "HMSG" {
			size, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				return
			}
			payload := make([]byte, size+2)
			if _, err := io.ReadFull(r, payload); err != nil {
				return
			}
			line = append(line, payload...)
		}
		if pass(op, fields[1:], line) != nil {
			return
		}
	}
}

// content splits a frame with a payload into headers and body.
func content(op string, args []string, frame []byte) (nats.Header, string) {
	_, payload, _ := bytes.Cut(frame, []byte("\n"))
	payload = payload[:len(payload)-2]
	if op[0] != 'H' {
		return nil, string(payload)
	}
	size, err := strconv.Atoi(args[len(args)-2])
	if err != nil || size > len(payload) {
		return nil, string(payload)
	}
	_, lines, _ := bytes.Cut(payload[:size], []byte("\n")) // after NATS/1.0
	header, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(lines))).ReadMIMEHeader()
	return nats.Header(header), string(payload[size:])
}

// up carries what the client sends. It is noted first: when the client hears of an effect, a test finds the cause.
func (p *pair) up(op string, args []string, frame []byte) error {
	p.note(op, args, frame)
	_, err := p.server.Write(frame)
	return err
}

func (p *pair) note(op string, args []string, frame []byte) {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	switch op {
	case "SUB":
		p.subscribed[args[len(args)-1]] = args[0]
	case "UNSUB":
		if len(args) == 1 { // else it ends by itself, after so many messages
			delete(p.subscribed, args[0])
		}
	case "PUB", "HPUB":
		header, body := content(op, args, frame)
		p.link.sent = append(p.link.sent, Message{Subject: args[0], ID: textproto.MIMEHeader(header).Get("Nats-Msg-Id"), Body: body})
		for strings.HasPrefix(args[0], "$JS.ACK.") && p.link.acks && !p.over {
			p.link.moved.Wait()
		}
	}
}

// downstream carries what the server sends.
func (p *pair) downstream(op string, args []string, frame []byte) error {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	if op == "MSG" {
		if _, body := content(op, args, frame); strings.HasPrefix(body, `{"stream":`) && strings.Contains(body, `"seq":`) {
			switch {
			case p.link.lose > 0:
				p.link.lose--
				return nil
			case p.link.hold:
				p.held = append(p.held, frame)
				return nil
			}
		}
	}
	return p.toClient(frame)
}

func (p *pair) toClient(frame []byte) error {
	p.client.SetWriteDeadline(time.Now().Add(Patience)) // a client that does not read must not hold up the test
	_, err := p.client.Write(frame)
	return err
}
