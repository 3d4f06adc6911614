package etcdtest

import (
	"io"
	"net"
	"sync"
)

// proxy is an address that stays, in front of one that changes.
type proxy struct {
	listener net.Listener
	target   func() string

	mu     sync.Mutex
	conns  map[net.Conn]bool
	frozen chan struct{} // closed when traffic flows; replaced by Freeze
	closed bool
}

func newProxy(target func() string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, target: target, conns: map[net.Conn]bool{}, frozen: make(chan struct{})}
	close(p.frozen)
	go p.serve()
	return p, nil
}

func (p *proxy) Addr() string { return p.listener.Addr().String() }

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.forward(in)
	}
}

func (p *proxy) forward(in net.Conn) {
	defer in.Close()
	p.wait()
	out, err := dial(p.target())
	if err != nil {
		return
	}
	defer out.Close()
	if !p.keep(in, out) {
		return
	}
	defer p.forget(in, out)
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() {
			io.Copy(gate{pair[1], p}, pair[0])
			done <- struct{}{}
		}()
	}
	<-done // one direction ended: so does the other
	in.Close()
	out.Close()
	<-done
}

// gate lets bytes through while the proxy is not frozen.
type gate struct {
	net.Conn
	p *proxy
}

func (g gate) Write(b []byte) (int, error) {
	g.p.wait()
	return g.Conn.Write(b)
}

// ReadFrom hides the connection's own, which would go past the gate.
func (g gate) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{g}, r)
}

func (p *proxy) wait() {
	p.mu.Lock()
	frozen := p.frozen
	p.mu.Unlock()
	<-frozen
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
	}
	return !p.closed
}

func (p *proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// Freeze holds all bytes back. Connections stay up: nobody is told.
func (p *proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.frozen:
		p.frozen = make(chan struct{})
	default:
	}
}

// Thaw ends a Freeze. What was held back is lost with its connections, as after a real partition of some length.
func (p *proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.frozen:
	default:
		p.sever()
		close(p.frozen)
	}
}

// Sever breaks all connections; new ones may come.
func (p *proxy) Sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sever()
}

func (p *proxy) sever() {
	for c := range p.conns {
		c.Close()
	}
}

// Close ends the proxy.
func (p *proxy) Close() {
	p.listener.Close()
	p.Thaw()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.sever()
}
