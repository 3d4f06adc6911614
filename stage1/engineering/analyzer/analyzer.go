// Package analyzer finds tests that depend on the real clock.
package analyzer

import "golang.org/x/tools/go/analysis"

// Clock is the import path of the package whose functions stand in for those
// of package time.
const Clock = "company.example/clock"

// Analyzer reports where test code uses the real clock: the functions of package
// time that read it or wait for it, and calls of functions that call
// time.Sleep.
var Analyzer = &analysis.Analyzer{
	Name: "realclock",
	Doc:  "report tests that depend on the real clock",
	Run:  run,
}

func run(pass *analysis.Pass) (any, error) {
	panic("TODO: report, suggest fixes, export facts")
}
