package analyzer_test

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"

	"github.com/roadkata/roadkata/stage1/engineering/analyzer"
)

// analysistest compares diagnostics and facts with the comments in testdata/src that begin
// with "want", and the fixed files with those called .golden.
func TestExample(t *testing.T) {
	analysistest.RunWithSuggestedFixes(t, analysistest.TestData(), analyzer.Analyzer, "poll", "polltest")
}
