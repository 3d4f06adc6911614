// Package stall bounds what a suite waits for by what the process does, not by a
// clock: a wait ends when nothing in the process can go on, however slow the
// machine is.
//
// A stopwatch that is generous enough for a loaded machine makes everybody with a
// forgotten Unlock wait that long. The runtime knows better: a goroutine that is
// starved is runnable, one that waits for a lock is not. If for a second every
// goroutine waits for a lock or a channel, no one is left to end the wait.
//
// What the runtime does not tell is whether a timer will end a wait on a channel.
// So nothing that the suite or the learner's code does meanwhile may wait for
// timers for more than half a second, be it in one piece or in a loop; a sleep, a
// system call or the network counts as going on. A bubble's clock is no such timer: while one of its goroutines waits
// for a lock it stands still, and otherwise it does not let anybody wait.
package stall

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

const (
	limit = 20 * time.Second      // for what goes on and gets nowhere, a busy loop for one
	pause = 10 * time.Millisecond // between two looks
	still = 100                   // looks, a second of them, at which nothing may go on
)

// Receive returns what c sends next, or the zero value when it is closed. ok is
// false when neither came: nothing in the process could go on for a second, or
// twenty seconds have passed. Outside of synctest bubbles only.
func Receive[T any](c <-chan T) (v T, ok bool) { return receive(c, quiet{}) }

// ReceiveLocal is Receive for suites in which both ends of every connection live
// in this process: who waits for the network waits for another goroutine there.
// So does who sleeps, for whatever may end the wait has to sleep less than half a
// second.
func ReceiveLocal[T any](c <-chan T) (v T, ok bool) { return receive(c, quiet{local: true}) }

func receive[T any](c <-chan T, q quiet) (v T, ok bool) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < limit; {
		select {
		case v = <-c:
			return v, true
		case <-tick.C:
		}
		if q.look() {
			break
		}
	}
	// It may have come between the last look and now.
	select {
	case v = <-c:
		return v, true
	default:
		return v, false
	}
}

// Within reports whether f came back; see [Receive]. What f panics with ends the
// process, as in any goroutine.
func Within(f func()) bool {
	done := make(chan struct{})
	go func() {
		f()
		close(done)
	}()
	_, ok := Receive(done)
	return ok
}

// Guard ends the process with a panic when nothing in it can go on for a second,
// until stop is called or the test is over. It is meant for what no wait of the
// suite's can bound: a lock that is never released keeps a bubble's clock from
// moving, and a bubble from ending. Call it before [testing/synctest.Test], with
// the outer t:
//
//	defer stall.Guard(t)()
func Guard(t testing.TB) (stop func()) {
	t.Helper()
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		var q quiet
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if q.look() {
				// The traces of all goroutines show who waits for what.
				debug.SetTraceback("all")
				panic(fmt.Sprintf("%s: every goroutine waits, and none is left to end the wait: a lock that is not released, or a channel that nobody serves", t.Name()))
			}
		}
	})
	stop = sync.OnceFunc(func() {
		close(quit)
		wg.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// quiet follows for how many looks nothing has gone on. It counts looks and not
// seconds: while the process is stopped, nobody looks.
type quiet struct {
	local bool // the network and sleeps are waits, too
	looks int
	last  []byte
	buf   []byte
}

// look reports whether nothing has gone on for long enough.
func (q *quiet) look() bool {
	others, waiting := others(q.dump(), q.local)
	if !waiting || !bytes.Equal(others, q.last) {
		// Goroutines that wait at each look, and elsewhere at the next, go on.
		q.looks, q.last = 0, others
		return false
	}
	q.looks++
	return q.looks >= still
}

// dump returns the stacks of all goroutines.
func (q *quiet) dump() []byte {
	if q.buf == nil {
		q.buf = make([]byte, 1<<16)
	}
	for {
		if n := runtime.Stack(q.buf, true); n < len(q.buf) {
			return q.buf[:n]
		}
		q.buf = make([]byte, 2*len(q.buf))
	}
}

// others returns the stacks of a dump without those that look and the runtime's
// own that waits for signals, and whether each of them waits for another goroutine.
func others(dump []byte, local bool) (stacks []byte, waiting bool) {
	waiting = true
	for g := range bytes.SplitSeq(dump, []byte("\n\n")) {
		head, stack, _ := bytes.Cut(g, []byte("\n"))
		if bytes.Contains(stack, []byte("/kit/stall.(*quiet).look(")) || bytes.Contains(stack, []byte("/kit/stall.receive[")) ||
			bytes.Contains(stack, []byte("/kit/stall.Guard.func")) || bytes.Contains(stack, []byte("os/signal.signal_recv(")) {
			continue
		}
		switch state(head) {
		case "sleep":
			waiting = waiting && (local || bytes.Contains(head, []byte("synctest bubble")))
		case "IO wait":
			waiting = waiting && local
		default:
			waiting = waiting && waits[state(head)]
		}
		stacks = append(stacks, g...)
	}
	return stacks, waiting
}

// waits holds the states of a goroutine that only another goroutine, or a timer,
// can end: runtime/runtime2.go's waitReasonStrings.
var waits = map[string]bool{
	"chan receive": true, "chan receive (nil chan)": true, "chan send": true, "chan send (nil chan)": true,
	"select": true, "select (no cases)": true, "semacquire": true, "coroutine": true,
	"sync.Cond.Wait": true, "sync.Mutex.Lock": true, "sync.RWMutex.Lock": true, "sync.RWMutex.RLock": true, "sync.WaitGroup.Wait": true,
	"synctest.Run": true, "synctest.Wait": true,
}

// state returns the X of "goroutine 1 [X (durable), 2 minutes, synctest bubble 3]:".
func state(head []byte) string {
	_, in, _ := bytes.Cut(head, []byte(" ["))
	in, _, _ = bytes.Cut(in, []byte("]"))
	in, _, _ = bytes.Cut(in, []byte(","))
	in = bytes.TrimSuffix(in, []byte(" (durable)"))
	return string(in)
}
