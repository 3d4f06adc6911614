// Sessions.
//
//kata:zh 会话
package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Each login makes a new token that nobody can guess, in a cookie that no script can read, and ends the session that the client came with.
//
//kata:zh 每次登录都产生无法猜测的新令牌，放在脚本读不到的 cookie 里，并结束客户端带来的旧会话。
func TestTokensAreRandomAndRotate(t *testing.T) {
	seen := map[string]bool{}
	var tokens []string
	var s *service
	for range 2 { // the same users at the same time, in two programs
		s = newWorld(t).start()
		ann := s.register("ann@example.com", "correct horse", "Ann")
		for range 12 {
			token := s.session("ann@example.com", "correct horse")
			if seen[token] {
				t.Fatalf("two logins got the same token %s", token)
			}
			seen[token] = true
			tokens = append(tokens, token)
		}
		if got := s.me(tokens[len(tokens)-1]).want(t, 200, "").user(t); got != ann {
			t.Errorf("GET /v1/me with the token of %+v: %+v", ann, got)
		}
	}
	bits := 0.0
	for i := range len(tokens[0]) {
		different := map[byte]bool{}
		for _, token := range tokens {
			if i < len(token) {
				different[token[i]] = true
			}
		}
		bits += math.Log2(float64(len(different)))
	}
	if bits < 90 { // 24 samples do not show all of 128
		t.Errorf("%d tokens such as %s vary by about %.0f bits, want 128", len(tokens), tokens[0], bits)
	}

	login := s.login("ann@example.com", "correct horse").want(t, 200, "")
	old := login.token(t)
	for _, c := range login.cookies {
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.MaxAge != 24*3600 {
			t.Errorf("a login sets the cookie %q, want HttpOnly, Secure, SameSite=Lax, Path=/ and Max-Age=86400 (-session-ttl)", c)
		}
	}
	next := s.session("ann@example.com", "correct horse", "Cookie", "session="+old)
	if next == old {
		t.Errorf("a login with the cookie of a session got the token of this session again")
	}
	s.me(next).want(t, 200, "")
	s.me(old).want(t, 401, "unauthenticated")
	s.me(tokens[20]).want(t, 200, "") // on another device

	amy := s.register("amy@example.com", "correct horse", "Amy")
	hers := s.session("amy@example.com", "correct horse")
	next = s.session("ann@example.com", "correct horse", "Cookie", "session="+hers)
	if got := s.me(hers); got.status != 401 {
		t.Errorf("after a login as ann with the cookie of a session of %+v: %s, want 401 for this session", amy, got)
	}

	// A failed login, or one of somebody else who has the cookie's name only, changes nothing.
	s.login("ann@example.com", "wrong horse", "Cookie", "session="+next).want(t, 401, "bad_credentials")
	s.me(next).want(t, 200, "")
	if planted := s.session("ann@example.com", "correct horse", "Cookie", "session=PLANTED"); planted == "PLANTED" {
		t.Errorf("a login took the token that the client brought")
	}
	s.me("PLANTED").want(t, 401, "unauthenticated")
	s.me("").want(t, 401, "unauthenticated")
	s.send("GET", "/v1/me", nil).want(t, 401, "unauthenticated")
}

// Whoever steals the database has neither passwords nor tokens: it holds bcrypt's hash of a password, with a salt and the cost that was asked for, and no token.
//
//kata:zh 偷走数据库的人拿不到密码和令牌：库里只有加盐、按指定 cost 计算的 bcrypt 哈希，没有令牌本身。
func TestSecretsAreHashed(t *testing.T) {
	w := newWorld(t)
	s := w.start("-cost", "5")
	const password = "Correct-Horse-9"
	s.register("ann@example.com", password, "Ann")
	s.register("bob@example.com", password, "Bob")
	tokens := []string{s.session("ann@example.com", password), s.session("bob@example.com", password)}
	s.login("ann@example.com", "Wrong-Horse-77").want(t, 401, "bad_credentials")

	files, err := filepath.Glob(w.db + "*") // with its journals
	if err != nil || len(files) == 0 {
		t.Fatalf("-db %s: there are no such files (%v)", filepath.Base(w.db), err)
	}
	var content []byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, data...)
	}
	content = append(content, s.output.String()...)

	secrets := map[string]string{"the password": password, "a wrong password": "Wrong-Horse-77"}
	for _, token := range tokens {
		secrets["the token "+token] = token
		if raw, err := hex.DecodeString(token); err == nil {
			secrets["the bytes of the token "+token] = string(raw)
		}
		if raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(token, "=")); err == nil {
			secrets["the bytes of the token "+token] = string(raw)
		}
	}
	for name, secret := range secrets {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if bytes.Contains(content, []byte(form)) {
				t.Errorf("%s is in the database or in the log", name)
				break
			}
		}
	}
	hashes := map[string]bool{}
	for _, hash := range regexp.MustCompile(`\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}`).FindAll(content, -1) {
		if hashes[string(hash)] {
			continue // in the journal too
		}
		if cost, err := bcrypt.Cost(hash); err == nil && cost == 5 && bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil {
			hashes[string(hash)] = true
		}
	}
	if len(hashes) != 2 {
		t.Errorf("two users registered with the same password and -cost 5: the database has %d different bcrypt hashes of it and this cost, want 2", len(hashes))
	}
}

