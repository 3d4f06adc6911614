package course

import (
	"bytes"
	"go/format"
	"os"
	"strings"
)

// sameText reports whether two files hold the same text, but for line ends, a
// byte-order mark, and gofmt where they are Go.
func sameText(a, b string) bool {
	x, errA := os.ReadFile(a)
	y, errB := os.ReadFile(b)
	if errA != nil || errB != nil {
		return false
	}
	if bytes.Equal(x, y) {
		return true
	}
	nx, ny := Normal(x), Normal(y)
	if nx == ny {
		return true
	}
	if !strings.HasSuffix(b, ".go") {
		return false
	}
	fx, errX := format.Source([]byte(nx))
	fy, errY := format.Source([]byte(ny))
	return errX == nil && errY == nil && bytes.Equal(fx, fy)
}
