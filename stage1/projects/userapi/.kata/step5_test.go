// Operation.
//
//kata:zh 运行
package main_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	_ "modernc.org/sqlite"
)

// When it is told to stop, the program takes no new connection, answers the requests that have begun, and ends with exit code 0.
//
//kata:zh 收到停止信号后不再接受新连接，答完已开始的请求，以 0 退出。
func TestStopsGracefully(t *testing.T) {
	if !posix() {
		return
	}
	w := newWorld(t)
	answered := ""
	for sig, number := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": os.Interrupt} {
		s := w.start()
		if answered != "" { // by the program before
			s.session(answered, "correct horse")
		}
		s.me("").want(t, 401, "unauthenticated") // leaves an idle connection

		// A request has begun when the program asks for its body.
		body := payload(input{sig + "@example.com", "correct horse", "Ann"})
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "POST /v1/users HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", s.addr, len(body))
		r := bufio.NewReader(conn)
		if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
			t.Fatalf("POST /v1/users with Expect: 100-continue: got %q (%v), want 100 Continue", line, err)
		}
		r.ReadString('\n')

		if err := s.cmd.Process.Signal(number); err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for begun := time.Now(); ; <-tick.C {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				break
			}
			c.Close()
			if time.Since(begun) > 2*time.Second {
				t.Fatalf("after %s the program still accepts connections", sig)
			}
		}
		io.WriteString(conn, body)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("a request that had begun before %s got no answer: %v; stderr:\n%s", sig, err, excerpt(s.output.String()))
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			t.Errorf("a request that had begun before %s got %s, want 201", sig, resp.Status)
		}
		select {
		case <-s.ended:
		case <-time.After(patience / 2):
			t.Fatalf("with nothing left to do the program does not end on %s", sig)
		}
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("the program ended on %s with %v, want exit code 0; stderr:\n%s", sig, s.cmd.ProcessState, excerpt(s.output.String()))
		}
		answered = sig + "@example.com"
	}
}

// A page of another origin can make the browser neither register, nor log in, nor log out; reading is left to the browser's own rules.
//
//kata:zh 其他来源的页面无法借浏览器注册、登录或退出；读取则由浏览器自己的规则管。
func TestRefusesCrossOrigin(t *testing.T) {
	s := newWorld(t).start()
	s.register("ann@example.com", "correct horse", "Ann")
	token := s.session("ann@example.com", "correct horse")
	for i, tc := range []struct {
		header, value string
		refused       bool
	}{
		{"Sec-Fetch-Site", "cross-site", true},
		{"Sec-Fetch-Site", "same-site", true},
		{"Origin", "https://evil.example", true},
		{"Origin", "http://evil-" + s.addr, true},
		{"Origin", "null", true},
		{"Sec-Fetch-Site", "same-origin", false},
		{"Sec-Fetch-Site", "none", false},
		{"Origin", "http://" + s.addr, false},
	} {
		email := fmt.Sprintf("u%d@example.com", i)
		registered := s.post("/v1/users", input{email, "correct horse", "U"}, tc.header, tc.value)
		login := s.login("ann@example.com", "correct horse", tc.header, tc.value)
		out := s.send("POST", "/v1/logout", nil, "Cookie", "session="+token, tc.header, tc.value)
		if !tc.refused {
			registered.want(t, 201, "")
			login.want(t, 200, "")
			out.want(t, 204, "")
			token = login.token(t)
			continue
		}
		nowhere := s.send("POST", "/v1/nowhere", nil, tc.header, tc.value)
		for _, a := range []answer{registered, login, out, nowhere} {
			if a.want(t, 403, "cross_origin"); len(a.cookies) > 0 {
				t.Errorf("%s and the cookies %v, want none", a, a.cookies)
			}
		}
		s.login(email, "correct horse").want(t, 401, "bad_credentials")
		s.me(token).want(t, 200, "")
		s.send("GET", "/v1/me", nil, "Cookie", "session="+token, tc.header, tc.value).want(t, 200, "")
	}
}

