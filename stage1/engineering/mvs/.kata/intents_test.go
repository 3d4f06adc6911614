// The suite gives go.mod files in memory, and holds the answers against the real go command on a proxy of files.
//
//kata:level 2
//kata:minutes 60
//kata:engine real go command on a file-system module proxy
//kata:timeout 60s
//kata:forbid "os/exec" "os".StartProcess "syscall" "plugin"
package mvs_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"

	"github.com/roadkata/roadkata/stage1/engineering/mvs"
)

// Of each module that is reached, the build list holds the highest version that is required: neither the newest nor the nearest.
//
//kata:zh 凡是能到达的模块，构建列表里都是被要求的最高版本：既不是最新的，也不是离得最近的。
func TestHighestRequired(t *testing.T) {
	check(t, `
		ex.org/a v1.0.0: ex.org/c v1.1.0; ex.org/d v1.5.0
		ex.org/b v1.0.0: ex.org/c v1.3.0
		ex.org/c v1.1.0:
		ex.org/c v1.3.0: ex.org/e v0.1.0
		ex.org/c v1.4.0:
		ex.org/d v1.0.0:
		ex.org/d v1.5.0:
		ex.org/e v0.1.0:
		ex.org/e v0.2.0:
		ex.org/f v1.0.0:`,
		"ex.org/a v1.0.0; ex.org/b v1.0.0; ex.org/d v1.0.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.3.0", "ex.org/d v1.5.0", "ex.org/e v0.1.0")
	check(t, `
		ex.org/a v1.0.0: ex.org/b v1.0.0
		ex.org/b v1.0.0:
		ex.org/b v1.2.0:
		ex.org/b v1.3.0:
		ex.org/b/v2 v2.0.0:`,
		"ex.org/a v1.0.0; ex.org/b v1.2.0; ex.org/b/v2 v2.0.0",
		"ex.org/a v1.0.0", "ex.org/b v1.2.0", "ex.org/b/v2 v2.0.0")
	// What is required indirectly is required.
	check(t, `
		ex.org/a v1.0.0: ex.org/b v1.2.0 // indirect
		ex.org/b v1.2.0:
		ex.org/c v1.0.0:`,
		"ex.org/a v1.0.0; ex.org/c v1.0.0 // indirect",
		"ex.org/a v1.0.0", "ex.org/b v1.2.0", "ex.org/c v1.0.0")
	check(t, "", "")
}

// A version that is not selected has its say all the same: what it requires counts.
//
//kata:zh 没被选中的版本照样有发言权：它的要求也算数。
//kata:shares TestGoCommand holds the go command against the same rule, and no graph of any size does without it
func TestLosersCount(t *testing.T) {
	published := `
		ex.org/a v1.0.0: ex.org/c v1.0.0
		ex.org/b v1.0.0: ex.org/c v1.1.0
		ex.org/c v1.0.0: ex.org/d v1.9.0; ex.org/e v1.0.0
		ex.org/c v1.1.0: ex.org/d v1.0.0
		ex.org/d v1.0.0:
		ex.org/d v1.9.0:
		ex.org/e v1.0.0:`
	for _, requires := range []string{"ex.org/a v1.0.0; ex.org/b v1.0.0", "ex.org/b v1.0.0; ex.org/a v1.0.0"} {
		check(t, published, requires,
			"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.1.0", "ex.org/d v1.9.0", "ex.org/e v1.0.0")
	}
	// Also where it loses long before, or long after, it is met.
	check(t, `
		ex.org/a v1.0.0: ex.org/b v1.0.0
		ex.org/b v1.0.0: ex.org/c v1.0.0
		ex.org/c v1.0.0: ex.org/z v0.2.0
		ex.org/c v1.8.0: ex.org/z v0.1.0
		ex.org/z v0.1.0:
		ex.org/z v0.2.0:`,
		"ex.org/c v1.8.0; ex.org/a v1.0.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.8.0", "ex.org/z v0.2.0")
}

// Versions are ordered as versions: pre-releases, pseudo-versions and +incompatible ones each in their place.
//
//kata:zh 版本按版本的规则排序：预发布版本、伪版本、+incompatible 版本各得其所。
func TestVersionOrder(t *testing.T) {
	for _, c := range [][2]string{
		{"v1.9.0", "v1.10.0"},
		{"v1.2.9", "v1.2.10"},
		{"v1.0.0-rc.1", "v1.0.0"},
		{"v1.0.0", "v1.1.0-alpha"},
		{"v1.0.0-rc.9", "v1.0.0-rc.10"},
		{"v1.0.0-beta.11", "v1.0.0-rc.1"},
		{"v1.0.0-alpha", "v1.0.0-alpha.1"},
		{"v1.9.9", "v2.0.0+incompatible"},
		{"v2.0.0+incompatible", "v10.0.0+incompatible"},
		{"v3.0.0-rc.1+incompatible", "v3.0.0+incompatible"},
		{"v0.0.0-20230101000000-ffffffffffff", "v0.0.0-20240101000000-000000000000"},
		{"v0.0.0-20240101000000-ffffffffffff", "v0.0.1"},
		{"v1.2.3", "v1.2.4-0.20200101000000-abcdefabcdef"},
		{"v1.2.4-0.20240101000000-abcdefabcdef", "v1.2.4"},
		{"v1.2.4-0.20240101000000-abcdefabcdef", "v1.2.4-rc.1"},
		{"v1.2.4-rc.1", "v1.2.4-rc.1.0.20240101000000-abcdefabcdef"},
		{"v1.2.4-rc.1.0.20240101000000-abcdefabcdef", "v1.2.4-rc.2"},
	} {
		low, high := c[0], c[1]
		for _, order := range [][2]string{{low, high}, {high, low}} {
			check(t, "ex.org/a v1.0.0: ex.org/x "+order[0]+"\nex.org/x "+low+":\nex.org/x "+high+":",
				"ex.org/a v1.0.0; ex.org/x "+order[1], "ex.org/a v1.0.0", "ex.org/x "+high)
		}
	}
}

