package layout_test

import (
	"testing"
	"unsafe"

	"github.com/roadkata/roadkata/stage1/memory/layout"
)

func TestExampleRecord(t *testing.T) {
	o := layout.Old{Active: true, Price: 101_250_000, Side: 'B', Symbol: "GOPH", Venue: 7, Time: 1767323045000000006, Quantity: 500}
	r := layout.From(o)
	if got := r.Old(); got.Price != o.Price || got.Symbol != o.Symbol || got.Quantity != o.Quantity {
		t.Errorf("From(%+v).Old() = %+v", o, got)
	}
	t.Logf("an Old takes %d bytes, a Record %d", unsafe.Sizeof(o), unsafe.Sizeof(r))
}

func TestExampleCounter(t *testing.T) {
	c := layout.NewCounter(8)
	c.Add(40)
	c.Add(3)
	c.Add(-1)
	if got := c.Load(); got != 42 {
		t.Errorf("Add(40), Add(3), Add(-1), then Load() = %d, want 42", got)
	}
}
