// No mocks at all: one fake world keeps the books, and every forward call in
// turn fails, or is the moment at which the caller leaves.
package payment_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	payment "github.com/roadkata/roadkata/stage1/engineering/mocks"
)

type fault int

const (
	works    fault = iota
	fails          // without an effect
	lost           // with its effect, but the answer is lost
	declines       // a charge only
	leaves         // works, and the caller's context ends meanwhile
	leavesOn       // is lost, and the caller's context ends meanwhile
)

type world struct {
	t      *testing.T
	ctx    context.Context
	leave  context.CancelCauseFunc
	plan   []fault          // of the forward calls, one after the other; then all work
	broken map[string]error // what Void and Cancel return

	calls   []string
	errs    []error // what the forward calls returned
	paid    map[string]payment.Cents
	held    map[string]bool
	shipped []string
	records []payment.Entry
}

type client struct{}

var errLeft = errors.New("client has left")

func newWorld(t *testing.T, plan ...fault) *world {
	w := &world{t: t, plan: plan, paid: map[string]payment.Cents{}, held: map[string]bool{}}
	w.ctx, w.leave = context.WithCancelCause(context.WithValue(t.Context(), client{}, t))
	return w
}

func (w *world) shop() payment.Shop { return payment.Shop{Gateway: w, Stock: w, Audit: w} }

// forward takes the next fault from the plan.
func (w *world) forward(ctx context.Context, call string, effect func()) error {
	w.calls = append(w.calls, call)
	if w.ctx.Err() != nil {
		w.t.Errorf("%v: %s after the client has left", w.calls, call)
	}
	f := works
	if n := len(w.errs); n < len(w.plan) {
		f = w.plan[n]
	}
	var err error
	if f == leaves || f == leavesOn {
		w.leave(errLeft)
		if ctx.Err() == nil {
			w.t.Errorf("%s does not notice that the client has left", call)
		}
	}
	switch f {
	case fails, lost, leavesOn:
		err = fmt.Errorf("%s %d failed", call, len(w.errs))
	case declines:
		err = fmt.Errorf("%s: %w", call, payment.ErrDeclined)
	}
	if ctx.Value(client{}) != w.t {
		w.t.Errorf("%s lacks the client's values", call)
	}
	if f != fails && f != declines {
		effect()
	}
	w.errs = append(w.errs, err)
	return err
}

func (w *world) backward(ctx context.Context, call string, effect func()) error {
	w.calls = append(w.calls, call)
	if ctx.Err() != nil {
		w.t.Errorf("%s has a context that has ended", call)
	}
	if ctx.Value(client{}) != w.t {
		w.t.Errorf("%s lacks the client's values", call)
	}
	effect()
	return w.broken[call]
}

func (w *world) Charge(ctx context.Context, key, card string, amount payment.Cents) error {
	return w.forward(ctx, "Charge", func() {
		if _, again := w.paid[key]; !again {
			w.paid[key] = amount
		}
	})
}

func (w *world) Void(ctx context.Context, key string) error {
	return w.backward(ctx, "Void", func() { delete(w.paid, key) })
}

func (w *world) Reserve(ctx context.Context, sku string, quantity int) (string, error) {
	name := fmt.Sprintf("%d of %s, no. %d", quantity, sku, len(w.calls))
	err := w.forward(ctx, "Reserve", func() { w.held[name] = true })
	if err != nil {
		delete(w.held, name)
		return "", err
	}
	return name, nil
}

func (w *world) Ship(ctx context.Context, reservation string) error {
	return w.forward(ctx, "Ship", func() {
		delete(w.held, reservation)
		w.shipped = append(w.shipped, reservation)
	})
}

func (w *world) Cancel(ctx context.Context, reservation string) error {
	return w.backward(ctx, "Cancel", func() { delete(w.held, reservation) })
}

func (w *world) Record(ctx context.Context, e payment.Entry) error {
	return w.forward(ctx, "Record", func() { w.records = append(w.records, e) })
}

var order = payment.Order{ID: "7", Card: "5500", SKU: "lamp", Quantity: 3, Amount: 99}