// Cycles end; what others require of the main module does not move it, but what its older versions require counts.
//
//kata:zh 遇到环会结束。别人对主模块的要求不会改变主模块，但它旧版本的要求照样算数。
func TestCycles(t *testing.T) {
	check(t, `
		ex.org/a v1.0.0: ex.org/b v1.0.0
		ex.org/b v1.0.0: ex.org/a v1.1.0
		ex.org/a v1.1.0: ex.org/b v1.0.0`,
		"ex.org/a v1.0.0",
		"ex.org/a v1.1.0", "ex.org/b v1.0.0")
	check(t, `
		ex.org/a v1.0.0: ex.org/a v1.3.0
		ex.org/a v1.3.0: ex.org/a v1.3.0`,
		"ex.org/a v1.0.0",
		"ex.org/a v1.3.0")
	check(t, `
		ex.org/a v1.0.0: ex.org/main v1.5.0
		ex.org/main v1.5.0: ex.org/d v1.2.0; ex.org/a v1.0.0
		ex.org/d v1.2.0: ex.org/main v1.9.0
		ex.org/main v1.9.0:`,
		"ex.org/a v1.0.0",
		"ex.org/a v1.0.0", "ex.org/d v1.2.0")
	// Its older versions are excluded and replaced like any other; it is not.
	const older = `
		ex.org/a v1.0.0: ex.org/main v1.5.0
		ex.org/main v1.5.0: ex.org/d v1.0.0
		ex.org/d v1.0.0:
		ex.org/d v1.1.0:
		../self: ex.org/d v1.1.0`
	check(t, older, "ex.org/a v1.0.0; exclude ex.org/main v1.5.0",
		"ex.org/a v1.0.0")
	check(t, older, "ex.org/a v1.0.0; replace ex.org/main => ../self",
		"ex.org/a v1.0.0", "ex.org/d v1.1.0")
}

// The go.mod of each version that is reached is read once, and no other.
//
//kata:zh 每个到达的版本，其 go.mod 只读一次；别的一概不读。
func TestReadOnce(t *testing.T) {
	// A ladder: each step doubles the number of ways to the next.
	var published strings.Builder
	var want []string
	for i := range 40 {
		for _, side := range []string{"l", "r"} {
			fmt.Fprintf(&published, "ex.org/%s%02d v1.0.0:", side, i)
			if i < 39 {
				fmt.Fprintf(&published, " ex.org/l%02d v1.0.0; ex.org/r%02d v1.0.0", i+1, i+1)
			}
			fmt.Fprintf(&published, "\nex.org/%s%02d v1.1.0:\n", side, i)
			want = append(want, fmt.Sprintf("ex.org/%s%02d v1.0.0", side, i))
		}
	}
	w := newWorld(published.String())
	got, err := mvs.BuildList(goMod("ex.org/main", "ex.org/l00 v1.0.0; ex.org/r00 v1.0.0"), w)
	if err != nil {
		t.Fatalf("BuildList of a ladder of 40 steps, in which both modules of a step require both of the next: %v", err)
	}
	if sorted(lines(got)) != sorted(lines(wanted(want))) {
		t.Fatalf("BuildList of a ladder of 40 steps =\n%s\nwant both modules of each step, v1.0.0", lines(got))
	}
	for m := range w.files {
		want := 1
		if m.Version == "v1.1.0" {
			want = 0
		}
		if w.reads[m] != want {
			t.Fatalf("BuildList read the go.mod of %v %d times, want %d", m, w.reads[m], want)
		}
	}

	// Of a replaced version the replacement is read, and nothing of an excluded one.
	const few, requires = `
		ex.org/a v1.0.0: ex.org/c v1.0.0
		ex.org/b v1.0.0: ex.org/c v1.0.0
		ex.org/c v1.0.0: ex.org/b v1.0.0
		ex.org/c v1.1.0:
		ex.org/fork v0.1.0: ex.org/b v1.0.0`,
		"ex.org/a v1.0.0; ex.org/b v1.0.0; ex.org/c v1.1.0; exclude ex.org/c v1.1.0; replace ex.org/c => ex.org/fork v0.1.0"
	w = newWorld(few)
	if _, err := mvs.BuildList(goMod("ex.org/main", requires), w); err != nil {
		t.Fatalf("BuildList: %v\n%s", err, situation(few, requires))
	}
	for m := range w.files {
		want := 1
		if m.Path == "ex.org/c" {
			want = 0
		}
		if w.reads[m] != want {
			t.Fatalf("BuildList read the go.mod of %v %d times, want %d\n%s", m, w.reads[m], want, situation(few, requires))
		}
	}
}

