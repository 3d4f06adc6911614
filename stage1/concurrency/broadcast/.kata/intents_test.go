// The intents of broadcast.
//
//kata:level 2
//kata:minutes 60
//kata:engine real Go runtime
//kata:race
package broadcast_test

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/roadkata/roadkata/stage1/concurrency/broadcast"
	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
)

type (
	hub          = broadcast.Hub[int]
	subscription = broadcast.Subscription[int]
)

var policies = map[string]broadcast.Policy{
	"DropOldest": broadcast.DropOldest,
	"DropNewest": broadcast.DropNewest,
	"Disconnect": broadcast.Disconnect,
}

// bubble runs f in virtual time, on a hub of its own. A bubble never settles while a goroutine spins or waits for a
// mutex: that is a failure, too, as soon as nobody can go on, else after ten real seconds.
func bubble(t *testing.T, f func(t *testing.T, h *hub)) {
	t.Helper()
	defer stall.Guard(t)()
	stuck := time.AfterFunc(10*time.Second, func() {
		panic("stuck for 10 s: a goroutine spins, or waits for a mutex that another holds while it blocks")
	})
	defer stuck.Stop()
	synctest.Test(t, func(t *testing.T) {
		h := broadcast.New[int]()
		defer h.Close()
		f(t, h)
	})
}

// publish publishes first … last.
func publish(t *testing.T, h *hub, first, last int) {
	t.Helper()
	for v := first; v <= last; v++ {
		if err := h.Publish(v); err != nil {
			t.Errorf("Publish(%d) = %v, want nil", v, err)
		}
	}
}

// waiting receives what waits in the channel of s, and tells whether the channel is closed behind it.
func waiting(s *subscription) (values []int, closed bool) {
	for {
		select {
		case v, ok := <-s.C():
			if !ok {
				return values, true
			}
			values = append(values, v)
		default:
			return values, false
		}
	}
}

// count returns first … last.
func count(first, last int) (values []int) {
	for v := first; v <= last; v++ {
		values = append(values, v)
	}
	return values
}

// Every subscription has every value from the moment it subscribed, in order, as soon as Publish has returned.
//
//kata:zh 每个订阅都按序收到订阅之后发布的每一个值，Publish 返回时就已经到位。
func TestEveryone(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub) {
		publish(t, h, 1, 2)
		early := h.Subscribe(10, broadcast.DropNewest)
		publish(t, h, 3, 4)
		late := h.Subscribe(10, broadcast.DropOldest)
		publish(t, h, 5, 6)
		if got, _ := waiting(early); !slices.Equal(got, count(3, 6)) {
			t.Errorf("1 to 6 published, subscribed after 2: received %v, want [3 4 5 6]", got)
		}
		if got, _ := waiting(late); !slices.Equal(got, count(5, 6)) {
			t.Errorf("1 to 6 published, subscribed after 4: received %v, want [5 6]", got)
		}
	})
}

// Publish never waits for a subscriber, not even for a moment.
//
//kata:zh Publish 绝不等待订阅者，一瞬间也不等。
func TestPublishNeverWaits(t *testing.T) {
	for name, policy := range policies {
		bubble(t, func(t *testing.T, h *hub) {
			slow, fast := h.Subscribe(1, policy), h.Subscribe(100, policy)
			start := time.Now()
			done := make(chan struct{})
			go func() {
				publish(t, h, 1, 100)
				close(done)
			}()
			synctest.Wait()
			select {
			case <-done:
			default:
				t.Errorf("%s, one subscriber does not receive: Publish waits", name)
			}
			for range slow.C() { // lets a Publish that waits go on
				synctest.Wait()
				select {
				case <-done:
					slow.Unsubscribe()
				default:
				}
			}
			<-done
			if waited := time.Since(start); waited > 0 {
				t.Errorf("%s, one subscriber does not receive: 100 calls of Publish took %v, want no waiting at all", name, waited)
			}
			if got, _ := waiting(fast); !slices.Equal(got, count(1, 100)) {
				t.Errorf("%s, another subscriber is slow: one with enough room received %v, want 1 to 100", name, got)
			}
		})
	}
}

