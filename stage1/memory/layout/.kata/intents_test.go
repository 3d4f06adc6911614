// The suite computes layouts for 64-bit and 32-bit machines from the types themselves, by the compiler's rules,
// wherever it runs.
//
//kata:level 2
//kata:minutes 40
//kata:engine real Go runtime
//kata:race
package layout_test

import (
	"fmt"
	"go/token"
	"go/types"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/roadkata/roadkata/stage1/memory/layout"
)

// A Record takes at most 48 bytes on 64-bit machines and 36 on 32-bit ones, and has nothing elsewhere.
//
//kata:zh Record 在 64 位机器上至多 48 字节，在 32 位机器上至多 36 字节，且没有别处的内容。
func TestRecordSmall(t *testing.T) {
	o := old("SYM", 1)
	if n := testing.AllocsPerRun(10, func() { sink = layout.From(o) }); n != 0 {
		t.Errorf("From(o) allocates %v times, want 0: all of a trade is in the Record", n)
	}
	r := reflect.TypeFor[layout.Record]()
	if p := pointer(r, "Record"); p != "" {
		t.Errorf("%s points elsewhere; a Record holds one string and no other pointer", p)
	}
	for _, c := range []struct {
		arch string
		want int64
	}{{"amd64", 48}, {"386", 36}} {
		if got := types.SizesFor("gc", c.arch).Sizeof(convert(r)); got > c.want {
			t.Errorf("a Record takes %d bytes on %s, want at most %d:\n%s", got, c.arch, c.want, picture(r, c.arch))
		}
	}
}

// A Record keeps all of every trade: From and back changes nothing.
//
//kata:zh Record 保留每笔交易的全部内容：转过去再转回来，什么都不变。
func TestRecordKeepsAll(t *testing.T) {
	trades := []layout.Old{{}, old("", 0), old("GOPH", 1), old("名字", 3), old(strings.Repeat("long", 100), 5)}
	for _, o := range trades {
		for _, active := range []bool{false, true} {
			for _, hidden := range []bool{false, true} {
				o.Active, o.Hidden = active, hidden
				trades = append(trades, o)
			}
		}
	}
	for b := range 256 {
		trades = append(trades, layout.Old{Side: byte(b), Venue: uint16(b)<<8 | 1, Flags: 1<<15 | uint16(b), Active: b%2 == 1})
	}
	for _, v := range []int64{math.MinInt64, -1, 0, 1, 999, math.MaxInt32 + 1, math.MaxInt64} {
		trades = append(trades, layout.Old{Price: v, Time: -v, Quantity: uint32(v), Venue: uint16(v), Flags: uint16(v >> 16), Hidden: true})
	}
	for _, o := range trades {
		if got := layout.From(o).Old(); !reflect.DeepEqual(got, o) {
			t.Fatalf("From(o).Old()\n   = %+v\nwant %+v", got, o)
		}
	}
}

// Records cannot be compared with ==, as trades never could.
//
//kata:zh Record 与原来的交易一样，不能用 == 比较。
func TestRecordNotComparable(t *testing.T) {
	if reflect.TypeFor[layout.Record]().Comparable() {
		t.Error("two Records can be compared with ==, want that to be a compile error, as with Old")
	}
}

// Every 64-bit field of a Meter has an address that is a multiple of 8 on 32-bit machines, also in a slice of Meters.
//
//kata:zh 在 32 位机器上，Meter 的每个 64 位字段的地址都是 8 的倍数，在 Meter 的切片里也是。
func TestMeterAligned(t *testing.T) {
	m := reflect.TypeFor[layout.Meter]()
	sizes := types.SizesFor("gc", "386")
	s := convert(m).(*types.Struct)
	var fields []*types.Var
	for i := range s.NumFields() {
		fields = append(fields, s.Field(i))
	}
	size := sizes.Sizeof(s)
	for element := range int64(3) {
		for i, at := range sizes.Offsetsof(fields) {
			wide := m.Field(i).Type.Kind() == reflect.Int64 || m.Field(i).Type.Kind() == reflect.Uint64
			if address := element*size + at; wide && address%8 != 0 {
				t.Fatalf("on 386 meters[%d].%s is %d bytes after the first Meter, want a multiple of 8:\n%s", element, fields[i].Name(), address, picture(m, "386"))
			}
		}
	}
	if size > 24 {
		t.Errorf("a Meter takes %d bytes on 386, want at most 24:\n%s", size, picture(m, "386"))
	}
}

// No two shards of a Counter share a cache line of 64 bytes, 128 on arm64.
//
//kata:zh Counter 的任意两个分片都不共用缓存行（64 字节，arm64 上 128 字节）。
func TestShardsApart(t *testing.T) {
	line := uintptr(64)
	if runtime.GOARCH == "arm64" {
		line = 128
	}
	for _, shards := range []int{1, 2, 3, 8, 50} {
		c := layout.NewCounter(shards)
		for i := range shards {
			for j := range i {
				a, b := uintptr(unsafe.Pointer(c.Shard(i))), uintptr(unsafe.Pointer(c.Shard(j)))
				if distance := max(a, b) - min(a, b); distance < line {
					t.Fatalf("NewCounter(%d): Shard(%d) and Shard(%d) are %d bytes apart, want at least %d", shards, j, i, distance, line)
				}
			}
		}
	}
}

