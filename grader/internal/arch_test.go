package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/roadkata/roadkata/grader"

// arrows says which packages of the grader each of them may import. What is not
// allowed here is a fork in the straight line, or knowledge in the wrong place.
var arrows = map[string][]string{
	"course":   {},
	"msg":      {},
	"term":     {},
	"suite":    {"course"},
	"grade":    {"course", "suite"},
	"rules":    {"course", "suite"},
	"check":    {"course", "suite", "grade", "rules"},
	"verify":   {"course", "suite", "grade", "rules"},
	"watch":    {"course", "grade"},
	"scaffold": {"course"},
	"changed":  {"course", "verify"},
	"progress": {"course", "grade"},
	"report":   {"course", "grade", "msg", "progress", "term"},
	"brief":    {"course", "msg", "term"},
	"doctor":   {"course", "suite", "msg", "progress"},
	"cli": {"course", "suite", "grade", "rules", "check", "verify", "watch", "scaffold", "changed", "progress", "report",
		"brief", "doctor", "msg", "term"},
	"bench":    {"course", "grade", "check", "watch"},
	"services": {"course"},
	"":         {"cli"}, // the program itself
}

// nevers are packages whose import would break what a package promises.
var nevers = map[string][]string{
	"course": {"os/exec", "net", "net/http"},                                            // runs nothing
	"grade":  {"os", "os/exec", "io/fs", "path/filepath", "net", "net/http", "syscall"}, // does no I/O
	"report": {"os", "os/exec", "io/fs", "net", "net/http"},                             // only writes what it is given
	"msg":    {"os", "os/exec", "io/fs", "net/http"},
	"watch":  {"os/exec"}, // processes are started in one place
}

type listed struct {
	ImportPath string
	Imports    []string
}

// TestArrows holds the table of packages in ARCHITECTURE.md: who may know whom.
func TestArrows(t *testing.T) {
	stale := maps.Clone(arrows)
	for _, p := range list(t) {
		name := short(p.ImportPath)
		delete(stale, name)
		allowed, known := arrows[name]
		if !known {
			t.Errorf("package %s is not in the table of arrows; add it with what it may import, here and to ARCHITECTURE.md", p.ImportPath)
			continue
		}
		for _, im := range p.Imports {
			if im != module && !strings.HasPrefix(im, module+"/") {
				continue
			}
			if !slices.Contains(allowed, short(im)) {
				t.Errorf("%s imports %s; it may import %q", name, short(im), allowed)
			}
		}
	}
	for name := range stale {
		t.Errorf("the table of arrows names %q, and there is no such package", name)
	}
}

// TestNevers holds what packages promise never to do.
func TestNevers(t *testing.T) {
	for _, p := range list(t) {
		for _, never := range nevers[short(p.ImportPath)] {
			if slices.Contains(p.Imports, never) {
				t.Errorf("%s imports %s", short(p.ImportPath), never)
			}
		}
	}
}

// TestProcessesStartInOnePlace: which packages start programs is short and known.
func TestProcessesStartInOnePlace(t *testing.T) {
	may := map[string]string{
		"suite":    "go build and the learner's programs",
		"check":    "asks where the go command is, starts nothing",
		"doctor":   "asks tools for their versions",
		"changed":  "git, for verify --changed-since",
		"bench":    "go test, to compare with",
		"services": "PostgreSQL and the like, for suites that can use the real ones",
	}
	for _, p := range list(t) {
		if name := short(p.ImportPath); slices.Contains(p.Imports, "os/exec") && may[name] == "" {
			t.Errorf("%s imports os/exec; the learner's programs are started by suite only, other tools by %v", name, may)
		}
	}
}

func short(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/"), "internal/")
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var pkgs []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath != module+"/internal" { // the folder of this test
			pkgs = append(pkgs, p)
		}
	}
	return pkgs
}
