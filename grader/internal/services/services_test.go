//go:build unix

package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestChoose(t *testing.T) {
	all, err := choose("")
	require.NoError(t, err)
	require.Len(t, all, len(services))
	two, err := choose("nats,redis")
	require.NoError(t, err)
	require.Equal(t, []string{"nats", "redis"}, []string{two[0].name, two[1].name})
	_, err = choose("oracle")
	require.ErrorContains(t, err, `no service is called "oracle"; known: postgres`)
}

// The katas are found by what their suites and kits read, so that no list of
// them can be forgotten.
func TestFindUsers(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	write("stage1/go.mod", "module example.com/stage1\n\ngo 1.26\n")
	write("stage1/roadmap.yaml", `title: {en: One, zh: 一}
goal: {en: Some, zh: 些}
topics:
  - id: basics
    title: {en: Basics, zh: 基础}
    items:
      - id: all
        title: {en: All, zh: 全部}
        katas: [basics/direct, basics/kit, basics/neither]
`)
	write("stage1/internal/kit/cachetest/cachetest.go", "package cachetest\n\nvar name = \"ROADKATA_REDIS_ADDR\"\n")
	write("stage1/internal/kit/cachetest/cachetest_test.go", "package cachetest\n\nvar other = \"ROADKATA_NATS_URL\"\n")
	for kata, text := range map[string]string{
		"direct":  "package direct_test\n\nvar name = \"ROADKATA_POSTGRES_DSN\"\n",
		"kit":     "package kit_test\n\nimport _ \"example.com/stage1/internal/kit/cachetest\"\n",
		"neither": "package neither_test\n",
	} {
		write("stage1/basics/"+kata+"/"+kata+".go", "package "+kata+"\n")
		write("stage1/basics/"+kata+"/.kata/stub/"+kata+".go", "package "+kata+"\n")
		write("stage1/basics/"+kata+"/.kata/intents_test.go", text)
	}
	users, err := findUsers(root)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{
		"ROADKATA_POSTGRES_DSN": {"stage1/basics/direct"},
		"ROADKATA_REDIS_ADDR":   {"stage1/basics/kit"},
	}, users)
}

// A command gets the variables, and its exit status is ours.
func TestCommand(t *testing.T) {
	var out bytes.Buffer
	code, err := command(context.Background(), "", []string{"ROADKATA_X=here"}, &out, &out, "sh", "-c", "echo $ROADKATA_X; exit 7")
	require.NoError(t, err)
	require.Equal(t, 7, code)
	require.Equal(t, "here\n", out.String())
}

// A server that is asked the wrong thing, or does not answer, is not ready.
func TestAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 100)
			n, _ := conn.Read(buf)
			_, _ = conn.Write([]byte("you said " + string(buf[:n])))
			conn.Close()
		}
	}()
	_, p, _ := net.SplitHostPort(l.Addr().String())
	port, _ := strconv.Atoi(p)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, answers(port, "ping", "said ping")(ctx))
	err = answers(port, "ping", "pong")(ctx)
	require.ErrorContains(t, err, "you said ping")
}

// What was started ends with the group, its children included.
func TestGroupStops(t *testing.T) {
	dir := t.TempDir()
	var g group
	value, err := g.start(context.Background(), service{name: "sleeper", variable: "ROADKATA_SLEEPER", prepare: sleeper}, dir)
	require.NoError(t, err)
	require.Equal(t, []string{"ROADKATA_SLEEPER=" + value}, g.env)
	pids := func() []string {
		data, _ := os.ReadFile(filepath.Join(dir, "sleeper", "pids"))
		return strings.Fields(string(data))
	}
	require.Len(t, pids(), 2)
	g.stop()
	for _, pid := range pids() {
		require.Eventually(t, func() bool { return !alive(pid) }, 10*time.Second, 10*time.Millisecond, "process %s outlived the group", pid)
	}
}

// sleeper is a server with a child, ready when both have said who they are.
func sleeper(_ context.Context, dir string, _ int) (*server, error) {
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo $$ $! > pids.new; mv pids.new pids; wait")
	cmd.Dir = dir
	ready := func(context.Context) error { _, err := os.Stat(filepath.Join(dir, "pids")); return err }
	return &server{value: "asleep", cmd: cmd, ready: ready}, nil
}

// alive reports whether the process runs; a zombie that nobody has waited for does not.
func alive(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil || syscall.Kill(n, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}
