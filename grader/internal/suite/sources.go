package suite

import (
	"fmt"
	"os"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// Source is a variant as it stands in the overlay, for tools that read types.
type Source struct {
	Files    map[string][]byte // virtual file → text
	Packages []string          // import paths: the package, and the learner's suite
	Learner  map[string]bool   // the learner's files by their real names
}

// Sources lays v out below tmp without building it.
func Sources(v *course.Variant, tmp string) (*Source, error) {
	p := PairsOf(v)[0]
	if p.Subject == nil {
		p.Examples = true // the hidden suite is of no interest here
	}
	l, problems := arrange(p, tmp, nil)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: %s", v.ID(), problems[0])
	}
	s := &Source{Files: map[string][]byte{}, Learner: l.learner}
	for virtual, real := range l.files {
		data, err := os.ReadFile(real)
		if err != nil {
			return nil, err
		}
		s.Files[virtual] = data
	}
	if p.Subject != nil {
		s.Packages = []string{l.suitePath()}
	}
	if p.Subject == nil && hasGo(v) {
		s.Packages = []string{l.path}
	}
	return s, nil
}

func hasGo(v *course.Variant) bool {
	for rel := range v.Files {
		if len(rel) > 3 && rel[len(rel)-3:] == ".go" {
			return true
		}
	}
	return false
}