// Load is the sum of all shards and of all that was added, by whomever, and adding or loading spoils nothing.
//
//kata:zh Load 是所有分片之和，也是所有人加上的总和；同时进行的 Add 和 Load 不会丢失任何一次。
func TestCounterSum(t *testing.T) {
	for _, shards := range []int{1, 3, 8} {
		c := layout.NewCounter(shards)
		if got := c.Load(); got != 0 {
			t.Fatalf("NewCounter(%d), then Load() = %d, want 0", shards, got)
		}
		want := int64(0)
		for i := range int64(100) {
			delta := i*i - 1000
			c.Add(delta)
			want += delta
			if got := c.Load(); got != want {
				t.Fatalf("NewCounter(%d): after %d Adds, one after the other, Load() = %d, want %d", shards, i+1, got, want)
			}
		}
		for i := range shards {
			c.Shard(i).Add(1000)
			want += 1000
		}
		if got := c.Load(); got != want {
			t.Fatalf("NewCounter(%d): 1000 was added to each shard: Load() = %d, want %d", shards, got, want)
		}

		const goroutines, each = 8, 20000
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range goroutines {
			wg.Go(func() {
				<-start
				for range each {
					c.Add(2)
				}
				c.Load()
			})
		}
		close(start)
		wg.Wait()
		want += 2 * goroutines * each
		sum := int64(0)
		for i := range shards {
			sum += c.Shard(i).Load()
		}
		if got := c.Load(); got != want || sum != want {
			t.Fatalf("NewCounter(%d): %d goroutines each called Add(2) %d times: Load() = %d, the sum of Shard(0) to Shard(%d) is %d; want %d, twice",
				shards, goroutines, each, got, shards-1, sum, want)
		}
	}
	for _, shards := range []int{0, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewCounter(%d) did not panic", shards)
				}
			}()
			layout.NewCounter(shards)
		}()
	}
}

// The Adds of many goroutines spread over the shards.
//
//kata:zh 许多 goroutine 的 Add 会分散到各个分片。
func TestAddSpreads(t *testing.T) {
	const shards, goroutines, each = 8, 200, 20
	c := layout.NewCounter(shards)
	var wg sync.WaitGroup
	ready := make(chan struct{})
	for range goroutines {
		wg.Go(func() {
			<-ready // all goroutines live at once, each with a stack of its own
			for range each {
				c.Add(1)
			}
		})
	}
	close(ready)
	wg.Wait()
	used, most := 0, int64(0)
	for i := range shards {
		n := c.Shard(i).Load()
		if n != 0 {
			used++
		}
		most = max(most, n)
	}
	if used < shards/2 || most > goroutines*each/2 {
		t.Errorf("%d goroutines each called Add(1) %d times on 8 shards: %d of the shards were used, one got %d of %d; "+
			"want at least half of the shards used, none with more than half of the Adds", goroutines, each, used, most, goroutines*each)
	}
}

var sink layout.Record

func old(symbol string, n int64) layout.Old {
	return layout.Old{
		Active: true, Price: 1_000_001 * n, Side: byte('A' + n), Symbol: symbol, Venue: uint16(3 * n),
		Time: 1767323045000000006 * n, Quantity: uint32(500 * n), Hidden: n%2 == 0, Flags: uint16(n) << 12,
	}
}

// pointer returns where t has a pointer that is not one of a string, or "".
func pointer(t reflect.Type, at string) string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Chan, reflect.Interface, reflect.Func, reflect.UnsafePointer:
		return fmt.Sprintf("%s (a %v)", at, t)
	case reflect.Array:
		if t.Len() > 0 {
			return pointer(t.Elem(), at+"[0]")
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if p := pointer(t.Field(i).Type, at+"."+t.Field(i).Name); p != "" {
				return p
			}
		}
	}
	return ""
}

// picture shows where the fields of a struct lie.
func picture(t reflect.Type, arch string) string {
	sizes := types.SizesFor("gc", arch)
	s := convert(t).(*types.Struct)
	var fields []*types.Var
	for i := range s.NumFields() {
		fields = append(fields, s.Field(i))
	}
	var b strings.Builder
	for i, at := range sizes.Offsetsof(fields) {
		fmt.Fprintf(&b, "  at %2d, %2d bytes: %s %v\n", at, sizes.Sizeof(fields[i].Type()), fields[i].Name(), t.Field(i).Type)
	}
	return b.String()
}

// convert returns a type of the same layout for go/types, which knows the rules of every machine.
func convert(t reflect.Type) types.Type {
	switch t.Kind() {
	case reflect.Struct:
		var fields []*types.Var
		for i := range t.NumField() {
			f := t.Field(i)
			fields = append(fields, types.NewField(token.NoPos, nil, f.Name, convert(f.Type), false))
		}
		return types.NewStruct(fields, nil)
	case reflect.Array:
		return types.NewArray(convert(t.Elem()), int64(t.Len()))
	case reflect.Slice:
		return types.NewSlice(types.Typ[types.Byte])
	case reflect.Interface:
		return types.NewInterfaceType(nil, nil)
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return types.Typ[types.UnsafePointer]
	}
	for _, basic := range types.Typ {
		if basic.Name() == t.Kind().String() {
			return basic
		}
	}
	panic("no such basic type: " + t.Kind().String())
}