// DropOldest: what has waited longest makes room, so that the newest values wait, in order.
//
//kata:zh DropOldest：等得最久的让位，留下最新的值，且保持顺序。
func TestDropOldest(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub) {
		s := h.Subscribe(3, broadcast.DropOldest)
		publish(t, h, 1, 10)
		if got, closed := waiting(s); closed || !slices.Equal(got, []int{8, 9, 10}) {
			t.Errorf("a buffer of 3, DropOldest, 1 to 10 published: received %v, closed: %t; want [8 9 10] and open", got, closed)
		}
		publish(t, h, 11, 12)
		if got, _ := waiting(s); !slices.Equal(got, []int{11, 12}) {
			t.Errorf("then 11 and 12 published: received %v, want [11 12]", got)
		}
	})
}

// DropNewest: what does not fit is dropped, so that the oldest values wait, in order.
//
//kata:zh DropNewest：放不下的丢弃，留下最早的值，且保持顺序。
func TestDropNewest(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub) {
		s := h.Subscribe(3, broadcast.DropNewest)
		publish(t, h, 1, 10)
		if got, closed := waiting(s); closed || !slices.Equal(got, []int{1, 2, 3}) {
			t.Errorf("a buffer of 3, DropNewest, 1 to 10 published: received %v, closed: %t; want [1 2 3] and open", got, closed)
		}
		publish(t, h, 11, 12)
		if got, _ := waiting(s); !slices.Equal(got, []int{11, 12}) {
			t.Errorf("then 11 and 12 published: received %v, want [11 12]", got)
		}
	})
}

// Disconnect: the first value that does not fit ends the subscription, and what was waiting can still be received.
//
//kata:zh Disconnect：第一个放不下的值会结束订阅，已在等待的值仍可收取。
func TestDisconnect(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub) {
		s := h.Subscribe(3, broadcast.Disconnect)
		publish(t, h, 1, 3)
		if err := s.Err(); err != nil {
			t.Errorf("a buffer of 3, Disconnect, 3 values published: Err() = %v, want nil", err)
		}
		publish(t, h, 4, 10)
		if err := s.Err(); err != broadcast.ErrSlow {
			t.Errorf("a buffer of 3, Disconnect, 10 values published: Err() = %v, want %v", err, broadcast.ErrSlow)
		}
		if got, closed := waiting(s); !closed || !slices.Equal(got, []int{1, 2, 3}) {
			t.Errorf("a buffer of 3, Disconnect, 1 to 10 published: received %v, closed: %t; want [1 2 3] and closed", got, closed)
		}
	})
}

// Dropped counts every value that was lost to the policy, and nothing else.
//
//kata:zh Dropped 准确计数：因策略丢失的每个值都算，别的都不算。
func TestDropped(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy broadcast.Policy
		want   int
	}{
		{"DropOldest", broadcast.DropOldest, 7},
		{"DropNewest", broadcast.DropNewest, 7},
		{"Disconnect", broadcast.Disconnect, 1}, // the one that ended it; the others were never meant for it
	} {
		bubble(t, func(t *testing.T, h *hub) {
			s, roomy := h.Subscribe(3, c.policy), h.Subscribe(10, c.policy)
			publish(t, h, 1, 10)
			if n := s.Dropped(); n != c.want {
				t.Errorf("a buffer of 3, %s, 10 values published: Dropped() = %d, want %d", c.name, n, c.want)
			}
			if n := roomy.Dropped(); n != 0 {
				t.Errorf("a buffer of 10, %s, 10 values published: Dropped() = %d, want 0", c.name, n)
			}
			s.Unsubscribe()
			if n := s.Dropped(); n != c.want {
				t.Errorf("a buffer of 3, %s, 10 values published, then unsubscribed: Dropped() = %d, want %d", c.name, n, c.want)
			}
		})
	}
}

// After Unsubscribe nothing more arrives: the channel is closed behind what was waiting. Others go on.
//
//kata:zh Unsubscribe 之后不再有值到来：channel 在已等待的值之后关闭；其他订阅照常。
func TestUnsubscribe(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub) {
		s, other := h.Subscribe(10, broadcast.DropOldest), h.Subscribe(10, broadcast.DropOldest)
		publish(t, h, 1, 2)
		s.Unsubscribe()
		publish(t, h, 3, 4)
		if err := s.Err(); err != broadcast.ErrUnsubscribed {
			t.Errorf("after Unsubscribe: Err() = %v, want %v", err, broadcast.ErrUnsubscribed)
		}
		if got, closed := waiting(s); !closed || !slices.Equal(got, []int{1, 2}) {
			t.Errorf("1 to 4 published, unsubscribed after 2: received %v, closed: %t; want [1 2] and closed", got, closed)
		}
		if got, closed := waiting(other); closed || !slices.Equal(got, count(1, 4)) {
			t.Errorf("1 to 4 published, another one unsubscribed: received %v, closed: %t; want [1 2 3 4] and open", got, closed)
		}
	})
}

