package watch

import (
	"bufio"
	"context"
	"io"
	"strings"
)

// Keys reads what a learner types, a line each: n next, h hint, q quit, an empty
// line to check again. Other lines are passed over.
func Keys(ctx context.Context, r io.Reader) <-chan Key {
	names := map[string]Key{"": Again, "n": Next, "h": Hint, "q": Quit}
	out := make(chan Key)
	go func() {
		for sc := bufio.NewScanner(r); sc.Scan(); {
			key, ok := names[strings.ToLower(strings.TrimSpace(sc.Text()))]
			if !ok {
				continue
			}
			select {
			case out <- key:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