// A session ends for the server: when its time is over, however it was used, and by logout, which ends no other.
//
//kata:zh 会话由服务端结束：到期即止，不因使用而延长；退出登录只结束这一个。
func TestSessionsEnd(t *testing.T) {
	s := newWorld(t).start("-session-ttl", "1h")
	s.register("ann@example.com", "correct horse", "Ann")
	s.register("bob@example.com", "correct horse", "Bob")
	begun := s.now
	login := s.login("ann@example.com", "correct horse").want(t, 200, "")
	if got, want := login.user(t).Expires, begun.Add(time.Hour); !got.Equal(want) {
		t.Errorf("a login at %v with -session-ttl 1h expires %v, want %v", begun, got, want)
	}
	for _, c := range login.cookies {
		if c.MaxAge != 3600 {
			t.Errorf("a login with -session-ttl 1h sets the cookie %q, want Max-Age=3600", c)
		}
	}
	token := login.token(t)
	for _, after := range []time.Duration{30 * time.Minute, time.Hour - time.Second} {
		s.setClock(begun.Add(after))
		s.me(token).want(t, 200, "")
	}
	bob := s.session("bob@example.com", "correct horse")
	s.setClock(begun.Add(time.Hour))
	if got := s.me(token); got.status != 401 {
		t.Errorf("one hour after the login, with -session-ttl 1h: %s, want 401", got)
	}
	s.me(bob).want(t, 200, "")

	// Between two seconds: what the answer says is what holds, in whole seconds or not.
	begun = begun.Add(90*time.Minute + 400*time.Millisecond)
	s.setClock(begun)
	login = s.login("ann@example.com", "correct horse").want(t, 200, "")
	expires := login.user(t).Expires
	if off := expires.Sub(begun.Add(time.Hour)).Abs(); off >= time.Second {
		t.Errorf("a login at %v with -session-ttl 1h expires %v, want %v, to the second", begun, expires, begun.Add(time.Hour))
	}
	s.setClock(expires.Add(-time.Millisecond))
	s.me(login.token(t)).want(t, 200, "")
	s.setClock(expires)
	if got := s.me(login.token(t)); got.status != 401 {
		t.Errorf("at %v, when a session of a login at %v expires: %s, want 401", expires.Format(time.RFC3339Nano), begun.Format(time.RFC3339Nano), got)
	}
	bob = s.session("bob@example.com", "correct horse")

	phone, laptop := s.session("ann@example.com", "correct horse"), s.session("ann@example.com", "correct horse")
	out := s.send("POST", "/v1/logout", nil, "Cookie", "session="+phone).want(t, 204, "")
	cleared := false
	for _, c := range out.cookies {
		cleared = cleared || c.Name == "session" && c.Value == "" && c.MaxAge < 0 && c.Path == "/"
	}
	if !cleared {
		t.Errorf("a logout sets the cookies %v, want an empty session with Path=/ and Max-Age=0", out.cookies)
	}
	if got := s.me(phone); got.status != 401 {
		t.Errorf("with the token of a session that was logged out: %s, want 401", got)
	}
	s.me(laptop).want(t, 200, "")
	s.me(bob).want(t, 200, "")
	s.send("POST", "/v1/logout", nil, "Cookie", "session="+phone).want(t, 204, "")
	s.send("POST", "/v1/logout", nil).want(t, 204, "")
	s.me(laptop).want(t, 200, "")
}

// Users and sessions outlive the program, even one that was killed.
//
//kata:zh 用户和会话在程序重启后仍在，即使它是被杀掉的。
func TestRestartKeepsSessions(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	ann := s.register("ann@example.com", "correct horse", "Ann")
	s.register("bob@example.com", "correct horse", "Bob")
	token, gone := s.session("ann@example.com", "correct horse"), s.session("bob@example.com", "correct horse")
	s.send("POST", "/v1/logout", nil, "Cookie", "session="+gone).want(t, 204, "")
	s.kill()
	w.pass(20 * time.Hour)
	s = w.start()
	if got := s.me(token); got.status != 200 || got.user(t) != ann {
		t.Fatalf("after a restart: %s, want 200 and %+v", got, ann)
	}
	s.me(gone).want(t, 401, "unauthenticated")
	s.session("bob@example.com", "correct horse")
}
