package report

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roadkata/roadkata/grader/internal/grade"
)

// The explanation is the first failure; the second one keeps its own beginning,
// though it reads like that of the first.
func TestNewsKeepsWhatASecondFailureBeginsWith(t *testing.T) {
	in := &grade.Intent{
		Because: &grade.Because{Kind: grade.Assertion, Text: "with three versions:\nLatest = v1, want v3"},
		Output: []string{
			"    x_test.go:7: with three versions:",
			"        Latest = v1, want v3",
			"    x_test.go:7: with three versions:",
			"        Latest = v2, want v3",
		},
	}
	require.Equal(t, []string{"    x_test.go:7: with three versions:", "        Latest = v2, want v3"}, news(in))
}

// A panic is printed twice, the second time with what the runtime adds.
func TestNewsDropsARecoveredPanic(t *testing.T) {
	in := &grade.Intent{
		Because: &grade.Because{Kind: grade.Panic, Text: "panic: boom"},
		Output:  []string{"panic: boom", "panic: boom [recovered, repanicked]", "main.go:3"},
	}
	require.Equal(t, []string{"main.go:3"}, news(in))
}
