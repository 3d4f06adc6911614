// Package watch checks the kata that was just saved, and moves on to the next
// one when it passes.
//
// A Source says that something may have changed; what did, the package finds out
// itself by comparing files, so an editor's way of saving does not matter. It
// never decides what passes, and never writes below the workspace.
package watch

import (
	"context"
	"slices"
	"time"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
)

const (
	// debounce is how long the files must be quiet before they are looked at: a
	// save is several events.
	debounce = 20 * time.Millisecond
	// patience bounds the wait for quiet and for a file that is being replaced.
	patience = 25 * debounce
)

// Check judges the learner's files of katas, in their order. It ends soon after
// ctx does.
type Check func(ctx context.Context, katas []*course.Kata) ([]grade.Kata, error)

// View shows what happens. It is called from one goroutine.
type View interface {
	Checking(katas []*course.Kata)
	Verdicts(verdicts []grade.Kata)
	MovedOn(to *course.Kata)
	AllPassed()
	Failed(err error) // the check itself failed; the watch goes on
}

// Key is what a learner types while watching.
type Key int

// The keys.
const (
	Again Key = iota // check the current kata once more
	Next             // leave it and go on
	Hint
	Quit
)

// Options of a watch.
type Options struct {
	Katas   []*course.Kata  // the selection, in teaching order
	Current *course.Kata    // where the learner is; nil: the first that has not passed
	Passed  map[string]bool // by path: what has passed before; may be nil
	Check   Check
	View    View
	Source  Source
	Keys    <-chan Key                                      // nil: none
	Hint    func(ctx context.Context, k *course.Kata) error // for the key; may be nil
}

// Run watches until ctx ends or the learner quits. No check is left running.
func Run(ctx context.Context, opts Options) error {
	w := &watcher{Options: opts, passed: map[string]bool{}, outcomes: make(chan outcome)}
	for p, ok := range opts.Passed {
		w.passed[p] = ok
	}
	w.seen = w.look()
	w.follow()
	ctx, cancel := context.WithCancel(ctx)
	defer w.stop()
	defer cancel()
	w.begin(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Source.Changed():
			w.saved(ctx)
		case o := <-w.outcomes:
			w.conclude(ctx, o)
		case key := <-w.Keys:
			if key == Quit {
				return nil
			}
			w.pressed(ctx, key)
		}
	}
}

type watcher struct {
	Options
	passed   map[string]bool
	seen     []snapshot // of each kata, as last looked at
	running  *attempt   // the newest check; nil: none
	outcomes chan outcome
}

// attempt is one check under way.
type attempt struct {
	cancel context.CancelFunc
	done   chan struct{}
}

type outcome struct {
	of       *attempt
	verdicts []grade.Kata
	err      error
}

// begin says where the learner stands before anything is saved.
func (w *watcher) begin(ctx context.Context) {
	if w.Current == nil {
		w.Current = w.open(len(w.Katas) - 1)
	}
	if w.Current == nil {
		w.View.AllPassed()
		return
	}
	w.check(ctx, w.Current)
}

// open returns the first kata after number i, going round, that has not passed.
func (w *watcher) open(i int) *course.Kata {
	for n := range w.Katas {
		if k := w.Katas[(i+1+n)%len(w.Katas)]; !w.passed[k.Path] {
			return k
		}
	}
	return nil
}

// saved finds out which katas have changed and checks them.
func (w *watcher) saved(ctx context.Context) {
	w.settle(ctx)
	now := w.look()
	// An atomic save takes the file away for a moment.
	for waited := time.Duration(0); w.torn(now) && waited < patience && ctx.Err() == nil; waited += debounce {
		w.settle(ctx)
		now = w.look()
	}
	var katas []*course.Kata
	for i, k := range w.Katas {
		if now[i].differs(w.seen[i]) {
			katas = append(katas, k)
		}
	}
	w.seen = now
	w.follow()
	if len(katas) == 0 || ctx.Err() != nil {
		return
	}
	if w.Current == nil || !slices.Contains(katas, w.Current) {
		w.Current = katas[0]
	}
	w.check(ctx, katas...)
}

// settle waits until nothing has been reported for a while.
func (w *watcher) settle(ctx context.Context) {
	limit := time.After(patience)
	for {
		select {
		case <-w.Source.Changed():
		case <-time.After(debounce):
			return
		case <-limit:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (w *watcher) look() []snapshot {
	out := make([]snapshot, len(w.Katas))
	for i, k := range w.Katas {
		var before snapshot
		if w.seen != nil {
			before = w.seen[i]
		}
		out[i] = take(k, before)
	}
	return out
}

// torn reports whether a file that was there is missing.
func (w *watcher) torn(now []snapshot) bool {
	for i := range now {
		if now[i].lacks(w.seen[i]) {
			return true
		}
	}
	return false
}

// follow tells the source which folders matter now: new ones may have come.
func (w *watcher) follow() {
	var dirs []string
	for i, k := range w.Katas {
		dirs = append(dirs, ancestors(k)...)
		dirs = append(dirs, w.seen[i].dirs...)
	}
	slices.Sort(dirs)
	w.Source.Follow(slices.Compact(dirs))
}

// check starts a check of katas and gives up the one before it: its verdict
// would be on files that are no more, and it may never end.
func (w *watcher) check(ctx context.Context, katas ...*course.Kata) {
	before := w.running
	if before != nil {
		before.cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{cancel: cancel, done: make(chan struct{})}
	w.running = a
	w.View.Checking(katas)
	go func() {
		defer close(a.done)
		defer cancel()
		if before != nil {
			<-before.done // two checks at once would only slow each other
		}
		if ctx.Err() != nil {
			return
		}
		verdicts, err := w.Check(ctx, katas)
		select {
		case w.outcomes <- outcome{a, verdicts, err}:
		case <-ctx.Done():
		}
	}()
}

// conclude shows what a check has found, and moves on if the current kata passes.
func (w *watcher) conclude(ctx context.Context, o outcome) {
	if o.of != w.running {
		return
	}
	w.running = nil
	if o.err != nil {
		w.View.Failed(o.err)
		return
	}
	w.View.Verdicts(o.verdicts)
	for _, v := range o.verdicts {
		w.passed[v.Path] = v.Status == grade.Passed
	}
	if w.passed[w.Current.Path] {
		w.moveOn(ctx)
	}
}

func (w *watcher) moveOn(ctx context.Context) {
	next := w.open(slices.Index(w.Katas, w.Current))
	if next == nil {
		w.View.AllPassed()
		return
	}
	if next == w.Current {
		return // it is the only one left
	}
	w.Current = next
	w.View.MovedOn(next)
	w.check(ctx, next)
}

func (w *watcher) pressed(ctx context.Context, key Key) {
	switch key {
	case Again:
		if w.Current != nil {
			w.check(ctx, w.Current)
		}
	case Next:
		w.moveOn(ctx)
	case Hint:
		if w.Hint == nil || w.Current == nil {
			return
		}
		if err := w.Hint(ctx, w.Current); err != nil {
			w.View.Failed(err)
		}
	}
}

// stop waits for the last check to end; its context is over by then.
func (w *watcher) stop() {
	if w.running != nil {
		<-w.running.done
	}
}
