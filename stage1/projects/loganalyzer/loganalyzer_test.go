package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain lets the test program be loganalyzer itself: the examples start it again to have a real process.
func TestMain(m *testing.M) {
	if os.Getenv("BE_LOGANALYZER") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const example = `203.0.113.7 - - [10/Oct/2025:13:55:36 +0000] "GET /index.html HTTP/1.1" 200 5120 "-" "curl/8.5" 0.012
203.0.113.9 - - [10/Oct/2025:13:55:37 +0000] "GET /search?q=go HTTP/1.1" 200 830 "-" "curl/8.5" 0.240
this is no line of a log
{"time":"2025-10-10T13:55:38Z","host":"203.0.113.7","method":"GET","path":"/search?q=zig","status":502,"bytes":0,"duration":1.5}
`

// Step 1: parse prints the good lines as JSON and complains about the others.
func TestExampleParse(t *testing.T) {
	stdout, stderr := loganalyzer(t, example, "parse")
	var paths []string
	for line := range strings.Lines(stdout) {
		var record struct{ Path string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("parse printed a line that is no JSON object: %q", line)
		}
		paths = append(paths, record.Path)
	}
	if got, want := strings.Join(paths, " "), "/index.html /search /search"; got != want {
		t.Errorf("parse printed the paths %s, want %s", got, want)
	}
	if !strings.HasPrefix(stderr, "-:3: ") {
		t.Errorf("parse reported %q, want a message that begins with -:3:", stderr)
	}
}

// Step 2: top counts.
func TestExampleTop(t *testing.T) {
	stdout, _ := loganalyzer(t, example, "top", "-k", "1", "-o", "json")
	var rows []struct {
		Value string
		Count int
	}
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil {
		t.Fatalf("top -o json printed no JSON array: %q", stdout)
	}
	if len(rows) != 1 || rows[0].Value != "/search" || rows[0].Count != 2 {
		t.Errorf("top -k 1 -o json = %v, want [{/search 2}]", rows)
	}
}

func loganalyzer(t *testing.T, stdin string, args ...string) (stdout, stderr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "BE_LOGANALYZER=1")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("loganalyzer %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), errs.String()
}
