package course_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roadkata/roadkata/grader/internal/course"
)

const roadmap = `
title: {en: Basics, zh: 基础}
goal: {en: Know the basics., zh: 掌握基础。}
topics:
  - id: language
    title: {en: Language, zh: 语言}
    items:
      - id: syntax
        title: {en: Syntax, zh: 语法}
        katas: [language/hello, language/later]
      - id: channels
        title: {en: Channels, zh: 通道}
        katas: [language/pipes]
`

const intents = `// The suite.
//
//kata:level 2
//kata:minutes 30
//kata:engine embedded etcd 3.7
//kata:race
//kata:timeout 7s
//kata:forbid "sort".Slice "golang.org/x/sync/errgroup" builtin:map
//kata:files *.go
package hello_test

import "testing"

// Says hello. The second sentence is for authors.
//
//kata:zh 说你好。
func TestHello(t *testing.T) {}

// Shares its fate.
//
//kata:zh 同生共死。
//kata:shares cannot fail without TestHello
func TestShared(t *testing.T) {}

func helper(t *testing.T) {}
`

// files of a workspace with one kata that is complete enough to load.
func files() map[string]string {
	return map[string]string{
		"stage1/roadmap.yaml":                               roadmap,
		"stage1/go.mod":                                     "module example.com/c/stage1\n\ngo 1.26\n",
		"stage1/language/hello/README.md":                   "# Hello\n",
		"stage1/language/hello/README.zh-CN.md":             "\ufeff# 你好\n",
		"stage1/language/hello/hello.go":                    "package hello\n",
		"stage1/language/hello/.kata/stub/hello.go":         "package hello\n",
		"stage1/language/hello/.kata/solution/hello.go":     "package hello\n\n// done\n",
		"stage1/language/hello/.kata/intents_test.go":       intents,
		"stage1/language/hello/.kata/reject/wrong/hello.go": "// Forgets to greet.\n//\n//kata:caught-by TestHello\n//kata:hangs\npackage hello\n",
		"stage1/language/hello/sub/sub.go":                  "package sub\n",
	}
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
	}
	return root
}

// What a suite's variables do when the program starts is done for all katas.
func TestInitialisersOfSuites(t *testing.T) {
	f := files()
	name := "stage1/language/hello/.kata/intents_test.go"
	f[name] += "\nvar (\n\tnoise = make([]byte, size())\n\tlater = func() int { return size() }\n)\n\nfunc size() int { return 1 << 20 }\n"
	c, err := course.Load(write(t, f))
	require.NoError(t, err)
	k := c.Kata("stage1/language/hello")
	require.Empty(t, k.Faults)
	require.Len(t, k.Lapses, 1)
	require.Contains(t, k.Lapses[0].Text, "a package variable calls size")
}

func TestLoad(t *testing.T) {
	root := write(t, files())
	c, err := course.Load(filepath.Join(root, "stage1", "language"))
	require.NoError(t, err)
	require.Equal(t, root, c.Root)
	k := c.Kata("stage1/language/hello")
	require.NotNil(t, k)
	require.Empty(t, k.Faults)
	require.Empty(t, k.Lapses)
	require.Equal(t, course.Text{EN: "Hello", ZH: "你好"}, k.Title)
	require.Equal(t, "example.com/c/stage1/language/hello", k.ImportPath)
	require.Equal(t, 2, k.Level)
	require.Equal(t, 30, k.Minutes)
	require.Equal(t, course.Engine{Kind: "embedded", Name: "etcd 3.7"}, k.Engine)
	require.True(t, k.Race)
	require.Equal(t, "7s", k.Timeout.String())
	require.Equal(t, []course.Rule{{Package: "sort", Name: "Slice"}, {Package: "golang.org/x/sync/errgroup"}, {Builtin: "map"}}, k.Forbid)

	require.Len(t, k.Intents, 2)
	require.Equal(t, course.Text{EN: "Says hello.", ZH: "说你好。"}, k.Intents[0].Text)
	require.Equal(t, "stage1/language/hello/.kata/intents_test.go:17", k.Intents[0].At)
	require.Equal(t, "cannot fail without TestHello", k.Intents[1].Shares)

	items := c.Stages[0].Topics[0].Items
	require.Equal(t, []string{"stage1/language/later"}, items[0].Planned)
	require.Empty(t, items[1].Katas)

	vs := k.Variants()
	require.Equal(t, []string{"stub", "solution", "reject/wrong"}, []string{vs[0].ID(), vs[1].ID(), vs[2].ID()})
	require.Equal(t, []string{"TestHello"}, vs[2].CaughtBy)
	require.True(t, vs[2].Hangs)
	require.Equal(t, "Forgets to greet.", vs[2].Text)
	require.True(t, k.Yours().Untouched())
}

