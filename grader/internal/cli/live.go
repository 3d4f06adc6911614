package cli

import (
	"io"
	"sync"
	"time"

	"github.com/roadkata/roadkata/grader/internal/suite"
	"github.com/roadkata/roadkata/grader/internal/term"
)

// live is the one line on a terminal that says what goes on.
type live struct {
	f     *Factory
	katas int
	began time.Time
	quit  chan struct{}
	gone  chan struct{}

	mu    sync.Mutex
	last  suite.Step
	drawn int // how often
}

// startLive draws the line until it is stopped; it stays dumb where nobody looks.
func (f *Factory) startLive(katas int) *live {
	l := &live{f: f, katas: katas, began: time.Now(), quit: make(chan struct{}), gone: make(chan struct{})}
	if !f.ErrTTY || katas == 0 {
		close(l.gone)
		return l
	}
	go l.draw()
	return l
}

// step notes what suite.Run tells.
func (l *live) step(s suite.Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = s
}

// stop wipes the line. Nothing is drawn after it.
func (l *live) stop() {
	close(l.quit)
	<-l.gone
}

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func (l *live) draw() {
	defer close(l.gone)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			_, _ = io.WriteString(l.f.Err, wipe)
			return
		case <-tick.C:
			_, _ = io.WriteString(l.f.Err, wipe+l.line())
		}
	}
}

// wipe goes back to the line's start and empties it.
const wipe = "\r\x1b[K"

func (l *live) line() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drawn++
	return l.f.errStyle().Name(spinner[l.drawn%len(spinner)]) + " " + term.Cut(l.text(), l.f.Width-3)
}

func (l *live) text() string {
	seconds := int(time.Since(l.began).Seconds())
	if l.last.Done == 0 {
		return l.f.T("live.build", seconds)
	}
	name := ""
	if l.last.Pair != nil {
		name = l.last.Pair.Kata.Path
	}
	return l.f.T("live.run", l.last.Done, l.last.Of, seconds, name)
}