// A requirement of a version that the main module excludes is void: no other version takes its place, and the version is never read.
//
//kata:zh 对主模块所排除版本的要求一律作废：没有别的版本顶替，该版本也从不读取。
func TestExclude(t *testing.T) {
	const published = `
		ex.org/a v1.0.0: ex.org/c v1.2.0
		ex.org/b v1.0.0: ex.org/c v1.1.0
		ex.org/c v1.0.0:
		ex.org/c v1.1.0:
		ex.org/c v1.2.0: ex.org/d v1.0.0
		ex.org/c v1.3.0:
		ex.org/d v1.0.0:`
	check(t, published, "ex.org/a v1.0.0; ex.org/b v1.0.0; exclude ex.org/c v1.2.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.1.0")
	check(t, published, "ex.org/a v1.0.0; exclude ex.org/c v1.2.0",
		"ex.org/a v1.0.0")
	check(t, published, "ex.org/a v1.0.0; ex.org/c v1.0.0; exclude ex.org/c v1.1.0",
		"ex.org/a v1.0.0", "ex.org/c v1.2.0", "ex.org/d v1.0.0")
	// The main module's own requirement.
	check(t, published, "ex.org/c v1.2.0; ex.org/b v1.0.0; exclude ex.org/c v1.2.0",
		"ex.org/b v1.0.0", "ex.org/c v1.1.0")
	// Excluded because its go.mod cannot be read.
	check(t, `
		ex.org/a v1.0.0: ex.org/broken v1.0.1
		ex.org/b v1.0.0: ex.org/broken v1.0.0
		ex.org/broken v1.0.0:`,
		"ex.org/a v1.0.0; ex.org/b v1.0.0; exclude ex.org/broken v1.0.1; exclude ex.org/broken v1.0.2",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/broken v1.0.0")
	// What a dependency excludes is its own affair, also where it is the main module's older self.
	check(t, `
		ex.org/a v1.0.0: ex.org/c v1.2.0; exclude ex.org/c v1.2.0; exclude ex.org/b v1.0.0
		ex.org/b v1.0.0: ex.org/main v1.0.0
		ex.org/main v1.0.0: exclude ex.org/c v1.2.0
		ex.org/c v1.2.0:`,
		"ex.org/a v1.0.0; ex.org/b v1.0.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.2.0")
}

// The main module's replace swaps the content, requirements included, and keeps path and version; the one with a version goes before the one without.
//
//kata:zh 主模块的 replace 换的是内容（含其要求），路径和版本不变；带版本的优先于不带版本的。
func TestReplace(t *testing.T) {
	const published = `
		ex.org/a v1.0.0: ex.org/c v1.2.0
		ex.org/b v1.0.0: ex.org/c v1.1.0
		ex.org/c v1.1.0: ex.org/d v1.1.0
		ex.org/c v1.2.0: ex.org/d v1.2.0
		ex.org/c v1.9.0: ex.org/d v1.9.0
		ex.org/fork v0.1.0: module ex.org/c; ex.org/e v1.0.0
		ex.org/fork v0.2.0: ex.org/e v1.2.0
		ex.org/d v1.1.0:
		ex.org/d v1.2.0:
		ex.org/d v1.9.0:
		ex.org/e v1.0.0:
		ex.org/e v1.2.0:
		../c: module never.checked; ex.org/e v1.2.0`
	const both = "ex.org/a v1.0.0; ex.org/b v1.0.0; "
	// One version: here the one that loses, there the one that is selected.
	check(t, published, both+"replace ex.org/c v1.1.0 => ex.org/fork v0.1.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.2.0", "ex.org/d v1.2.0", "ex.org/e v1.0.0")
	check(t, published, both+"replace ex.org/c v1.2.0 => ex.org/fork v0.2.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.2.0 => ex.org/fork v0.2.0", "ex.org/d v1.1.0", "ex.org/e v1.2.0")
	// All versions, by a module, by an older version of itself, and by a folder.
	check(t, published, both+"replace ex.org/c => ex.org/fork v0.2.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.2.0 => ex.org/fork v0.2.0", "ex.org/e v1.2.0")
	check(t, published, both+"replace ex.org/c => ex.org/c v1.9.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.2.0 => ex.org/c v1.9.0", "ex.org/d v1.9.0")
	check(t, published, both+"replace ex.org/c => ../c",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.2.0 => ../c", "ex.org/e v1.2.0")
	// Both kinds, in either order.
	for _, replace := range []string{
		"replace ex.org/c v1.2.0 => ex.org/fork v0.1.0; replace ex.org/c => ../c",
		"replace ex.org/c => ../c; replace ex.org/c v1.2.0 => ex.org/fork v0.1.0",
	} {
		check(t, published, both+replace,
			"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.2.0 => ex.org/fork v0.1.0", "ex.org/e v1.2.0")
	}
	// A replacement is not replaced again, and stands beside the module of its name.
	check(t, published, both+"ex.org/fork v0.1.0; replace ex.org/c => ex.org/fork v0.2.0; replace ex.org/fork v0.2.0 => ex.org/d v1.9.0; replace ex.org/fork v0.1.0 => ex.org/d v1.1.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.2.0 => ex.org/fork v0.2.0", "ex.org/e v1.2.0", "ex.org/fork v0.1.0 => ex.org/d v1.1.0")
	// What is replaced need not exist, and what nobody requires does not appear.
	check(t, `
		ex.org/a v1.0.0: ex.org/gone v1.0.0
		ex.org/fork v0.1.0:`,
		"ex.org/a v1.0.0; replace ex.org/gone v1.0.0 => ex.org/fork v0.1.0; replace ex.org/other => ../other",
		"ex.org/a v1.0.0", "ex.org/gone v1.0.0 => ex.org/fork v0.1.0")
	// In a folder, no path need be declared.
	check(t, `
		ex.org/d v1.1.0:
		../c: module; ex.org/d v1.1.0`,
		"ex.org/c v1.2.0; replace ex.org/c => ../c",
		"ex.org/c v1.2.0 => ../c", "ex.org/d v1.1.0")
	// Nobody requires what only replaces, and so to exclude it is no obstacle.
	check(t, published, both+"exclude ex.org/fork v0.2.0; replace ex.org/c => ex.org/fork v0.2.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.2.0 => ex.org/fork v0.2.0", "ex.org/e v1.2.0")
	// An excluded version stays excluded.
	check(t, published, both+"exclude ex.org/c v1.2.0; replace ex.org/c v1.2.0 => ex.org/fork v0.1.0",
		"ex.org/a v1.0.0", "ex.org/b v1.0.0", "ex.org/c v1.1.0", "ex.org/d v1.1.0")
	// What a dependency replaces is its own affair.
	check(t, `
		ex.org/a v1.0.0: ex.org/c v1.0.0; replace ex.org/c => ../c
		ex.org/c v1.0.0:
		../c: ex.org/c v1.5.0`,
		"ex.org/a v1.0.0",
		"ex.org/a v1.0.0", "ex.org/c v1.0.0")
}

// The order of lines and of answers changes nothing: the main module comes first, the others sorted by path.
//
//kata:zh 行序、应答顺序都不影响结果：主模块在前，其余按路径排序。
func TestInputOrder(t *testing.T) {
	files := map[string][]string{
		"ex.org/a v1.0.0":   {"ex.org/c v1.1.0", "ex.org/c v1.4.0", "ex.org/c v1.2.0", "ex.org/z v0.1.0"},
		"ex.org/b v1.0.0":   {"ex.org/c v1.3.0", "ex.org/a-x v0.1.0", "ex.org/a v1.0.0"},
		"ex.org/c v1.0.0":   {},
		"ex.org/c v1.1.0":   {"ex.org/z v0.5.0", "ex.org/z v0.2.0"},
		"ex.org/c v1.2.0":   {"ex.org/z v0.3.0", "ex.org/y v1.0.0"},
		"ex.org/c v1.3.0":   {"ex.org/z v0.4.0", "ex.org/b v1.0.0"},
		"ex.org/c v1.4.0":   {"ex.org/a/x v0.1.0", "ex.org/Z v0.1.0"},
		"ex.org/a-x v0.1.0": {}, "ex.org/a/x v0.1.0": {}, "ex.org/y v1.0.0": {}, "ex.org/Z v0.1.0": {},
		"ex.org/z v0.1.0": {}, "ex.org/z v0.2.0": {}, "ex.org/z v0.3.0": {}, "ex.org/z v0.4.0": {}, "ex.org/z v0.5.0": {},
	}
	main := []string{"ex.org/c v1.0.0", "ex.org/b v1.0.0", "ex.org/a v1.0.0", "ex.org/c v1.1.0"}
	want := wanted([]string{
		"ex.org/Z v0.1.0", "ex.org/a v1.0.0", "ex.org/a-x v0.1.0", "ex.org/a/x v0.1.0", "ex.org/b v1.0.0",
		"ex.org/c v1.4.0", "ex.org/y v1.0.0", "ex.org/z v0.5.0",
	})
	r := rand.New(rand.NewPCG(16, 1))
	shuffled := func(list []string) string {
		list = slices.Clone(list)
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return strings.Join(list, "; ")
	}
	for range 50 {
		var published strings.Builder
		for m, requires := range files {
			fmt.Fprintf(&published, "%s: %s\n", m, shuffled(requires))
		}
		requires := shuffled(main)
		got, err := mvs.BuildList(goMod("ex.org/main", requires), newWorld(published.String()))
		if err != nil || lines(got) != lines(want) {
			t.Fatalf("BuildList of a main module with\n\t%s\n= %v\n%s\nwant, whatever the order of the lines,\n%s\nPublished:\n%s", requires, err, lines(got), lines(want), published.String())
		}
	}
}

// Latest is the highest release that is not excluded, else the highest pre-release; +incompatible ones come last, pseudo-versions not at all.
//
//kata:zh latest 是未被排除的最高正式版本，没有就取最高的预发布版本；+incompatible 的排在最后，伪版本不算。
func TestLatest(t *testing.T) {
	for _, c := range []struct{ published, main, want string }{
		{"v1.9.0 v1.10.0 v1.2.0", "", "v1.10.0"},
		{"v1.1.0 v1.2.0-rc.1 v1.0.0", "", "v1.1.0"},
		{"v0.9.0-rc.9 v0.9.0-rc.10 v0.9.0-alpha", "", "v0.9.0-rc.10"},
		{"v1.4.0 v1.4.1-0.20240101000000-abcdefabcdef", "", "v1.4.0"},
		{"v1.4.0-rc.1 v1.4.1-0.20240101000000-abcdefabcdef", "", "v1.4.0-rc.1"},
		{"v2.0.0+incompatible v10.0.0+incompatible v3.1.0+incompatible", "", "v10.0.0+incompatible"},
		{"v2.0.0+incompatible v1.4.0 v1.3.0", "", "v1.4.0"},
		{"v2.0.0+incompatible v1.4.0-rc.1", "", "v1.4.0-rc.1"},
		{"v3.0.0-rc.1+incompatible v2.0.0+incompatible", "", "v2.0.0+incompatible"},
		{"v1.4.0 v1.3.0 v1.2.0", "exclude ex.org/x v1.4.0", "v1.3.0"},
		{"v1.4.0 v1.3.0 v1.2.0", "exclude ex.org/y v1.4.0; exclude ex.org/x v1.3.0", "v1.4.0"},
		{"v1.4.0 v1.5.0-rc.1", "exclude ex.org/x v1.4.0", "v1.5.0-rc.1"},
		{"v1.4.0 v2.0.0+incompatible", "exclude ex.org/x v1.4.0", "v2.0.0+incompatible"},
		{"v1.4.0 v1.3.0", "ex.org/x v1.3.0", "v1.4.0"},
		{"v1.4.0", "exclude ex.org/x v1.4.0", ""},
		{"v0.0.0-20240101000000-abcdefabcdef", "", ""},
		{"", "", ""},
	} {
		var published strings.Builder
		for _, v := range strings.Fields(c.published) {
			fmt.Fprintf(&published, "ex.org/x %s:\n", v)
		}
		checkLatest(t, published.String(), c.main, c.want)
	}
}

// What the newest version's go.mod retracts is never the latest, and changes nothing else.
//
//kata:zh 最新版本的 go.mod 所撤回的版本绝不会是 latest；除此之外什么也不变。
func TestRetract(t *testing.T) {
	for _, c := range []struct{ published, main, want string }{
		// It may retract itself, and both ends of an interval belong to it.
		{`ex.org/x v1.0.0:
		  ex.org/x v1.1.0:
		  ex.org/x v1.2.0: retract v1.2.0`, "", "v1.1.0"},
		{`ex.org/x v1.0.0:
		  ex.org/x v1.1.0:
		  ex.org/x v1.2.0:
		  ex.org/x v1.3.0: retract [v1.1.0, v1.3.0]`, "", "v1.0.0"},
		{`ex.org/x v1.0.0:
		  ex.org/x v1.1.0:
		  ex.org/x v1.9.0: retract v1.9.0
		  ex.org/x v1.10.0: retract v1.10.0; retract [v1.1.0, v1.9.9]`, "", "v1.0.0"},
		// Only the newest has a say: what was retracted may have been taken back.
		{`ex.org/x v1.0.0:
		  ex.org/x v1.1.0: retract v1.1.0; retract v1.0.0
		  ex.org/x v1.2.0: retract v1.2.0`, "", "v1.1.0"},
		// The newest is the highest release, if there is one.
		{`ex.org/x v1.0.0:
		  ex.org/x v1.1.0: retract v1.1.0
		  ex.org/x v1.2.0-rc.1: retract v1.0.0`, "", "v1.0.0"},
		{`ex.org/x v1.0.0-rc.1:
		  ex.org/x v1.0.0-rc.2: retract v1.0.0-rc.2`, "", "v1.0.0-rc.1"},
		{`ex.org/x v1.0.0:
		  ex.org/x v1.1.0: retract [v1.0.0, v1.1.0]
		  ex.org/x v1.2.0-rc.1:`, "", "v1.2.0-rc.1"},
		// A version that is +incompatible is not the newest where there are others.
		{`ex.org/x v1.3.0:
		  ex.org/x v1.4.0: retract v1.4.0
		  ex.org/x v2.0.0+incompatible: retract v1.3.0`, "", "v1.3.0"},
		{`ex.org/x v1.4.0: retract v1.4.0
		  ex.org/x v2.0.0+incompatible:`, "", "v2.0.0+incompatible"},
		// To exclude the newest does not silence it.
		{`ex.org/x v1.0.0:
		  ex.org/x v1.1.0:
		  ex.org/x v1.2.0: retract v1.1.0`, "exclude ex.org/x v1.2.0", "v1.0.0"},
		// The main module's own retractions are about itself.
		{`ex.org/x v1.0.0:
		  ex.org/x v1.1.0:`, "retract v1.1.0", "v1.1.0"},
		{`ex.org/x v1.0.0:
		  ex.org/x v1.1.0: retract [v0.0.0, v1.1.0]`, "", ""},
	} {
		checkLatest(t, c.published, c.main, c.want)
	}
	// One go.mod says it all: that of the newest version itself, which may use words of a later Go.
	const published, main = `
		ex.org/x v1.0.0:
		ex.org/x v1.1.0:
		ex.org/x v1.2.0: retract v1.1.0; shiny new(thing)
		ex.org/x v1.3.0-rc.1: retract v1.0.0
		ex.org/fork v0.1.0: retract v1.2.0`,
		"replace ex.org/x => ex.org/fork v0.1.0"
	checkLatest(t, published, main, "v1.2.0")
	w := newWorld(published)
	_, _ = mvs.Latest(goMod("ex.org/main", main), "ex.org/x", w)
	if newest := (module.Version{Path: "ex.org/x", Version: "v1.2.0"}); w.reads[newest] != 1 || w.all != 1 {
		t.Errorf("Latest(ex.org/x) read the go.mod files of %v, want that of %v, once\n%s", w.reads, newest, situation(published, main))
	}
	// Who requires a retracted version gets it.
	check(t, `
		ex.org/a v1.0.0: ex.org/x v1.1.0
		ex.org/x v1.0.0:
		ex.org/x v1.1.0: retract v1.1.0
		ex.org/x v1.2.0: retract [v1.0.0, v1.2.0]`,
		"ex.org/a v1.0.0; ex.org/x v1.0.0; retract v1.1.0",
		"ex.org/a v1.0.0", "ex.org/x v1.1.0")
}

// What cannot be read is an error that names the module and holds the cause; what a dependency says in unknown words is none.
//
//kata:zh 读不出来的，以错误报告，指明模块并保留原因；依赖里看不懂的指令不算错误。
func TestErrors(t *testing.T) {
	errGone := errors.New("410 gone")
	const published = `
		ex.org/a v1.0.0: ex.org/b v1.2.0
		ex.org/b v1.3.0:
		ex.org/renamed v1.0.0: module ex.org/other
		ex.org/fork v1.0.0: module ex.org/third
		ex.org/broken v1.0.0: require (
		ex.org/nameless v1.0.0: module
		../broken: require (`
	for _, c := range []struct {
		requires string
		names    string
		is       error
	}{
		// b v1.2.0 is not selected, and still it has to be read.
		{"ex.org/a v1.0.0; ex.org/b v1.3.0", "ex.org/b@v1.2.0", errGone},
		{"ex.org/b v1.3.0; replace ex.org/b v1.3.0 => ex.org/gone v0.1.0", "ex.org/gone@v0.1.0", errGone},
		{"ex.org/b v1.3.0; replace ex.org/b => ../nowhere", "../nowhere", errGone},
		{"ex.org/broken v1.0.0", "ex.org/broken@v1.0.0", nil},
		{"ex.org/nameless v1.0.0", "ex.org/nameless@v1.0.0", nil},
		{"ex.org/b v1.3.0; replace ex.org/b => ../broken", "../broken", nil},
		{"ex.org/renamed v1.0.0", "ex.org/renamed@v1.0.0", nil},
		{"ex.org/b v1.3.0; replace ex.org/b => ex.org/fork v1.0.0", "ex.org/fork@v1.0.0", nil},
	} {
		w := newWorld(published)
		w.err = errGone
		got, err := mvs.BuildList(goMod("ex.org/main", c.requires), w)
		switch {
		case err == nil:
			t.Errorf("BuildList of a main module with %q =\n%s\nwant an error: the go.mod of %s cannot be used", c.requires, lines(got), c.names)
		case got != nil:
			t.Errorf("BuildList of a main module with %q returned a list beside the error %q, want none", c.requires, err)
		case !strings.Contains(err.Error(), c.names):
			t.Errorf("BuildList of a main module with %q: error %q, want %s in it", c.requires, err, c.names)
		case c.is != nil && !errors.Is(err, c.is):
			t.Errorf("BuildList of a main module with %q: error %q, which errors.Is does not trace to the Source's error", c.requires, err)
		}
	}

	for _, main := range []string{
		"module ex.org/main\nfrobnicate ex.org/a v1.0.0\n", "module ex.org/main\nrequire (\n", "require ex.org/b v1.3.0\n",
	} {
		if got, err := mvs.BuildList([]byte(main), newWorld(published)); err == nil || got != nil {
			t.Errorf("BuildList with the main go.mod %q =\n%s\n%v; want an error and no list", main, lines(got), err)
		}
		if got, err := mvs.Latest([]byte(main), "ex.org/b", newWorld(published)); err == nil || got != "" {
			t.Errorf("Latest(ex.org/b) with the main go.mod %q = %q, %v; want an error and no version", main, got, err)
		}
	}

	main := goMod("ex.org/main", "")
	for path, names := range map[string]string{"ex.org/broken": "ex.org/broken@v1.0.0", "ex.org/list": "ex.org/list"} {
		w := newWorld("ex.org/broken v1.0.0:\nex.org/list v1.0.0:")
		w.err = errGone
		switch path {
		case "ex.org/broken":
			delete(w.files, module.Version{Path: path, Version: "v1.0.0"})
		case "ex.org/list":
			w.unlisted = path
		}
		got, err := mvs.Latest(main, path, w)
		if got != "" || !errors.Is(err, errGone) || !strings.Contains(err.Error(), names) {
			t.Errorf("Latest(%s), where the Source fails = %q, %v; want an error that names %s and that errors.Is traces to the Source's", path, got, err, names)
		}
		if errors.Is(err, mvs.ErrNoVersion) {
			t.Errorf("Latest(%s), where the Source fails: %v matches ErrNoVersion; nobody knows whether there is one", path, err)
		}
	}
	got, err := mvs.Latest(main, "ex.org/broken", newWorld("ex.org/broken v1.0.0:\nex.org/broken v1.1.0: require ("))
	if got != "" || err == nil || !strings.Contains(err.Error(), "ex.org/broken@v1.1.0") {
		t.Errorf("Latest(ex.org/broken), where the go.mod of v1.1.0 cannot be parsed = %q, %v; want an error that names ex.org/broken@v1.1.0", got, err)
	}

	check(t, `
		ex.org/a v1.0.0: godebug default=go1.99; shiny new(thing); ex.org/b v1.3.0; replace nonsense
		ex.org/b v1.3.0:`,
		"ex.org/a v1.0.0",
		"ex.org/a v1.0.0", "ex.org/b v1.3.0")
}

// The real go command prints the same lines for `go list -m all`, and finds the same latest versions.
//
//kata:zh 真正的 go 命令执行 go list -m all 打印同样的行，得到同样的 latest。
func TestGoCommand(t *testing.T) {
	published, main := `
		ex.org/a v1.0.0: ex.org/c v1.2.0; ex.org/inc v2.0.0+incompatible; ex.org/main v0.9.0
		ex.org/b v1.0.0: ex.org/c v1.10.0; ex.org/p v0.0.0-20240101000000-abcdefabcdef; exclude ex.org/a v1.0.0
		ex.org/c v1.2.0: ex.org/d v1.1.0; ex.org/b v1.0.0
		ex.org/c v1.10.0: ex.org/d v1.0.0; ex.org/e v1.2.0
		ex.org/c v1.11.0: retract v1.11.0
		ex.org/d v1.0.0:
		ex.org/d v1.1.0:
		ex.org/e v1.1.0:
		ex.org/e v1.2.0: ex.org/never v1.0.0
		ex.org/e v1.3.0:
		ex.org/fork v0.3.0: ex.org/d v1.1.0; ex.org/c v1.2.0
		ex.org/inc v1.5.0: ex.org/d v1.0.0
		ex.org/inc v2.0.0+incompatible:
		ex.org/main v0.9.0: ex.org/e v1.1.0; ex.org/q v1.0.0
		ex.org/p v0.0.0-20230101000000-abcdefabcdef:
		ex.org/p v0.0.0-20240101000000-abcdefabcdef: ex.org/q v1.1.0-rc.1
		ex.org/q v1.0.0:
		ex.org/q v1.1.0-rc.1:
		ex.org/q v1.1.0: retract [v1.0.0, v1.1.0]; retract v0.9.0
		ex.org/q v0.8.0:
		../local: module anything.goes; ex.org/q v1.0.0`,
		"ex.org/a v1.0.0; ex.org/b v1.0.0; ex.org/p v0.0.0-20230101000000-abcdefabcdef; ex.org/inc v1.5.0; "+
			"exclude ex.org/e v1.2.0; replace ex.org/d => ../local; replace ex.org/d v1.0.0 => ex.org/fork v0.3.0; replace ex.org/c v1.10.0 => ex.org/fork v0.3.0"
	agree(t, published, main, "ex.org/c", "ex.org/e", "ex.org/q")
	published, main = randomWorld()
	agree(t, published, main)
}

// agree runs the go command once on the same files, and compares.
func agree(t *testing.T, published, main string, latest ...string) {
	t.Helper()
	dir := t.TempDir()
	w := newWorld(published)
	w.lay(t, dir)
	write(t, filepath.Join(dir, "main", "go.mod"), string(goMod("ex.org/main", main)))
	cmd := exec.Command("go", "list", "-m", "all")
	for _, path := range latest {
		cmd.Args = append(cmd.Args, path+"@latest")
	}
	cmd.Dir = filepath.Join(dir, "main")
	cmd.Env = append(os.Environ(),
		"GOPROXY=file://"+filepath.ToSlash(filepath.Join(dir, "proxy")), "GOMODCACHE="+filepath.Join(dir, "cache"), "GOFLAGS=-mod=mod -modcacherw",
		"GONOPROXY=none", "GOPRIVATE=", "GOSUMDB=off", "GONOSUMDB=", "GOINSECURE=", "GOVCS=*:off",
		"GOWORK=off", "GOTOOLCHAIN=local", "GO111MODULE=", "GOENV=off", "PWD="+cmd.Dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the suite's own fault: %v: %v\n%s", cmd, err, stderr.String())
	}

	list, err := mvs.BuildList(goMod("ex.org/main", main), w)
	if err != nil {
		t.Fatalf("BuildList = %v\n%s", err, situation(published, main))
	}
	got := ""
	for _, m := range list {
		got += m.String() + "\n"
	}
	for _, path := range latest {
		v, err := mvs.Latest(goMod("ex.org/main", main), path, w)
		if err != nil {
			t.Fatalf("Latest(%s) = %v\n%s", path, err, situation(published, main))
		}
		got += path + " " + v + "\n"
	}
	if want := strings.ReplaceAll(string(out), "\r\n", "\n"); got != want {
		t.Fatalf("Module.String of the build list%s:\n%s\n%s prints\n%s\n%s",
			map[bool]string{true: ", and Latest"}[len(latest) > 0], got, strings.Join(cmd.Args, " "), want, situation(published, main))
	}
}

// randomWorld makes up modules that require each other this way and that.
func randomWorld() (published, main string) {
	r := rand.New(rand.NewPCG(1, 2))
	versions := []string{"v1.0.0", "v1.1.0-rc.1", "v1.1.0", "v1.2.0-0.20240101000000-abcdefabcdef", "v1.2.0", "v1.10.0"}
	version := func() string { return versions[r.IntN(len(versions))] }
	pick := func() string { return fmt.Sprintf("ex.org/m%d %s", r.IntN(9), version()) }
	var b strings.Builder
	for i := range 9 {
		for _, v := range versions {
			var requires []string
			for _, k := range r.Perm(8)[:r.IntN(3)] {
				requires = append(requires, fmt.Sprintf("ex.org/m%d %s", (i+1+k)%9, version()))
			}
			fmt.Fprintf(&b, "ex.org/m%d %s: %s\n", i, v, strings.Join(requires, "; "))
		}
	}
	var lines []string
	for _, i := range r.Perm(9)[:4] {
		lines = append(lines, fmt.Sprintf("ex.org/m%d %s", i, version()))
	}
	for range 6 {
		lines = append(lines, "exclude "+pick())
	}
	old := map[string]bool{}
	for range 5 {
		if m := pick(); !old[m] {
			old[m] = true
			lines = append(lines, "replace "+m+" => "+pick())
		}
	}
	lines = append(lines, fmt.Sprintf("replace ex.org/m%d => %s", r.IntN(9), pick()))
	return b.String(), strings.Join(lines, "; ")
}

// check compares the build list, whatever the order of its modules, which is TestInputOrder's affair.
func check(t *testing.T, published, requires string, want ...string) {
	t.Helper()
	got, err := mvs.BuildList(goMod("ex.org/main", requires), newWorld(published))
	if err != nil {
		t.Fatalf("BuildList = %v, want\n%s\n%s", err, lines(wanted(want)), situation(published, requires))
	}
	if sorted(lines(got)) != sorted(lines(wanted(want))) {
		t.Fatalf("BuildList =\n%s\nwant\n%s\n%s", lines(got), lines(wanted(want)), situation(published, requires))
	}
}

func checkLatest(t *testing.T, published, main, want string) {
	t.Helper()
	got, err := mvs.Latest(goMod("ex.org/main", main), "ex.org/x", newWorld(published))
	switch {
	case want == "":
		if got != "" || !errors.Is(err, mvs.ErrNoVersion) {
			t.Errorf("Latest(ex.org/x) = %q, %v, want ErrNoVersion\n%s", got, err, situation(published, main))
		}
	case err != nil || got != want:
		t.Errorf("Latest(ex.org/x) = %q, %v, want %s\n%s", got, err, want, situation(published, main))
	}
}

func situation(published, main string) string {
	text := "The main module's go.mod: " + main + "\nPublished:"
	for line := range strings.Lines(published) {
		if line = strings.TrimSpace(line); line != "" {
			text += "\n\t" + line
		}
	}
	return text
}

// wanted reads the lines of a build list after that of the main module.
func wanted(list []string) []mvs.Module {
	out := []mvs.Module{{Path: "ex.org/main"}}
	for _, line := range list {
		f := append(strings.Fields(line), "", "", "")
		out = append(out, mvs.Module{Path: f[0], Version: f[1], Replace: module.Version{Path: f[3], Version: f[4]}})
	}
	return out
}

// lines formats a build list for people; it does not use Module.String.
func lines(list []mvs.Module) string {
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintf(&b, "\t%s %s", m.Path, m.Version)
		if m.Replace != (module.Version{}) {
			fmt.Fprintf(&b, " => %s %s", m.Replace.Path, m.Replace.Version)
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func sorted(text string) string {
	list := strings.Split(text, "\n")
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// goMod writes a go.mod file out of `; `-separated lines. One without a verb is a requirement.
func goMod(path, text string) []byte {
	body := ""
	for line := range strings.SplitSeq(text, ";") {
		line = strings.TrimSpace(line)
		switch verb, rest, _ := strings.Cut(line, " "); {
		case line == "":
		case line == "module":
			path = ""
		case verb == "module":
			path = rest
		case strings.Contains(verb, "/"):
			body += "require " + line + "\n"
		default:
			body += line + "\n"
		}
	}
	if path != "" {
		path = "module " + path + "\n\n"
	}
	return []byte(path + "go 1.16\n\n" + body)
}

// world is a Source in memory, described by lines such as
//
//	ex.org/a v1.0.0: ex.org/b v1.2.0; retract v0.9.0
//
// A line without a version is a folder.
type world struct {
	files    map[module.Version]string
	tags     map[string][]string
	reads    map[module.Version]int
	all      int
	err      error // for what is not there
	unlisted string
}

func newWorld(published string) *world {
	w := &world{files: map[module.Version]string{}, tags: map[string][]string{}, reads: map[module.Version]int{}, err: errors.New("not found")}
	for line := range strings.Lines(published) {
		name, text, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		path, version, _ := strings.Cut(name, " ")
		w.files[module.Version{Path: path, Version: version}] = string(goMod(path, text))
		w.tags[path] = append(w.tags[path], version)
	}
	return w
}

func (w *world) Versions(path string) ([]string, error) {
	if path == w.unlisted {
		return nil, w.err
	}
	return w.tags[path], nil
}

func (w *world) GoMod(m module.Version) ([]byte, error) {
	w.reads[m]++
	if w.all++; w.all > 5000 {
		return nil, errors.New("the suite's Source gives up after 5000 calls of GoMod")
	}
	text, ok := w.files[m]
	if !ok {
		return nil, fmt.Errorf("suite's Source: %w", w.err)
	}
	return []byte(text), nil
}

// lay writes the world as a module proxy, and folders beside the main module.
func (w *world) lay(t *testing.T, dir string) {
	t.Helper()
	for m, text := range w.files {
		if m.Version == "" {
			write(t, filepath.Join(dir, "main", m.Path, "go.mod"), text)
			continue
		}
		path, err := module.EscapePath(m.Path)
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, "proxy", path, "@v")
		write(t, filepath.Join(at, m.Version+".mod"), text)
		write(t, filepath.Join(at, m.Version+".info"), fmt.Sprintf(`{"Version":%q,"Time":"2024-01-01T00:00:00Z"}`, m.Version))
		write(t, filepath.Join(at, "list"), strings.Join(w.tags[m.Path], "\n")+"\n")
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(text), 0o666)); err != nil {
		t.Fatal(err)
	}
}