func TestFilesOfVariants(t *testing.T) {
	fs := files()
	fs["stage1/language/hello/.kata/reject/extra/hello.go"] = "// Has too much.\n//\n//kata:caught-by TestHello TestNone\npackage hello\n"
	fs["stage1/language/hello/.kata/reject/extra/data.txt"] = ""
	fs["stage1/language/hello/.kata/accept/poor/other.go"] = "package hello\n"
	fs["stage1/language/hello/more.go"] = "package hello\n"
	root := write(t, fs)
	c, err := course.Load(root)
	require.NoError(t, err)
	k := c.Kata("stage1/language/hello")
	var got []string
	for _, v := range k.Variants() {
		for _, p := range v.Problems {
			got = append(got, p.Text)
		}
	}
	require.Equal(t, []string{
		"accept/poor lacks hello.go; a variant is complete: the same files as .kata/stub",
		"data.txt is not in .kata/stub; remove it, or let the learner add files with //kata:files",
		"//kata:caught-by TestNone: the kata has no such intent",
	}, got)
	require.Contains(t, k.Yours().Files, "more.go", "//kata:files *.go lets the learner add it")

	require.NoError(t, os.Remove(filepath.Join(k.Dir, "hello.go")))
	require.Contains(t, k.Yours().Problems[0].Text, "your file hello.go is missing; `grader reset stage1/language/hello`")
}

func TestFaults(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"unknown directive", "//kata:race", "//kata:racing", "//kata:racing: unknown directive"},
		{"misplaced directive", "func helper", "//kata:zh 错\nfunc helper", "helper has //kata: directives and is no intent"},
		{"directive in no doc comment", "func helper", "//kata:zh 错\n\nfunc helper", "//kata:zh stands in no doc comment"},
		{"kata's directive on an intent", "//kata:zh 说你好。", "//kata:zh 说你好。\n//kata:level 1", "unknown or misplaced directive //kata:level on an intent"},
		{"level", "//kata:level 2", "//kata:level 9", `"9" is no level`},
		{"engine", "//kata:engine embedded etcd 3.7", "//kata:engine mocked etcd", "want real, embedded or simulated"},
		{"forbid", `"sort".Slice`, `sort.Slice`, "cannot read sort.Slice"},
		{"race with words", "//kata:race", "//kata:race please", "takes nothing"},
		{"no reason", "//kata:shares cannot fail without TestHello", "//kata:shares", "//kata:shares needs a reason"},
		{"twice", "func helper(t *testing.T) {}", "// Again.\n//\n//kata:zh 又。\nfunc TestHello(t *testing.T) {}", "stands already at"},
		{"syntax", "func helper(", "func (", "expected"},
		{"shape", "func helper(t *testing.T) {}", "func TestShape(t *testing.T, n int) {}", "TestShape is no intent"},
		{"init", "func helper(t *testing.T) {}", "func init() {}", "no func init"},
		{"nothing", intents, "package hello_test\n", "no intent in intents_test.go; add a func TestXxx"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs := files()
			require.Contains(t, intents, tc.old)
			fs["stage1/language/hello/.kata/intents_test.go"] = strings.Replace(intents, tc.old, tc.new, 1)
			c, err := course.Load(write(t, fs))
			require.NoError(t, err)
			var got []string
			for _, f := range c.Kata("stage1/language/hello").Faults {
				got = append(got, f.String())
			}
			require.Contains(t, strings.Join(got, "\n"), tc.want)
		})
	}
}

