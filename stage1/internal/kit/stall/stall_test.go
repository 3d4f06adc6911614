package stall

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// second is how long the looks take that end a wait.
const second = still * pause

func TestReceive(t *testing.T) {
	c := make(chan int, 1)
	c <- 7
	if v, ok := Receive(c); v != 7 || !ok {
		t.Errorf("Receive of a channel that holds 7 = %d, %v", v, ok)
	}
	close(c)
	if v, ok := Receive(c); v != 0 || !ok {
		t.Errorf("Receive of a closed channel = %d, %v; want 0, true", v, ok)
	}
}

// Everything that a forgotten release can look like ends a wait long before its limit.
func TestStalls(t *testing.T) {
	for name, block := range map[string]func(release chan struct{}){
		"mutex": func(release chan struct{}) {
			var mu sync.Mutex
			mu.Lock()
			go func() { <-release; mu.Unlock() }()
			mu.Lock()
		},
		"readers and a writer": func(release chan struct{}) {
			var mu sync.RWMutex
			mu.RLock()
			go func() { <-release; mu.RUnlock() }()
			go func() { mu.Lock(); mu.Unlock() }()
			for mu.TryRLock() { // until the writer waits
				mu.RUnlock()
				runtime.Gosched()
			}
			mu.RLock()
			mu.RUnlock()
		},
		"channel": func(release chan struct{}) { <-release },
		"select": func(release chan struct{}) {
			select {
			case <-release:
			case <-make(chan int):
			}
		},
		"wait group": func(release chan struct{}) { var wg sync.WaitGroup; wg.Go(func() { <-release }); wg.Wait() },
	} {
		t.Run(name, func(t *testing.T) {
			release, ended := make(chan struct{}), make(chan struct{})
			began := time.Now()
			if Within(func() { defer close(ended); block(release) }) {
				t.Fatal("came back, though nobody had released it")
			}
			if took := time.Since(began); took < second || took > limit/2 {
				t.Errorf("given up after %v; want a little over %v", took, second)
			}
			close(release)
			<-ended
		})
	}
}

// What goes on is waited for, though every look but few finds it asleep.
func TestGoingOn(t *testing.T) {
	long := second + second/2
	for name, f := range map[string]func(){
		"sleep": func() { time.Sleep(long) },
		"busy": func() {
			for began := time.Now(); time.Since(began) < long; {
				runtime.Gosched()
			}
		},
		"one short wait after another": func() {
			const short = second * 2 / 5
			<-time.After(short)
			<-time.After(short)
			<-time.After(short)
			<-time.After(short)
		},
		"the network": func() {
			r, w, err := os.Pipe()
			if err != nil {
				panic(err)
			}
			defer r.Close()
			time.AfterFunc(long, func() { w.Close() })
			r.Read(make([]byte, 1))
		},
		"handed to and fro": func() {
			a, b := make(chan int), make(chan int)
			go func() {
				defer close(b)
				for v := range a {
					b <- v
				}
			}()
			for began := time.Now(); time.Since(began) < long; {
				a <- 1
				<-b
			}
			close(a)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if !Within(f) {
				t.Error("given up on what was going on")
			}
		})
	}
}

// Two that wait do not keep each other alive.
func TestTwoWait(t *testing.T) {
	never := make(chan int)
	var wg sync.WaitGroup
	began := time.Now()
	for range 2 {
		wg.Go(func() {
			if _, ok := Receive(never); ok {
				t.Error("something came from a channel that nobody sends to")
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > limit/2 {
		t.Errorf("given up after %v; want a little over %v", took, second)
	}
}

// A bubble whose goroutine waits for a lock ends the process, and says where.
func TestGuard(t *testing.T) {
	if os.Getenv("STALL_GUARD") != "" {
		Guard(t)
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			mu.Lock()
			go func() { <-t.Context().Done(); mu.Unlock() }()
			time.Sleep(time.Hour)                        // costs nothing, and nothing waits yet
			go func() { time.Sleep(time.Millisecond) }() // the clock stands still
			mu.Lock()
		})
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestGuard$", "-test.timeout=15s")
	cmd.Env = append(os.Environ(), "STALL_GUARD=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the process ended well:\n%s", out)
	}
	for _, want := range []string{"panic: TestGuard: every goroutine waits", "sync.Mutex.Lock", "stall_test.go"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "test timed out") {
		t.Errorf("ended by the timeout, not by the guard:\n%s", out)
	}
}

// A guarded test that ends leaves no guard behind, and a bubble that does its work is left alone.
func TestGuardLeavesTheRightAlone(t *testing.T) {
	before := runtime.NumGoroutine()
	Guard(t)()
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after the guard was stopped", before, after)
	}
	t.Run("guarded", func(t *testing.T) {
		Guard(t) // and stopped by nobody
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			for range 10 {
				go func() { mu.Lock(); mu.Unlock() }()
				time.Sleep(time.Hour)
			}
		})
	})
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// Who waits for a peer that lives here too, and says nothing, waits in vain.
func TestReceiveLocal(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	read := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 1))
		close(read)
	})
	wg.Go(func() { time.Sleep(6 * second) }) // for no reason
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, ok := ReceiveLocal(read); ok {
		t.Error("the peer has read what nobody wrote")
	}
	if took := time.Since(began); took < second || took > 5*second {
		t.Errorf("given up after %v; want a little over %v", took, second)
	}
	go func() {
		time.Sleep(second / 4)
		c.Write([]byte{1})
	}()
	if _, ok := ReceiveLocal(read); !ok {
		t.Error("given up, though a byte was to come")
	}
	c.Close()
	wg.Wait()
}
