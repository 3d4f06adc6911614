package rules

import (
	"golang.org/x/tools/go/analysis"
	"honnef.co/go/tools/staticcheck"
)

// All are the analyzers that right solutions must not disturb: vet's and
// staticcheck's SA checks, except those that need facts about dependencies.
func All() []*analysis.Analyzer {
	out := Vet()
	for _, a := range staticcheck.Analyzers {
		switch a.Analyzer.Name {
		case "SA1019": // deprecations of dependencies are facts of theirs
			continue
		}
		out = append(out, a.Analyzer)
	}
	return out
}
