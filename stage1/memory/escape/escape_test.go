package escape_test

import (
	"errors"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/memory/escape"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

func TestExampleAppend(t *testing.T) {
	got := string(escape.Append(nil, at, escape.Warn, "slow query",
		escape.String("table", "users"), escape.Int("rows", 1200), escape.Duration("took", 1500*time.Millisecond),
		escape.Err("err", errors.New("timed out"))))

	want := `time=2026-01-02T03:04:05.000006Z level=WARN msg="slow query" table=users rows=1200 took=1.5s err="timed out"` + "\n"
	if got != want {
		t.Errorf("Append(nil, …)\n got %s\nwant %s", got, want)
	}
	old := escape.Old(at, escape.Warn, "slow query",
		"table", "users", "rows", 1200, "took", 1500*time.Millisecond, "err", errors.New("timed out"))
	if got != old {
		t.Errorf("Append(nil, …)\n got %s\n Old %s", got, old)
	}
}

func TestExampleNoAllocations(t *testing.T) {
	buf := make([]byte, 0, 256)
	rows := int64(len(buf) + 1200)
	n := testing.AllocsPerRun(100, func() {
		buf = escape.Append(buf[:0], at, escape.Info, "done", escape.Int("rows", rows))
	})
	if n != 0 {
		t.Errorf("Append with room in dst allocates %v times, want 0", n)
	}
}
