package suite

import (
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

// The go command names files outside of the module relative to it.
func TestMentioned(t *testing.T) {
	k := &course.Kata{ModuleDir: "/tmp/course/stage1"}
	l := &layout{pair: &Pair{Kata: k}, base: "/tmp/course/stage1/x/.kata/.v/yours-1", real: map[string]bool{"/tmp/ann/x.go": true}}
	require.True(t, l.mentioned("# example.com/course\n../../ann/x.go:5:2: no required module provides package"))
	require.False(t, l.mentioned("# example.com/course\n../../joann/x.go:5:2: no required module provides package"))
	require.False(t, l.mentioned("go: updates to go.mod needed"))
}
