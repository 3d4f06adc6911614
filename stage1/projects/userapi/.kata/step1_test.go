// Register.
//
//kata:zh 注册
//kata:level 3
//kata:minutes 300
//kata:engine real net/http and SQLite (modernc.org/sqlite)
//kata:files *.go
//kata:timeout 120s
package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Who registers is told their id and what was kept of the input, and a body that is no such input is refused as what it is.
//
//kata:zh 注册成功返回 id 和保存的内容；不合要求的请求体按其原因拒绝。
func TestRegisters(t *testing.T) {
	s := newWorld(t).start()
	first := s.register("  Ann@Example.COM\t", "correct horse", " 安 Ann ")
	if first.Email != "ann@example.com" || first.Name != "安 Ann" {
		t.Errorf(`registered e-mail "  Ann@Example.COM\t" and name " 安 Ann "; the answer has %q and %q, want "ann@example.com" and "安 Ann"`, first.Email, first.Name)
	}
	if edges := s.register("AZ[~@x.io", "correct horse", "Z"); edges.Email != "az[~@x.io" {
		t.Errorf(`registered e-mail "AZ[~@x.io"; the answer has %q, want "az[~@x.io"`, edges.Email)
	}
	if second := s.register("bob@example.com", "correct horse", "安 Ann"); second.ID == first.ID {
		t.Errorf("two users have the id %d", first.ID)
	}
	for _, taken := range []string{"ann@example.com", "ANN@EXAMPLE.COM", " Ann@example.com "} {
		s.post("/v1/users", input{taken, "another one", "Ann"}).want(t, http.StatusConflict, "email_taken")
	}

	ids := map[int64]bool{}
	for _, a := range s.together(4, func(i int) request {
		return request{"POST", "/v1/users", input{fmt.Sprintf("u%d@example.com", i), "correct horse", "U"}, nil}
	}) {
		a.want(t, 201, "")
		ids[a.user(t).ID] = true
	}
	if len(ids) != 4 {
		t.Errorf("4 users that registered at the same time have %d ids", len(ids))
	}

	good := `{"email":"carl%d@example.com","password":"12345678","name":"Carl","pad":"%s"}`
	padded := func(i, size int) string {
		return fmt.Sprintf(good, i, strings.Repeat("x", size-len(fmt.Sprintf(good, i, ""))))
	}
	for _, tc := range []struct {
		body   string
		status int
		code   string
	}{
		{``, 400, "malformed"},
		{`{"email":`, 400, "malformed"},
		{`null`, 400, "malformed"},
		{`"ann@example.com"`, 400, "malformed"},
		{`[` + padded(1, 100) + `]`, 400, "malformed"},
		{`{"email":["dan@example.com"],"password":"12345678","name":"Dan"}`, 400, "malformed"},
		{`{"email":"dan@example.com","password":12345678,"name":"Dan"}`, 400, "malformed"},
		{`{"email":"dan@example.com","password":"1234567` + "\xff" + `","name":"Dan"}`, 400, "malformed"},
		{`{"email":null,"password":"12345678","name":"Dan"}`, 422, "invalid"},
		{`{}`, 422, "invalid"},
		{padded(2, 100) + `{}`, 400, "malformed"},
		{padded(2, 100) + `]`, 400, "malformed"},
		{padded(3, 16<<10+1), 413, "too_large"},
		{padded(3, 200<<10), 413, "too_large"},
		{padded(3, 16<<10), 201, ""},
		{padded(4, 100) + " \n", 201, ""},
	} {
		s.send("POST", "/v1/users", tc.body).want(t, tc.status, tc.code)
	}
	for _, tc := range []struct {
		method, path string
		status       int
	}{{"POST", "/v1/user", 404}, {"GET", "/v1/users", 405}, {"PUT", "/v1/users", 405}, {"GET", "/v1/login", 405}, {"GET", "/v1/logout", 405}, {"POST", "/v1/me", 405}} {
		if got := s.send(tc.method, tc.path, nil); got.status != tc.status {
			t.Errorf("%s, want %d", got, tc.status)
		}
	}
}

