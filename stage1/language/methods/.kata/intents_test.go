// The intents of methods.
//
//kata:level 2
//kata:minutes 40
//kata:engine real Go runtime
package methods_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/language/methods"
)

// A Queue holds messages back until Flush, and sends each once, in order.
//
//kata:zh Queue 把消息攒到 Flush 才发出，按次序，每条只发一次。
func TestQueue(t *testing.T) {
	q := &methods.Queue{Title: "mail"}
	q.Notify("a")
	q.NotifyAll("b", "c")
	sent(t, q, `after Notify("a"), NotifyAll("b", "c")`)
	q.Flush()
	sent(t, q, "after Flush", "a", "b", "c")
	q.Notify("d")
	q.Flush()
	q.Flush()
	sent(t, q, `after Notify("d") and two times Flush`, "a", "b", "c", "d")
	if got := q.Name(); got != "mail" {
		t.Errorf(`(&Queue{Title: "mail"}).Name() = %q, want "mail"`, got)
	}
}

// Slices stay with their owners: what the caller passes in is neither changed nor kept, what it gets is its own.
//
//kata:zh 切片各归其主：调用方传入的切片既不被改动也不被留存，返回给它的切片归它所有。
func TestSlicesStayWithOwners(t *testing.T) {
	q := &methods.Queue{}
	mine := []string{"a", "b"}
	q.NotifyAll(mine...)
	mine[0] = "changed"
	q.Flush()
	sent(t, q, `msgs = [a b], NotifyAll(msgs...), msgs[0] = "changed", Flush`, "a", "b")

	q.Sent()[1] = "changed"
	sent(t, q, `Sent()[1] = "changed"`, "a", "b")

	mine = []string{"a", "b"}
	methods.Prefixed(&fake{}, methods.Prefix{}.With("api")).NotifyAll(mine...)
	if want := []string{"a", "b"}; !slices.Equal(mine, want) {
		t.Errorf("msgs = %q; after Prefixed(n, [api]).NotifyAll(msgs...) it is %q, want it unchanged", want, mine)
	}
}

// A Prefix is a value: what is made from it, or copied, never changes it, nor what else was made from it.
//
//kata:zh Prefix 是值：由它派生或复制出来的，既不会改动它，也不会改动由它派生的其他值。
func TestPrefixIsAValue(t *testing.T) {
	var zero methods.Prefix
	a := zero.With("a")
	abc := a.With("b").With("c")
	x, y := abc.With("x"), abc.With("y")
	copied := abc
	copied = copied.With("z")
	for _, c := range []struct {
		made string
		p    methods.Prefix
		want string
	}{
		{"Prefix{}", zero, "m"},
		{"a = Prefix{}.With(a)", a, "[a] m"},
		{"abc = a.With(b).With(c)", abc, "[a][b][c] m"},
		{"abc.With(x)", x, "[a][b][c][x] m"},
		{"abc.With(y)", y, "[a][b][c][y] m"},
		{"a copy of abc, With(z)", copied, "[a][b][c][z] m"},
		{`Prefix{}.With("")`, zero.With(""), "[] m"},
		{`a.With("")`, a.With(""), "[a][] m"},
	} {
		if got := c.p.Apply("m"); got != c.want {
			t.Errorf("%s: in the end, Apply(m) = %q, want %q", c.made, got, c.want)
		}
	}
}

// Each message gets the prefix once, by Notify and by NotifyAll, also when decorated twice.
//
//kata:zh 每条消息恰好加一次前缀，Notify 和 NotifyAll 都是，装饰两层也是。
func TestEveryMessageOnce(t *testing.T) {
	n := &fake{}
	d := methods.Prefixed(n, methods.Prefix{}.With("api"))
	d.Notify("a")
	d.NotifyAll("b", "c")
	methods.Prefixed(d, methods.Prefix{}.With("eu")).Notify("d")
	want := []string{"[api] a", "[api] b", "[api] c", "[api] [eu] d"}
	if got := n.messages(); !slices.Equal(got, want) {
		t.Errorf("d = Prefixed(n, [api]), d.Notify(a), d.NotifyAll(b, c), Prefixed(d, [eu]).Notify(d): n got %q, want %q", got, want)
	}
}

// NotifyAll stays one call of NotifyAll.
//
//kata:zh 一次 NotifyAll 仍然是一次 NotifyAll。
func TestNotifyAllStaysOne(t *testing.T) {
	n := &fake{}
	methods.Prefixed(n, methods.Prefix{}).NotifyAll("a", "b", "c")
	if got, want := fmt.Sprint(n.calls), "[NotifyAll[a b c]]"; got != want {
		t.Errorf("Prefixed(n, Prefix{}).NotifyAll(a, b, c): n saw the calls %s, want %s", got, want)
	}

	n = &fake{}
	methods.Prefixed(n, methods.Prefix{}.With("api")).NotifyAll()
	if got, want := fmt.Sprint(n.calls), "[NotifyAll[]]"; got != want {
		t.Errorf("Prefixed(n, [api]).NotifyAll(): n saw the calls %s, want %s", got, want)
	}
}

// Name and errors are those of the notifier that is decorated.
//
//kata:zh 名称和错误都来自被装饰的 Notifier。
func TestRestIsOfWrapped(t *testing.T) {
	down := errors.New("down")
	d := methods.Prefixed(&fake{name: "pager", err: down}, methods.Prefix{}.With("api"))
	if got := d.Name(); got != "pager" {
		t.Errorf("Prefixed(pager, [api]).Name() = %q, want %q", got, "pager")
	}
	if err := d.Notify("a"); !errors.Is(err, down) {
		t.Errorf("n.Notify fails with %q, Prefixed(n, [api]).Notify(a) = %v, want this error", down, err)
	}
	if err := d.NotifyAll("a", "b"); !errors.Is(err, down) {
		t.Errorf("n.NotifyAll fails with %q, Prefixed(n, [api]).NotifyAll(a, b) = %v, want this error", down, err)
	}
}