// Unsubscribing while others publish is safe.
//
//kata:zh 在别人发布的同时退订是安全的。
func TestUnsubscribeDuringPublish(t *testing.T) {
	for range 100 {
		bubble(t, func(t *testing.T, h *hub) {
			s := h.Subscribe(1, broadcast.DropOldest)
			var both sync.WaitGroup
			both.Go(func() { h.Publish(1) })
			both.Go(s.Unsubscribe)
			both.Wait()
		})
	}
}

// Subscribing, closing, and asking for Dropped and Err are safe while others publish, too.
//
//kata:zh 在别人发布的同时订阅、关闭、查询 Dropped 与 Err，也都是安全的。
func TestBesidePublish(t *testing.T) {
	for name, beside := range map[string]func(h *hub, s *subscription){
		"Subscribe": func(h *hub, _ *subscription) { h.Subscribe(1, broadcast.DropNewest) },
		"Close":     func(h *hub, _ *subscription) { h.Close() },
		"Dropped":   func(_ *hub, s *subscription) { s.Dropped() },
		"Err":       func(_ *hub, s *subscription) { s.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				bubble(t, func(t *testing.T, h *hub) {
					s := h.Subscribe(1, broadcast.Disconnect)
					var both sync.WaitGroup
					both.Go(func() { h.Publish(1); h.Publish(2) })
					both.Go(func() { beside(h, s) })
					both.Wait()
				})
			}
		})
	}
}

// Many may publish at once: no data race, no value gets lost uncounted, and the order of each publisher is kept.
//
//kata:zh 可以多处同时发布：没有数据竞争，没有值不计数就丢失，每个发布者的顺序保持不变。
func TestPublishTogether(t *testing.T) {
	const publishers, each = 4, 200
	for name, policy := range policies {
		bubble(t, func(t *testing.T, h *hub) {
			roomy, tight := h.Subscribe(publishers*each, policy), h.Subscribe(2, policy)
			var received []int
			var receiver, all sync.WaitGroup
			receiver.Go(func() {
				for v := range tight.C() {
					received = append(received, v)
				}
			})
			for p := range publishers {
				all.Go(func() {
					for i := range each {
						h.Publish(p*each + i)
					}
				})
			}
			all.Wait()
			h.Close()
			receiver.Wait()

			got, _ := waiting(roomy)
			if len(got) != publishers*each {
				t.Errorf("%s, %d publishers with %d values each: a subscriber with enough room received %d",
					name, publishers, each, len(got))
			}
			for _, values := range [][]int{got, received} {
				var last [publishers]int
				for _, v := range values {
					if v < last[v/each] {
						t.Fatalf("%s: value %d of publisher %d came after its value %d", name, v%each, v/each, last[v/each]%each)
					}
					last[v/each] = v
				}
			}
			if n := tight.Dropped(); policy != broadcast.Disconnect && len(received)+n != publishers*each {
				t.Errorf("%s, a buffer of 2, %d values published: %d received and Dropped() = %d, want a sum of %[2]d",
					name, publishers*each, len(received), n)
			}
		})
	}
}

// Close ends every subscription: its channel is closed behind what was waiting.
//
//kata:zh Close 结束所有订阅：channel 在已等待的值之后关闭。
func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub) {
		a, b := h.Subscribe(3, broadcast.DropNewest), h.Subscribe(3, broadcast.Disconnect)
		publish(t, h, 1, 2)
		h.Close()
		for _, s := range []*subscription{a, b} {
			if err := s.Err(); err != broadcast.ErrClosed {
				t.Errorf("the hub is closed: Err() = %v, want %v", err, broadcast.ErrClosed)
			}
			if got, closed := waiting(s); !closed || !slices.Equal(got, []int{1, 2}) {
				t.Errorf("1 and 2 published, the hub closed: received %v, closed: %t; want [1 2] and closed", got, closed)
			}
		}
	})
}