// An old database is upgraded at the start with all that is in it; one that cannot be is left as it was.
//
//kata:zh 启动时升级旧数据库并保留其中一切；无法升级的则原样不动。
func TestMigrates(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("horse"), bcrypt.MinCost+1) // there was no shortest password in those days
	if err != nil {
		t.Fatal(err)
	}
	old := func(w *world, version int, emails ...string) {
		t.Helper()
		script := `BEGIN; CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL);`
		for i, email := range emails {
			script += fmt.Sprintf(`INSERT INTO users (id, email, password_hash) VALUES (%d, '%s', '%s');`, 7*(i+1), email, hash)
		}
		execute(t, w.db, script+fmt.Sprintf(`PRAGMA user_version = %d; COMMIT`, version))
	}

	w := newWorld(t)
	old(w, 1, "ann@example.com", "Bob@Example.com")
	for _, again := range []bool{false, true} { // the second time nothing is left to do
		s := w.start()
		for email, want := range map[string]user{
			"Ann@example.com": {ID: 7, Email: "ann@example.com"},
			"bob@example.com": {ID: 14, Email: "bob@example.com"},
		} {
			if got := s.me(s.session(email, "horse")).want(t, 200, "").user(t); got != want {
				t.Errorf("in an old database %s is %+v, want %+v", email, got, want)
			}
			s.post("/v1/users", input{email, "correct horse", "X"}).want(t, 409, "email_taken")
		}
		if again {
			if carl := s.register("carl@example.com", "correct horse", "Carl"); carl.ID == 7 || carl.ID == 14 {
				t.Errorf("in an old database with the ids 7 and 14 a new user got %d", carl.ID)
			}
		}
		s.kill()
	}
	if version := query(t, w.db, `SELECT user_version FROM pragma_user_version`)[0]; version == "0" || version == "1" {
		t.Errorf("the user_version of an upgraded database is %s, want 2 or more", version)
	}

	for _, tc := range []struct {
		what    string
		version int
		emails  []string
	}{
		{"e-mails that differ only in case", 1, []string{"ann@example.com", "bob@example.com", "Ann@Example.com"}},
		{"user_version 99", 99, []string{"ann@example.com"}},
	} {
		w := newWorld(t)
		old(w, tc.version, tc.emails...)
		before := strings.Join(dump(t, w.db), "\n")
		cmd := w.command()
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(2 * time.Second):
			cmd.Process.Kill()
			<-ended
			t.Fatalf("with a database with %s the program runs (%q), want exit code 1", tc.what, stdout.String())
		}
		if code := cmd.ProcessState.ExitCode(); code != 1 || stdout.Len() > 0 || stderr.Len() == 0 {
			t.Errorf("with a database with %s: exit code %d, stdout %q, stderr %q; want exit code 1 and a message on stderr only", tc.what, code, stdout.String(), excerpt(stderr.String()))
		}
		if after := strings.Join(dump(t, w.db), "\n"); after != before {
			t.Errorf("a database with %s was refused, and changed, from\n%s\nto\n%s", tc.what, before, after)
		}
	}
}

// execute runs statements on a database that no program has open.
func execute(t *testing.T, path, script string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(script); err != nil {
		t.Fatalf("%s: %v", script, err)
	}
}

// dump lists a database's user_version, what it consists of, and its users of version 1.
func dump(t *testing.T, path string) []string {
	t.Helper()
	return query(t, path, `SELECT 'user_version ' || user_version FROM pragma_user_version
		UNION ALL SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL
		UNION ALL SELECT id || ' ' || email || ' ' || password_hash FROM users`)
}

// query returns the first column of each row.
func query(t *testing.T, path, text string) (all []string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(text)
	if err != nil {
		t.Fatalf("the database cannot be read any more: %v", err)
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		all = append(all, value)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
