// Log in.
//
//kata:zh 登录
package main_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

// Only the registered password is right, to the byte, and all wrong logins get one and the same answer, whoever is known or not.
//
//kata:zh 只有与注册时逐字节相同的密码才对；所有错误登录得到同一个答复，看不出用户是否存在。
func TestWrongLoginsLookAlike(t *testing.T) {
	s := newWorld(t).start()
	long := strings.Repeat("0123456789ab", 6) // 72 bytes
	ann := s.register("ann@example.com", "correct horse", "Ann")
	s.register("amy@example.com", "correct horse", "Amy")
	s.register("bob@example.com", long, "Bob")
	got := s.login(" ANN@Example.com", "correct horse").want(t, 200, "").user(t)
	got.Expires = time.Time{}
	if ann.Expires = (time.Time{}); got != ann {
		t.Errorf("the login of %+v is answered by %+v", ann, got)
	}

	var first answer
	for i, tc := range []struct{ email, password string }{ // less than five for each, lest step 4 locks them
		{"nobody@example.com", "correct horse"},
		{"ann@example.com", "wrong horse"},
		{"ann@example.com", "Correct horse"},
		{"ann@example.com", "correct horse "},
		{"ann@example.com", "correct hors"},
		{"amy@example.com", ""},
		{"amy@example.com", "correct horse\x00"},
		{"amy@example.com", "correct horse\x00correct horse"},
		{"amy@example.com", strings.Repeat("long", 30)},
		{"bob@example.com", long + "c"},
		{"bob@example.com", long[:71]},
		{"nobody@example.com", long + "c"},
		{"ann", "correct horse"},
		{"", ""},
	} {
		got := s.login(tc.email, tc.password).want(t, 401, "bad_credentials")
		got.headers.Del("Date")
		if i == 0 {
			first = got
		}
		if string(got.body) != string(first.body) || !maps.EqualFunc(got.headers, first.headers, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Errorf("%s\n    %v\nbut\n%s\n    %v", got, got.headers, first, first.headers)
		}
	}
	s.login("ann@example.com", "correct horse").want(t, 200, "")
	s.login("bob@example.com", long).want(t, 200, "")
	s.send("POST", "/v1/login", "{").want(t, 400, "malformed")
}

// The login of an unknown user costs at least half the processor time of a known one's.
//
//kata:zh 未知用户的登录至少耗费已知用户一半的 CPU 时间。
func TestUnknownUserCostsAsMuch(t *testing.T) {
	w := newWorld(t)
	const cost = "7"
	s := w.start("-cost", cost)
	s.register("ann@example.com", "correct horse", "Ann")
	s.kill()

	// Each in a process of its own, as its processor time is known when it has ended.
	const n = 4 // less than five, lest step 4 locks them
	spent := func(email string) time.Duration {
		s := w.start("-cost", cost)
		for range n {
			if email != "" {
				s.login(email, "wrong horse").want(t, 401, "bad_credentials")
			}
		}
		s.kill()
		return s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
	}
	measure := func(user, nobody string) (known, unknown time.Duration) {
		start := spent("")
		return spent(user) - start, spent(nobody) - start
	}
	known, unknown := measure("ann@example.com", "nobody@example.com")
	if unknown < known/2 { // once more: a busy neighbour may slow a process down, but not the same one twice
		s := w.start("-cost", cost)
		s.register("bob@example.com", "correct horse", "Bob")
		s.kill()
		known, unknown = measure("bob@example.com", "somebody@example.com")
	}
	if unknown < known/2 {
		t.Errorf("with -cost %s, %d wrong logins of a user cost %v of processor time, %d of nobody %v: want at least half", cost, n, known, n, unknown)
	}
}