// Each line is a plan and the calls that it leads to: forward ones in order,
// then, after a slash, the ones that undo.
func TestPlans(t *testing.T) {
	for _, test := range []struct {
		plan []fault
		want string
	}{
		{nil, "Reserve Charge Record Ship /"},
		{[]fault{fails}, "Reserve /"},
		{[]fault{works, lost}, "Reserve Charge Charge Record Ship /"},
		{[]fault{works, fails, lost}, "Reserve Charge Charge Charge Record Ship /"},
		{[]fault{works, lost, lost, lost}, "Reserve Charge Charge Charge / Cancel Void"},
		{[]fault{works, fails, fails, fails}, "Reserve Charge Charge Charge / Cancel Void"},
		{[]fault{works, declines}, "Reserve Charge / Cancel"},
		{[]fault{works, fails, declines}, "Reserve Charge Charge / Cancel"},
		{[]fault{works, works, fails}, "Reserve Charge Record / Cancel Void"},
		{[]fault{works, works, works, fails}, "Reserve Charge Record Ship / Cancel Void"},
		{[]fault{leaves}, "Reserve / Cancel"},
		{[]fault{works, leaves}, "Reserve Charge / Cancel Void"},
		{[]fault{works, leavesOn}, "Reserve Charge / Cancel Void"},
		{[]fault{works, lost, leaves}, "Reserve Charge Charge / Cancel Void"},
		{[]fault{works, works, leaves}, "Reserve Charge Record / Cancel Void"},
		{[]fault{works, works, works, leaves}, "Reserve Charge Record Ship /"},
	} {
		for _, broken := range []map[string]error{nil, {"Void": errors.New("still paid"), "Cancel": errors.New("still reserved")}} {
			t.Run(fmt.Sprint(test.plan, broken), func(t *testing.T) {
				w := newWorld(t, test.plan...)
				w.broken = broken
				w.check(w.shop().Buy(w.ctx, order), test.want)
			})
		}
	}
}

func (w *world) check(err error, want string) {
	w.t.Helper()
	forward, undo := w.calls[:len(w.errs)], slices.Clone(w.calls[len(w.errs):])
	last := w.errs[len(w.errs)-1]
	if errors.Is(last, payment.ErrDeclined) { // Void is open then
		undo = slices.DeleteFunc(undo, func(call string) bool { return call == "Void" })
	}
	slices.Sort(undo)
	if got := strings.TrimSpace(strings.Join(forward, " ") + " / " + strings.Join(undo, " ")); got != want {
		w.t.Errorf("calls: %s; want: %s", got, want)
	}

	if len(w.held) != 0 {
		w.t.Errorf("still reserved: %v", slices.Collect(maps.Keys(w.held)))
	}
	if bought := len(w.shipped) == 1; bought != (err == nil) || bought != (len(w.paid) == 1) || len(w.paid) > 1 {
		w.t.Errorf("Buy = %v; shipped %v, paid %v", err, w.shipped, w.paid)
	}
	for _, amount := range w.paid {
		if e := (payment.Entry{Order: order.ID, Amount: amount}); amount != order.Amount || !slices.Contains(w.records, e) {
			w.t.Errorf("paid %d, recorded %v", amount, w.records)
		}
	}
	if err == nil {
		return
	}
	if last == nil || w.ctx.Err() != nil && len(forward) > 0 && errors.Is(err, errLeft) {
		last = errLeft
	}
	if !errors.Is(err, last) {
		w.t.Errorf("Buy = %v, want it to match %v", err, last)
	}
	for _, call := range undo {
		if broken := w.broken[call]; !errors.Is(err, broken) && broken != nil {
			w.t.Errorf("Buy = %v, want it to match %v", err, broken)
		}
	}
}

func TestGoneBeforeItBegan(t *testing.T) {
	w := newWorld(t)
	w.leave(errLeft)
	if err := w.shop().Buy(w.ctx, order); !errors.Is(err, errLeft) || len(w.calls) != 0 {
		t.Errorf("Buy = %v after %v, want %v at once", err, w.calls, errLeft)
	}
}

func TestOneCardTwoOrders(t *testing.T) {
	w := newWorld(t, works, lost)
	second := order
	second.ID = "8"
	if err := errors.Join(w.shop().Buy(w.ctx, order), w.shop().Buy(w.ctx, second)); err != nil {
		t.Fatal(err)
	}
	if len(w.paid) != 2 || len(w.shipped) != 2 {
		t.Errorf("paid %v, shipped %v; want two of each", w.paid, w.shipped)
	}
}

func TestNonsense(t *testing.T) {
	w := newWorld(t)
	for _, o := range []payment.Order{{}, {ID: "1", SKU: "x", Quantity: 1}, {ID: "1", SKU: "x", Amount: 1}, {ID: "1", Quantity: 1, Amount: 1}, {SKU: "x", Quantity: 1, Amount: 1}} {
		if err := w.shop().Buy(w.ctx, o); !errors.Is(err, payment.ErrOrder) || len(w.calls) != 0 {
			t.Errorf("Buy(%+v) = %v after %v, want %v", o, err, w.calls, payment.ErrOrder)
		}
	}
}