// A closed hub refuses values with ErrClosed, and its new subscriptions have ended already.
//
//kata:zh 已关闭的 Hub 以 ErrClosed 拒收值，在它上面新建的订阅一开始就已结束。
func TestAfterClose(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub) {
		h.Close()
		if err := h.Publish(1); err != broadcast.ErrClosed {
			t.Errorf("the hub is closed: Publish(1) = %v, want %v", err, broadcast.ErrClosed)
		}
		s := h.Subscribe(3, broadcast.DropOldest)
		if got, closed := waiting(s); !closed || got != nil {
			t.Errorf("subscribed to a closed hub: received %v, closed: %t; want nothing and closed", got, closed)
		}
		if err := s.Err(); err != broadcast.ErrClosed {
			t.Errorf("subscribed to a closed hub: Err() = %v, want %v", err, broadcast.ErrClosed)
		}
		s.Unsubscribe()
		if err := h.Publish(2); err != broadcast.ErrClosed {
			t.Errorf("the hub is closed: Publish(2) = %v, want %v", err, broadcast.ErrClosed)
		}
	})
}

// However a subscription ends and however often, it ends once, and Err keeps the first reason.
//
//kata:zh 无论以什么方式结束、结束多少次，订阅只结束一次，Err 保留第一个原因。
func TestEndsOnce(t *testing.T) {
	ends := []struct {
		name string
		f    func(h *hub, s *subscription)
	}{
		{"Unsubscribe", func(_ *hub, s *subscription) { s.Unsubscribe() }},
		{"Close", func(h *hub, _ *subscription) { h.Close() }},
		{"one value too many", func(h *hub, _ *subscription) { h.Publish(1); h.Publish(2) }},
	}
	for _, first := range ends {
		for _, second := range ends {
			bubble(t, func(t *testing.T, h *hub) {
				s := h.Subscribe(1, broadcast.Disconnect)
				first.f(h, s)
				before := s.Err()
				second.f(h, s)
				if err := s.Err(); err != before || err == nil {
					t.Errorf("ended by %s: Err() = %v; then by %s: Err() = %v, want it unchanged and not nil",
						first.name, before, second.name, err)
				}
			})
		}
	}
}

// The hub forgets a subscription that has ended, with all that waits in it.
//
//kata:zh 订阅结束之后，Hub 就忘掉它，连同其中还在等待的值。
func TestForgotten(t *testing.T) {
	type big [1 << 16]byte
	for name, end := range map[string]func(*broadcast.Hub[*big], *broadcast.Subscription[*big]){
		"Unsubscribe":        func(_ *broadcast.Hub[*big], s *broadcast.Subscription[*big]) { s.Unsubscribe() },
		"one value too many": func(h *broadcast.Hub[*big], _ *broadcast.Subscription[*big]) { h.Publish(nil) },
	} {
		h := broadcast.New[*big]()
		// In a function of its own, so that nothing here holds the subscription or the value.
		value := func() weak.Pointer[big] {
			s := h.Subscribe(1, broadcast.Disconnect)
			v := new(big)
			h.Publish(v)
			end(h, s)
			h.Publish(nil)
			return weak.Make(v)
		}()
		for range 10 {
			if runtime.GC(); value.Value() == nil {
				break
			}
		}
		if value.Value() != nil {
			t.Errorf("a subscription ended by %s, nobody holds it any more: the hub still keeps the value that waited in it", name)
		}
		h.Close()
	}
}

// Subscribe panics if the buffer is less than 1 or the policy unknown.
//
//kata:zh 缓冲小于 1 或策略未知时，Subscribe panic。
func TestSubscribePanics(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub) {
		for _, c := range []struct {
			buffer int
			policy broadcast.Policy
		}{{0, broadcast.DropOldest}, {-1, broadcast.DropNewest}, {1, -1}, {1, broadcast.Disconnect + 1}} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("Subscribe(%d, %d) returned, want a panic", c.buffer, c.policy)
					}
				}()
				h.Subscribe(c.buffer, c.policy)
			}()
		}
		if err := h.Publish(1); err != nil {
			t.Errorf("Subscribe has panicked: Publish(1) = %v, want nil", err)
		}
	})
}