// Validation names every field that is wrong, and no other.
//
//kata:zh 校验列出每一个不合格的字段，且只列这些。
func TestListsEveryInvalidField(t *testing.T) {
	s := newWorld(t).start()
	const email, password, name = "dan@example.com", "12345678", "Dan"
	for _, tc := range []struct {
		input
		want string
	}{
		{input{}, "email name password"},
		{input{"nobody", "short", ""}, "email name password"},
		{input{"nobody", password, " \t"}, "email name"},
		{input{"nobody", "1234567", name}, "email password"},
		{input{email, strings.Repeat("p", 73), " \n "}, "name password"},
		{input{"@example.com", password, name}, "email"},
		{input{"dan@", password, name}, "email"},
		{input{"dan@example", password, name}, "email"},
		{input{"dan@.com", password, name}, "email"},
		{input{"dan@example.", password, name}, "email"},
		{input{"dan@e@example.com", password, name}, "email"},
		{input{"d an@example.com", password, name}, "email"},
		{input{"dan@example.com\nbcc", password, name}, "email"},
		{input{"d\x7fn@example.com", password, name}, "email"},
		{input{"dän@example.com", password, name}, "email"},
		{input{"dan\u212a@example.com", password, name}, "email"}, // the Kelvin sign, whose lower case is k
		{input{strings.Repeat("d", 243) + "@example.com", password, name}, "email"},
		{input{email, strings.Repeat("é", 37), name}, "password"}, // 74 bytes
		{input{email, "1234\x005678", name}, "password"},
		{input{email, password, strings.Repeat("名", 101)}, "name"},

		{input{strings.Repeat("d", 242) + "@example.com", "1234567é"[1:], strings.Repeat("名", 100)}, ""},
		{input{"d.a+n!@x.y", strings.Repeat("é", 36), " D "}, ""},
		{input{"e@x.y", "四十二", "E"}, ""}, // 9 bytes
	} {
		got := s.post("/v1/users", tc.input)
		if tc.want == "" {
			got.want(t, 201, "")
			continue
		}
		got.want(t, 422, "invalid")
		var body struct{ Fields map[string]string }
		json.Unmarshal(got.body, &body)
		if fields := strings.Join(slices.Sorted(maps.Keys(body.Fields)), " "); fields != tc.want {
			t.Errorf("%s\n    lists the fields [%s], want [%s]", got, fields, tc.want)
		}
	}
}

// However many register one e-mail at the same time, in whatever case, one of them gets it and the others are told that it is taken.
//
//kata:zh 无论多少人同时以何种大小写注册同一邮箱，只有一人成功，其余被告知已占用。
func TestEmailIsUnique(t *testing.T) {
	s := newWorld(t).start("-cost", "7") // a hash takes long enough for all to be under way at the same time
	spellings := []string{"ann%d@example.com", "ANN%d@example.com", " ann%d@Example.com"}
	for round := range 2 {
		got := map[string]int{}
		for _, a := range s.together(len(spellings), func(i int) request {
			return request{"POST", "/v1/users", input{fmt.Sprintf(spellings[i], round), "correct horse", "Ann"}, nil}
		}) {
			got[fmt.Sprintf("%d %s", a.status, a.code())]++
		}
		if want := map[string]int{"201 ": 1, "409 email_taken": 2}; !maps.Equal(got, want) {
			t.Fatalf("3 registrations of one e-mail at the same time were answered by %v, want %v", got, want)
		}
	}
}

// —— helpers of all steps ——

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// world is what outlives the program: its database and the time.
type world struct {
	t                *testing.T
	dir, db, clockAt string
	now              time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, dir: dir, db: filepath.Join(dir, "users.db"), clockAt: filepath.Join(dir, "clock")}
	w.setClock(time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC))
	return w
}

func (w *world) setClock(now time.Time) {
	w.t.Helper()
	w.now = now
	// Renamed, so that nobody reads half of it.
	if err := os.WriteFile(w.clockAt+".new", []byte(now.Format(time.RFC3339Nano)+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.clockAt+".new", w.clockAt); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pass(d time.Duration) { w.t.Helper(); w.setClock(w.now.Add(d)) }

func (w *world) command(flags ...string) *exec.Cmd {
	w.t.Helper()
	path := os.Getenv("ROADKATA_PROGRAM")
	if path == "" {
		w.t.Fatal("ROADKATA_PROGRAM does not say where the program is")
	}
	return exec.Command(path, append([]string{"-addr", "127.0.0.1:0", "-db", w.db, "-clock", w.clockAt, "-cost", "4", "-rate", "0"}, flags...)...)
}

// service is the running program.
type service struct {
	*world
	cmd    *exec.Cmd
	addr   string
	client *http.Client
	ended  chan struct{} // closed once it has ended and all is in output
	output *lockedBuffer
}

// start starts the program and waits until it listens. Later flags go before the usual ones.
func (w *world) start(flags ...string) *service {
	w.t.Helper()
	s := &service{world: w, cmd: w.command(flags...), ended: make(chan struct{}), output: &lockedBuffer{}}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: patience}
	s.cmd.Stderr = s.output
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	first := make(chan string, 1)
	go func() {
		defer close(s.ended)
		r := bufio.NewReader(stdout)
		line, _ := r.ReadString('\n')
		first <- line
		io.Copy(s.output, r)
		s.cmd.Wait()
	}()
	w.t.Cleanup(s.kill)
	select {
	case line := <-first:
		addr, ok := strings.CutPrefix(line, "listening on ")
		if !ok {
			s.kill()
			w.t.Fatalf("the program printed %q (%v), want \"listening on HOST:PORT\" first; then\n%s", line, s.cmd.ProcessState, excerpt(s.output.String()))
		}
		s.addr = strings.TrimSpace(addr)
	case <-time.After(patience):
		w.t.Fatal("the program does not print where it listens")
	}
	return s
}

// kill ends the program as a power cut would.
func (s *service) kill() {
	s.client.CloseIdleConnections()
	s.cmd.Process.Kill()
	<-s.ended
}

type input struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	Name     string `json:"name"`
}

