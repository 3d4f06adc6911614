package verify

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
)

// An intent that fails has caught the reject; one that the grader could not run,
// that passed, or that only the deadline ended, has not.
func TestCaught(t *testing.T) {
	k := &course.Kata{Path: "s/t/k", Root: "/c", Dir: "/c/s/t/k"}
	for name, c := range map[string]struct {
		intent grade.Intent
		want   string
	}{
		"failed":    {grade.Intent{Status: grade.Failed, Because: &grade.Because{Kind: grade.Assertion}}, ""},
		"passed":    {grade.Intent{Status: grade.Passed}, "is not caught by TestX"},
		"deadline":  {grade.Intent{Status: grade.Failed, Because: &grade.Because{Kind: grade.Timeout}}, "only through the deadline"},
		"not run":   {grade.Intent{Status: grade.NotRun, Because: &grade.Because{Kind: grade.Grader, Text: "no space"}}, "could not be run against TestX: no space"},
		"not found": {grade.Intent{Name: "TestY", Status: grade.Passed}, ""},
	} {
		if c.intent.Name == "" {
			c.intent.Name = "TestX"
		}
		v := &course.Variant{Kata: k, Kind: course.Reject, Dir: "/c/s/t/k/.kata/reject/wrong"}
		j := &judgement{plan: &plan{kata: k}}
		j.caught(v, grade.Kata{Intents: []grade.Intent{c.intent}}, "TestX", false)
		if c.want == "" {
			require.Empty(t, j.out.Problems, name)
			continue
		}
		require.Len(t, j.out.Problems, 1, name)
		require.Contains(t, j.out.Problems[0].Text, c.want, name)
	}
}
