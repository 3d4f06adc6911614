package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test program be userapi itself: the examples start it again to have a real process.
func TestMain(m *testing.M) {
	if os.Getenv("BE_USERAPI") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const ann = `{"email":"Ann@example.com","password":"correct horse","name":"Ann"}`

// Step 1: who registers gets an id; an e-mail is registered once.
func TestExampleRegister(t *testing.T) {
	base := userapi(t)
	resp := post(t, base+"/v1/users", ann)
	var user struct {
		ID    int64
		Email string
	}
	if err := json.NewDecoder(resp.Body).Decode(&user); err != nil || resp.StatusCode != 201 || user.Email != "ann@example.com" {
		t.Errorf("POST /v1/users: %s, %+v, %v; want 201 and the e-mail ann@example.com", resp.Status, user, err)
	}
	if resp := post(t, base+"/v1/users", strings.ToLower(ann)); resp.StatusCode != 409 {
		t.Errorf("POST /v1/users, once more: %s, want 409", resp.Status)
	}
}

// Steps 2 and 3: who logs in gets a cookie.
func TestExampleLogin(t *testing.T) {
	base := userapi(t)
	post(t, base+"/v1/users", ann)
	if resp := post(t, base+"/v1/login", `{"email":"ann@example.com","password":"wrong"}`); resp.StatusCode != 401 {
		t.Errorf("POST /v1/login with a wrong password: %s, want 401", resp.Status)
	}
	resp := post(t, base+"/v1/login", ann)
	if resp.StatusCode != 200 || len(resp.Cookies()) != 1 || resp.Cookies()[0].Name != "session" {
		t.Fatalf("POST /v1/login: %s and the cookies %v, want 200 and a session", resp.Status, resp.Cookies())
	}
	req, _ := http.NewRequest("GET", base+"/v1/me", nil)
	req.AddCookie(resp.Cookies()[0])
	me, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	me.Body.Close()
	if me.StatusCode != 200 {
		t.Errorf("GET /v1/me with the cookie: %s, want 200", me.Status)
	}
}

// userapi starts the program and returns its address.
func userapi(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-addr", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "users.db"), "-cost", "4")
	cmd.Env = append(os.Environ(), "BE_USERAPI=1")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("the program printed %q first, want listening on HOST:PORT", line)
	}
	return "http://" + addr
}

func post(t *testing.T, url, body string) *http.Response {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}
