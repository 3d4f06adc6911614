package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Source says when files may have changed.
type Source interface {
	// Changed receives a value when something may have changed.
	Changed() <-chan struct{}
	// Follow names the folders that matter; those that do not exist are passed over.
	Follow(dirs []string)
	Close() error
}

const (
	pollEvery = 300 * time.Millisecond
	// glance is how often the files are looked at where the file system notifies:
	// some say that they do and then stay silent (shared folders of containers).
	glance = 2 * time.Second
)

// PollEnv is the environment variable that asks for polling.
const PollEnv = "ROADKATA_WATCH"

// Open returns the best source for the workspace at root: the file system's
// notifications where they are to be trusted, else polling. note says why it
// polls; it is empty otherwise.
func Open(root string) (s Source, note string) {
	if os.Getenv(PollEnv) == "poll" {
		return Poll(pollEvery), PollEnv + "=poll"
	}
	if name := remote(root); name != "" {
		return Poll(pollEvery), name + " does not notify of changes"
	}
	n, err := notify()
	if err != nil {
		return Poll(pollEvery), fmt.Sprintf("no notifications of changes: %v", err)
	}
	return n, ""
}

// Poll returns a source that asks for a look at the files at intervals.
func Poll(interval time.Duration) Source {
	p := &poller{changed: make(chan struct{}, 1), quit: make(chan struct{}), ticker: time.NewTicker(interval)}
	go p.run()
	return p
}

type poller struct {
	changed chan struct{}
	quit    chan struct{}
	ticker  *time.Ticker
	once    sync.Once
}

func (p *poller) run() {
	for {
		select {
		case <-p.ticker.C:
			p.wake()
		case <-p.quit:
			return
		}
	}
}

func (p *poller) wake() {
	select {
	case p.changed <- struct{}{}:
	default: // one is waiting already
	}
}

func (p *poller) Changed() <-chan struct{} { return p.changed }
func (p *poller) Follow([]string)          {}

func (p *poller) Close() error {
	p.once.Do(func() {
		p.ticker.Stop()
		close(p.quit)
	})
	return nil
}

// notifier passes the file system's notifications on, and takes a glance now and then.
type notifier struct {
	*poller
	fs *fsnotify.Watcher
}

func notify() (*notifier, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	p := &poller{changed: make(chan struct{}, 1), quit: make(chan struct{}), ticker: time.NewTicker(glance)}
	n := &notifier{poller: p, fs: w}
	go p.run()
	go n.listen()
	return n, nil
}

// listen wakes at every event and at every error: after an overflow nobody
// knows what has changed.
func (n *notifier) listen() {
	for {
		select {
		case e, ok := <-n.fs.Events:
			if !ok {
				return
			}
			if e.Op != fsnotify.Chmod {
				n.wake()
			}
		case _, ok := <-n.fs.Errors:
			if !ok {
				return
			}
			n.wake()
		}
	}
}

// Follow watches folders, not files: an atomic save replaces the file, and what
// watched it would be left with the old one.
func (n *notifier) Follow(dirs []string) {
	watched := n.fs.WatchList()
	for _, d := range dirs {
		if slices.Contains(watched, d) {
			continue
		}
		if err := n.fs.Add(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			// Out of watches or descriptors: what cannot be heard has to be looked at.
			n.ticker.Reset(pollEvery)
		}
	}
}

func (n *notifier) Close() error {
	_ = n.poller.Close()
	return n.fs.Close()
}