// What can be flushed can still be flushed when it is decorated, also twice.
//
//kata:zh 能 Flush 的，装饰之后仍然能 Flush，装饰两层也是。
func TestFlusherSurvives(t *testing.T) {
	down := errors.New("down")
	n := &flusherFake{flushErr: down}
	once := methods.Prefixed(n, methods.Prefix{}.With("api"))
	for _, c := range []struct {
		made string
		d    methods.Notifier
	}{
		{"Prefixed(n, [api])", once},
		{"Prefixed(Prefixed(n, [api]), [eu])", methods.Prefixed(once, methods.Prefix{}.With("eu"))},
	} {
		f, ok := c.d.(methods.Flusher)
		if !ok {
			t.Errorf("n is a Flusher, %s is not; want it to be one, too", c.made)
			continue
		}
		before := n.flushes
		if err := f.Flush(); n.flushes != before+1 || !errors.Is(err, down) {
			t.Errorf("n.Flush fails with %q: %s.Flush() = %v and flushed n %d times, want this error and once",
				down, c.made, err, n.flushes-before)
		}
	}
}

// What cannot be flushed does not claim to be a Flusher when it is decorated.
//
//kata:zh 不能 Flush 的，装饰之后也不会冒充 Flusher。
func TestFlusherNotInvented(t *testing.T) {
	d := methods.Prefixed(&fake{}, methods.Prefix{}.With("api"))
	if _, ok := d.(methods.Flusher); ok {
		t.Error("n is no Flusher, Prefixed(n, [api]) claims to be one; want it not to be")
	}
}

// A way that is nil is left out: no typed nil gets into the notifiers.
//
//kata:zh 为 nil 的方式不出现在结果里：结果中不会混进带类型的 nil。
func TestAbsentIsLeftOut(t *testing.T) {
	mail, pager := &methods.Queue{Title: "mail"}, &methods.Queue{Title: "pager"}
	for _, c := range []struct {
		team methods.Team
		want []methods.Notifier
		text string
	}{
		{methods.Team{}, nil, "none"},
		{methods.Team{Mail: mail}, []methods.Notifier{mail}, "mail"},
		{methods.Team{Pager: pager}, []methods.Notifier{pager}, "pager"},
		{methods.Team{Mail: mail, Pager: pager}, []methods.Notifier{mail, pager}, "mail, pager"},
	} {
		if got := c.team.Notifiers(); !slices.Equal(got, c.want) {
			t.Errorf("a team with %s: Notifiers() = %s, want %s", c.text, titles(got), titles(c.want))
		}
	}
}

// FlushAll flushes every Flusher, whatever its type, passes over the others, and joins the errors.
//
//kata:zh FlushAll 刷新每一个 Flusher，不管它是什么类型；跳过其余的；合并所有错误。
func TestFlushAll(t *testing.T) {
	first, last := errors.New("first"), errors.New("last")
	a, b, c := &flusherFake{flushErr: first}, &flusherFake{}, &flusherFake{flushErr: last}
	err := methods.FlushAll(a, &fake{}, b, c)
	if a.flushes != 1 || b.flushes != 1 || c.flushes != 1 {
		t.Errorf("FlushAll(a, no flusher, b, c), a fails: flushed a, b, c %d, %d, %d times, want each once", a.flushes, b.flushes, c.flushes)
	}
	if !errors.Is(err, first) || !errors.Is(err, last) {
		t.Errorf("FlushAll(a, no flusher, b, c), a and c fail: error %v, want both errors", err)
	}
	if err := methods.FlushAll(b, &fake{}); err != nil {
		t.Errorf("FlushAll(b, no flusher), nothing fails: error %v, want nil", err)
	}
}

func sent(t *testing.T, q *methods.Queue, what string, want ...string) {
	t.Helper()
	if got := q.Sent(); !slices.Equal(got, want) {
		t.Errorf("%s: Sent() = %q, want %q", what, got, want)
	}
}

// titles writes notifiers as their titles, and a typed nil as what it is.
func titles(ns []methods.Notifier) string {
	all := []string{}
	for _, n := range ns {
		switch q, ok := n.(*methods.Queue); {
		case !ok:
			all = append(all, fmt.Sprintf("a %T", n))
		case q == nil:
			all = append(all, fmt.Sprintf("a nil %T", n))
		default:
			all = append(all, q.Title)
		}
	}
	return fmt.Sprintf("%q", all)
}

// A fake is a Notifier that records the calls and is no Flusher.
type fake struct {
	name  string
	err   error
	calls []call
}

type call struct {
	method string
	msgs   []string
}

func (c call) String() string { return fmt.Sprint(c.method, c.msgs) }

func (f *fake) Name() string { return f.name }

func (f *fake) Notify(msg string) error {
	f.calls = append(f.calls, call{"Notify", []string{msg}})
	return f.err
}

func (f *fake) NotifyAll(msgs ...string) error {
	f.calls = append(f.calls, call{"NotifyAll", slices.Clone(msgs)})
	return f.err
}

func (f *fake) messages() (all []string) {
	for _, c := range f.calls {
		all = append(all, c.msgs...)
	}
	return all
}

// A flusherFake is a fake that is a Flusher, too.
type flusherFake struct {
	fake
	flushErr error
	flushes  int
}

func (f *flusherFake) Flush() error {
	f.flushes++
	return f.flushErr
}
