// Lock-out and rate limit.
//
//kata:zh 锁定与限流
package main_test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"testing"
	"time"
)

// Five wrong passwords in a row lock an e-mail for 15 minutes, known or not, whether they come one by one, at the same time or around a restart.
//
//kata:zh 连续五次密码错误将邮箱锁定 15 分钟，不论邮箱是否存在，也不论是逐次、并发还是跨重启。
func TestLocksOut(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	s.register("ann@example.com", "correct horse", "Ann")
	s.register("bob@example.com", "correct horse", "Bob")
	wrong := func(email string, n int) {
		t.Helper()
		for range n {
			s.login(email, "wrong horse").want(t, 401, "bad_credentials")
		}
	}
	locked := func(email, password string, left time.Duration) {
		t.Helper()
		got := s.login(email, password).want(t, 429, "locked")
		if after := retryAfter(t, got); after != left {
			t.Errorf("%s with Retry-After %v, want %v", got, after, left)
		}
	}

	wrong("ann@example.com", 4)
	s.session("ann@example.com", "correct horse") // forgives
	w.pass(48 * time.Hour)
	wrong("ann@example.com", 4)
	w.pass(48 * time.Hour)
	wrong("ANN@example.com", 1)
	begun := w.now
	for _, email := range []string{"nobody@example.com", "ann@example.com"} {
		if email == "nobody@example.com" {
			wrong(email, 5)
		}
		locked(email, "wrong horse", 15*time.Minute)
		locked(email, "correct horse", 15*time.Minute)
	}
	w.pass(100 * time.Millisecond)
	locked(" Ann@Example.com ", "correct horse", 15*time.Minute) // rounded up
	s.session("bob@example.com", "correct horse")
	if other := from(s, "127.0.0.2"); other != nil {
		if got := other.login("ann@example.com", "correct horse"); got.status != 429 {
			t.Errorf("from another address than the one that failed: %s, want 429", got)
		}
	}

	wrong("carl@example.com", 3)
	s.kill()
	w.setClock(begun.Add(15*time.Minute - time.Second))
	s = w.start("-cost", "6") // a check of nobody's password takes long enough for all to be under way at the same time
	locked("ann@example.com", "correct horse", time.Second)
	locked("ann@example.com", "wrong horse", time.Second)
	wrong("carl@example.com", 2) // and three before the restart
	locked("carl@example.com", "wrong horse", 15*time.Minute)
	w.setClock(begun.Add(15 * time.Minute))
	wrong("ann@example.com", 4) // the count is new
	token := s.session("ann@example.com", "correct horse")
	for _, a := range s.together(10, func(int) request {
		return request{"POST", "/v1/login", map[string]string{"email": "bob@example.com", "password": "correct horse"}, nil}
	}) {
		a.want(t, 200, "") // nobody failed
	}
	for _, email := range []string{"ann@example.com", "somebody@example.com"} {
		got := map[string]int{}
		for _, a := range s.together(10, func(i int) request {
			return request{"POST", "/v1/login", map[string]string{"email": email, "password": fmt.Sprint("guess ", i)}, nil}
		}) {
			got[fmt.Sprintf("%d %s", a.status, a.code())]++
		}
		if want := map[string]int{"401 bad_credentials": 5, "429 locked": 5}; !maps.Equal(got, want) {
			t.Errorf("10 guesses for %s at the same time were answered by %v, want %v", email, got, want)
		}
	}
	s.me(token).want(t, 200, "") // who is in stays in
}

// One address registers and logs in so many times a minute, whatever it says about itself; others do not wait for it.
//
//kata:zh 一个地址每分钟只能注册和登录限定次数，无论它如何自称；其他地址不受影响。
func TestLimitsTheRate(t *testing.T) {
	const rate = 5
	w := newWorld(t)
	s := w.start("-rate", fmt.Sprint(rate))
	// A connection of its own for each request.
	s.client.Transport = &http.Transport{DisableKeepAlives: true}
	s.register("ann@example.com", "correct horse", "Ann")
	session := s.session("ann@example.com", "correct horse")
	s.login("ann@example.com", "correct horse", "Sec-Fetch-Site", "cross-site", "Cookie", "session="+session).want(t, 403, "cross_origin") // step 5: has no effect
	s.login("nobody@example.com", "wrong horse").want(t, 401, "bad_credentials")
	s.post("/v1/users", input{}).want(t, 422, "invalid")
	s.send("POST", "/v1/login", "{").want(t, 400, "malformed")

	refused := s.login("ann@example.com", "correct horse").want(t, 429, "rate_limited")
	s.post("/v1/users", input{"bob@example.com", "correct horse", "Bob"}).want(t, 429, "rate_limited")
	for i := range 2 {
		elsewhere := fmt.Sprintf("203.0.113.%d", i)
		s.login("ann@example.com", "correct horse", "X-Forwarded-For", elsewhere).want(t, 429, "rate_limited")
		s.login("ann@example.com", "correct horse", "X-Real-IP", elsewhere, "Forwarded", "for="+elsewhere).want(t, 429, "rate_limited")
	}
	for range rate + 1 {
		s.me(session).want(t, 200, "")
	}
	s.send("POST", "/v1/logout", nil).want(t, 204, "")

	if other := from(s, "127.0.0.2"); other != nil {
		other.login("ann@example.com", "correct horse").want(t, 200, "")
		s.login("ann@example.com", "correct horse").want(t, 429, "rate_limited")
	}

	after := retryAfter(t, refused)
	if after > time.Minute {
		t.Errorf("%s with Retry-After %v, want a minute at most", refused, after)
	}
	w.pass(after)
	s.login("ann@example.com", "correct horse").want(t, 200, "")

	through := 0
	w.pass(10 * time.Minute)
	for range 6 { // a minute, every ten seconds
		for _, a := range s.together(rate+1, func(int) request { return request{"POST", "/v1/login", "{", nil} }) {
			if a.status != 429 {
				through++
			}
		}
		w.pass(10 * time.Second)
	}
	if through < rate || through > 2*rate {
		t.Errorf("with -rate %d, %d requests of an address went through in a minute, want %d to %d", rate, through, rate, 2*rate)
	}
}

// from is the service as another address of this machine reaches it, or nil where there is none.
func from(s *service, address string) *service {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	c, err := dialer.Dial("tcp", s.addr)
	if err != nil {
		return nil
	}
	c.Close()
	other := *s
	other.client = &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}, Timeout: patience}
	return &other
}
