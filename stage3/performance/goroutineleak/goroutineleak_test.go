package goroutineleak_test

import (
	"bytes"
	"context"
	"errors"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/stage3/performance/goroutineleak"
)

// First returns the first price, whatever becomes of the other sources.
func TestExampleFirst(t *testing.T) {
	price, err := goroutineleak.First(t.Context(),
		func(ctx context.Context) (float64, error) { return 0, errors.New("closed on Sundays") },
		func(ctx context.Context) (float64, error) { return 42, nil },
		func(ctx context.Context) (float64, error) { <-ctx.Done(); return 0, ctx.Err() },
	)
	if price != 42 || err != nil {
		t.Errorf("First = %v, %v; want 42, <nil>", price, err)
	}
}

// The detector is fed with what a process writes about itself.
func TestExampleLeaks(t *testing.T) {
	write := func() []byte {
		var b bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&b, 0)
		return b.Bytes()
	}
	before := write()
	begun, end := make(chan bool), make(chan bool)
	for range 3 {
		go leak(begun, end)
		<-begun
	}
	after := write()
	close(end)

	groups, err := goroutineleak.Leaks(before, after)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, g := range groups { // one of them may have got no further than its first line
		if !strings.HasSuffix(g.Stack[0].Func, ".leak") {
			t.Errorf("a group of %d in %v, want only such in leak", g.Count, g.Stack)
		}
		count += g.Count
	}
	if count != 3 {
		t.Errorf("Leaks = %v, want 3 goroutines in leak", groups)
	}
}

func leak(begun, end chan bool) {
	begun <- true
	<-end
}