func TestRoadmapErrors(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"half-written", "    items:\n", "    items: [\n", "stage1/roadmap.yaml cannot be read: yaml: line"},
		{"unknown key", "goal:", "gaol:", "field gaol not found"},
		{"no Chinese", "title: {en: Syntax, zh: 语法}", "title: {en: Syntax}", `item "syntax": title needs a text in en and in zh`},
		{"twice", "language/pipes", "language/hello", "kata language/hello stands twice"},
		{"same id", "id: channels", "id: syntax", `the item id "syntax" stands already`},
		{"outside", "language/pipes", "../x/y", "is not a kata's path below the stage"},
		{"nothing", roadmap, "", "cannot be read: EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs := files()
			fs["stage1/roadmap.yaml"] = strings.Replace(roadmap, tc.old, tc.new, 1)
			_, err := course.Load(write(t, fs))
			require.ErrorContains(t, err, tc.want)
		})
	}
	_, err := course.Load(t.TempDir())
	var not *course.NotWorkspaceError
	require.ErrorAs(t, err, &not)
}

func TestSelect(t *testing.T) {
	fs := files()
	fs["stage1/extra/stray/.kata/stub/stray.go"] = "package stray\n"
	root := write(t, fs)
	c, err := course.Load(root)
	require.NoError(t, err)
	hello := filepath.Join(root, "stage1", "language", "hello")
	for _, tc := range []struct {
		cwd, selector, topic string
		want                 string // katas, then items
	}{
		{root, "", "", "stage1/language/hello stage1/extra/stray | syntax channels"},
		{root, "stage1", "", "stage1/language/hello stage1/extra/stray | syntax channels"},
		{root, "stage1/language", "", "stage1/language/hello | syntax channels"},
		{root, "./stage1/language/hello/", "", "stage1/language/hello | syntax"},
		{root, "stage1/language/...", "", "stage1/language/hello | syntax channels"},
		{hello, ".", "", "stage1/language/hello | syntax"},
		{hello, "sub", "", "stage1/language/hello | syntax"},
		{hello, "../..", "", "stage1/language/hello stage1/extra/stray | syntax channels"},
		{hello, "stage1/language", "", "stage1/language/hello | syntax channels"},
		{"/", hello, "", "stage1/language/hello | syntax"},
		{root, "channels", "", " | channels"},
		{root, "stage1/language/later", "", " | syntax"},
		{root, "", "language", "stage1/language/hello | syntax channels"},
	} {
		t.Run(tc.selector+" in "+filepath.Base(tc.cwd), func(t *testing.T) {
			var selectors, topics []string
			if tc.selector != "" {
				selectors = []string{tc.selector}
			}
			if tc.topic != "" {
				topics = []string{tc.topic}
			}
			s, err := c.Select(tc.cwd, selectors, topics)
			require.NoError(t, err)
			var katas, items []string
			for _, k := range s.Katas {
				katas = append(katas, k.Path)
			}
			for _, it := range s.Items {
				items = append(items, it.ID)
			}
			require.Equal(t, tc.want, strings.Join(katas, " ")+" | "+strings.Join(items, " "))
		})
	}
	for typed, near := range map[string]string{
		"stage1/langage/hello": "stage1/language/hello",
		"helo":                 "stage1/language/hello",
		"chanels":              "channels",
		"stage2":               "stage1",
	} {
		_, err := c.Select(root, []string{typed}, nil)
		require.ErrorContains(t, err, near, typed)
	}
	_, err = c.Select(root, []string{"zzzzzzzz"}, nil)
	require.ErrorContains(t, err, "`grader list` shows what there is")
}
