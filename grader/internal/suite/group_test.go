package suite

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// What acts before main shares a program with nobody; a kata that asks for one
// of its own shares it among its variants.
func TestGroup(t *testing.T) {
	plain := &course.Kata{Path: "s/t/plain", ModuleDir: "/m"}
	solo := &course.Kata{Path: "s/t/solo", ModuleDir: "/m", Solo: true}
	of := func(k *course.Kata, dir string, own bool) *layout {
		return &layout{own: own, pair: &Pair{Kata: k, Variant: &course.Variant{Kata: k, Kind: course.Submission, Dir: dir}}}
	}
	b := &builder{}
	programs := b.group([]*layout{
		of(plain, "/ann", false), of(plain, "/bob", false),
		of(plain, "/eve", true), of(plain, "/mallory", true), of(plain, "/eve", true),
		of(solo, "/ann", false), of(solo, "/bob", false),
	})
	var sizes []int
	for _, p := range programs {
		sizes = append(sizes, len(p.layouts))
	}
	require.Equal(t, []int{2, 2, 1, 2}, sizes)
}

// A program is not filled without end, and no kata is torn apart: its suites may
// share a package.
func TestGroupOfMany(t *testing.T) {
	var layouts []*layout
	for i := range 4 {
		k := &course.Kata{Path: "s/t/k" + itoa(i), ModuleDir: "/m"}
		for j := range enough/2 + 10 {
			layouts = append(layouts, &layout{pair: &Pair{Kata: k, Variant: &course.Variant{Kata: k, Kind: course.Reject, Dir: itoa(j)}}})
		}
	}
	var katas [][]string
	for _, p := range (&builder{}).group(layouts) {
		var names []string
		for _, l := range p.layouts {
			names = append(names, l.pair.Kata.Path)
		}
		katas = append(katas, slices.Compact(names))
	}
	require.Equal(t, [][]string{{"s/t/k0", "s/t/k1"}, {"s/t/k2", "s/t/k3"}}, katas)
}

// The go command names files outside of the module relative to it.
func TestMentioned(t *testing.T) {
	k := &course.Kata{ModuleDir: "/tmp/course/stage1"}
	l := &layout{pair: &Pair{Kata: k}, base: "/tmp/course/stage1/x/.kata/.v/yours-1", real: map[string]bool{"/tmp/ann/x.go": true}}
	require.True(t, l.mentioned("# example.com/course\n../../ann/x.go:5:2: no required module provides package"))
	require.False(t, l.mentioned("# example.com/course\n../../joann/x.go:5:2: no required module provides package"))
	require.False(t, l.mentioned("go: updates to go.mod needed"))
}

// A suite's file belongs to every variant of its kata, but the package that did
// not compile is one variant's: the others are not to blame.
func TestBlame(t *testing.T) {
	k := &course.Kata{Path: "s/t/k", Root: "/c", ModuleDir: "/c/s", ImportPath: "example.com/s/t/k"}
	of := func(name string) *layout {
		return &layout{
			pair:  &Pair{Kata: k, Variant: &course.Variant{Kata: k}},
			base:  "/c/s/t/k/.kata/.v/" + name,
			path:  "example.com/s/t/k/.kata/.v/" + name,
			suite: "/c/s/t/k/.kata/.v/" + name + "/.suite",
			real:  map[string]bool{"/c/s/t/k/.kata/intents_test.go": true},
		}
	}
	ann, bob := of("ann-1"), of("bob-2")
	p := &program{layouts: []*layout{ann, bob}}
	says := func(pkg, text string) []byte {
		line, err := json.Marshal(map[string]string{"ImportPath": pkg, "Action": "build-output", "Output": text})
		require.NoError(t, err)
		return line
	}
	for _, c := range []struct {
		name, pkg, text string
		want            []*layout
	}{
		{"the suite of one", bob.suitePath(), "t/k/.kata/intents_test.go:9:2: undefined: k.New\n", []*layout{bob}},
		{"the package of one", ann.path, "t/k/k.go:3:1: syntax error\n", []*layout{ann}},
		{"a package of nobody's, with a file that both have", "example.com/dep", "t/k/.kata/intents_test.go:4:2: cannot find package\n", []*layout{ann, bob}},
	} {
		bad, err := (&builder{}).blame(p, says(c.pkg, c.text))
		require.NoError(t, err)
		var got []*layout
		for _, l := range p.layouts {
			if len(bad[l]) > 0 {
				got = append(got, l)
			}
		}
		require.Equal(t, c.want, got, c.name)
	}
}

// What is inlined into a suite decides over allocations, so a suite that may
// count them is compiled as go test would.
func TestCountsAllocations(t *testing.T) {
	file := filepath.Join(t.TempDir(), "intents_test.go")
	files := map[string]string{"intents_test.go": file}
	for text, want := range map[string]bool{
		"func TestX(t *testing.T) { if testing.AllocsPerRun(9, f) > 0 { t.Fail() } }":   true,
		"func TestX(t *testing.T) { var m runtime.MemStats; runtime.ReadMemStats(&m) }": true,
		"func TestX(t *testing.T) { testing.Benchmark(b) }":                             true,
		"func TestX(t *testing.T) { f() }":                                              false,
	} {
		require.NoError(t, os.WriteFile(file, []byte("package x_test\n\n"+text), 0o666))
		require.Equal(t, want, countsAllocations(files), text)
	}
	require.True(t, countsAllocations(map[string]string{"gone_test.go": file + ".gone"}))
}
