//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errMissing says that the machine does not have the server.
var errMissing = errors.New("not installed")

// startLimit is how long a server may take to answer; RabbitMQ takes 8 s on a
// quiet machine.
const startLimit = 90 * time.Second

// service is one server that suites can use.
type service struct {
	name     string
	variable string // of the environment: where it listens
	debian   string // the package
	// prepare returns what runs in dir, an empty folder of the service's own, with
	// port free for it. errMissing if the machine does not have it.
	prepare func(ctx context.Context, dir string, port int) (*server, error)
}

// server says how a prepared service is run.
type server struct {
	value  string    // of the variable
	cmd    *exec.Cmd // nil: nothing runs, the value is all
	ready  func(ctx context.Context) error
	finish *exec.Cmd // run after the server has been stopped; may be nil
}

// group holds the servers that run.
type group struct {
	env   []string
	stops []func()
}

func (g *group) stop() {
	for i := len(g.stops) - 1; i >= 0; i-- {
		g.stops[i]()
	}
	g.stops = nil
}

// start starts a service and returns when it answers.
func (g *group) start(ctx context.Context, s service, dir string) (string, error) {
	own := filepath.Join(dir, s.name)
	if err := os.Mkdir(own, 0o755); err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	srv, err := s.prepare(ctx, own, port)
	if err != nil {
		return "", err
	}
	if srv.cmd != nil {
		if err := g.launch(ctx, srv, own); err != nil {
			return "", err
		}
	}
	g.env = append(g.env, s.variable+"="+srv.value)
	return srv.value, nil
}

func (g *group) launch(ctx context.Context, srv *server, dir string) error {
	log, err := os.Create(filepath.Join(dir, "output.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	srv.cmd.Stdout, srv.cmd.Stderr = log, log
	if srv.cmd.SysProcAttr == nil {
		srv.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	srv.cmd.SysProcAttr.Setpgid = true
	if err := srv.cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.cmd.Wait() }()
	g.stops = append(g.stops, func() {
		end(srv.cmd.Process.Pid, ended)
		if srv.finish != nil {
			_ = srv.finish.Run()
		}
	})
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := srv.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case exit := <-ended:
			ended <- exit
			return fmt.Errorf("it ended at once (%v):\n%s", exit, tail(log.Name()))
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w\n%s", err, tail(log.Name()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// end asks a process group to stop, and kills it if it does not.
func end(pid int, ended chan error) {
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	select {
	case err := <-ended:
		ended <- err
	case <-time.After(10 * time.Second):
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
}

func tail(file string) string {
	data, _ := os.ReadFile(file)
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// accepts is ready when somebody listens at the port.
func accepts(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address(port))
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// answers is ready when the server says something with want in it to a question.
func answers(port int, question, want string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address(port))
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		if _, err := io.WriteString(conn, question); err != nil {
			return err
		}
		reply := make([]byte, 4096)
		n, err := conn.Read(reply)
		if !strings.Contains(string(reply[:n]), want) {
			return fmt.Errorf("asked %q, it answered %q (%v)", strings.TrimSpace(question), reply[:n], err)
		}
		return nil
	}
}

// find returns the first program that exists: names are looked up in PATH and in
// the folders, which may be patterns.
func find(name string, folders ...string) (string, error) {
	for _, pattern := range folders {
		files, _ := filepath.Glob(filepath.Join(pattern, name))
		if len(files) > 0 {
			return files[len(files)-1], nil // the newest version sorts last
		}
	}
	if file, err := exec.LookPath(name); err == nil {
		return file, nil
	}
	return "", errMissing
}

// unprivileged makes cmd run as an ordinary user, who gets dir, where this
// program runs as root: PostgreSQL refuses to be root.
func unprivileged(cmd *exec.Cmd, dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // to get there
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return nil
}