type user struct {
	ID      int64
	Email   string
	Name    string
	Expires time.Time
}

type request struct {
	method, path string
	body         any // a string goes as it is
	header       map[string]string
}

// answer is what came back for a request.
type answer struct {
	request
	status  int
	headers http.Header
	body    []byte
	cookies []*http.Cookie
}

func (a answer) String() string {
	sent := ""
	if a.request.body != nil {
		sent = " " + excerpt(fmt.Sprint(payload(a.request.body)))
	}
	for k, v := range a.header {
		sent += fmt.Sprintf(" (%s: %s)", k, v)
	}
	return fmt.Sprintf("%s %s%s\n    got %d %s", a.method, a.path, sent, a.status, excerpt(strings.TrimSpace(string(a.body))))
}

func (a answer) code() string {
	var body struct{ Error string }
	json.Unmarshal(a.body, &body)
	return body.Error
}

// want fails the test unless the answer has the status and, if it is a refusal, the code; all but 204 has JSON.
func (a answer) want(t *testing.T, status int, code string) answer {
	t.Helper()
	switch {
	case a.status != status || a.code() != code:
		t.Fatalf("%s, want %d %s", a, status, code)
	case status != http.StatusNoContent && !strings.HasPrefix(a.headers.Get("Content-Type"), "application/json"):
		t.Fatalf("%s with Content-Type %q, want application/json", a, a.headers.Get("Content-Type"))
	}
	return a
}

func (a answer) user(t *testing.T) (u user) {
	t.Helper()
	if err := json.Unmarshal(a.body, &u); err != nil || u.ID == 0 {
		t.Fatalf("%s, want a user with an id", a)
	}
	return u
}

// token returns the session that the answer set.
func (a answer) token(t *testing.T) string {
	t.Helper()
	for _, c := range a.cookies {
		if c.Name == "session" && c.Value != "" {
			return c.Value
		}
	}
	t.Fatalf("%s, and no cookie \"session\"", a)
	return ""
}

func payload(body any) string {
	if text, ok := body.(string); ok {
		return text
	}
	data, _ := json.Marshal(body)
	return string(data)
}

// try sends a request and returns what came back, or an error.
func (s *service) try(r request) (answer, error) {
	var body io.Reader
	if r.body != nil {
		body = strings.NewReader(payload(r.body))
	}
	req, err := http.NewRequest(r.method, "http://"+s.addr+r.path, body)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{r, resp.StatusCode, resp.Header, data, resp.Cookies()}, err
}

func (s *service) do(r request) answer {
	s.t.Helper()
	a, err := s.try(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v; the program's stderr:\n%s", r.method, r.path, err, excerpt(s.output.String()))
	}
	return a
}

// send sends a request; headers are names and values in turn.
func (s *service) send(method, path string, body any, headers ...string) answer {
	s.t.Helper()
	header := map[string]string{}
	for pair := range slices.Chunk(headers, 2) {
		header[pair[0]] = pair[1]
	}
	return s.do(request{method, path, body, header})
}

func (s *service) post(path string, in input, headers ...string) answer {
	s.t.Helper()
	return s.send("POST", path, in, headers...)
}

func (s *service) register(email, password, name string) user {
	s.t.Helper()
	return s.post("/v1/users", input{email, password, name}).want(s.t, http.StatusCreated, "").user(s.t)
}

func (s *service) login(email, password string, headers ...string) answer {
	s.t.Helper()
	return s.send("POST", "/v1/login", map[string]string{"email": email, "password": password}, headers...)
}

// session logs in and returns the token.
func (s *service) session(email, password string, headers ...string) string {
	s.t.Helper()
	return s.login(email, password, headers...).want(s.t, http.StatusOK, "").token(s.t)
}

func (s *service) me(token string) answer {
	s.t.Helper()
	return s.send("GET", "/v1/me", nil, "Cookie", "session="+token)
}

// together sends n requests at the same time, over connections of their own.
func (s *service) together(n int, of func(i int) request) []answer {
	s.t.Helper()
	answers, errs := make([]answer, n), make([]error, n)
	var all sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-gate
			answers[i], errs[i] = s.try(of(i))
		})
	}
	close(gate)
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatalf("%d requests at the same time: %v; the program's stderr:\n%s", n, err, excerpt(s.output.String()))
	}
	return answers
}

func retryAfter(t *testing.T, a answer) time.Duration {
	t.Helper()
	seconds, err := strconv.Atoi(a.headers.Get("Retry-After"))
	if err != nil || seconds < 1 {
		t.Fatalf("%s with Retry-After %q, want seconds", a, a.headers.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second
}

func excerpt(text string) string {
	if len(text) > 1500 {
		text = text[:1500] + "…"
	}
	return text
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// posix tells whether there are signals here. Where there are none, nothing is checked.
func posix() bool { return runtime.GOOS != "windows" }
