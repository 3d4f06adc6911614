package githubactions_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"

	"github.com/roadkata/roadkata/stage2/ops/githubactions"
)

// actionlint reads your workflow. This prints the jobs that it sees: run it with -v.
func TestExampleJobs(t *testing.T) {
	// The grader names the folder of your file; `go test` finds it here.
	text, err := os.ReadFile(filepath.Join(os.Getenv("ROADKATA_FILES"), "ci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	w, errs := actionlint.Parse(text)
	for _, err := range errs {
		t.Error(err)
	}
	attested := false
	for id, job := range w.Jobs {
		t.Logf("line %d: job %s, %d steps", job.Pos.Line, id, len(job.Steps))
		attested = attested || slices.ContainsFunc(job.Steps, func(s *actionlint.Step) bool {
			a, ok := s.Exec.(*actionlint.ExecAction)
			return ok && strings.HasPrefix(a.Uses.Value, "actions/attest-build-provenance@")
		})
	}
	if !attested {
		t.Error("no job attests where the program comes from")
	}
}

// An action is written with the commit of its release.
func TestExampleCommits(t *testing.T) {
	for name, commit := range githubactions.Commits {
		action, version, _ := strings.Cut(name, " ")
		t.Logf("uses: %s@%s # %s", action, commit, version)
		if len(commit) != 40 {
			t.Errorf("%s: %q is no full commit", name, commit)
		}
	}
}
