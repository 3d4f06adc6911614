package term

import (
	"slices"
	"strings"
	"testing"

	"github.com/fatih/color"
)

func TestWrap(t *testing.T) {
	s := Style{Width: 30}
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"fits", "a  b   c", []string{"a  b   c"}},
		{"breaks at blanks", "never more than n jobs run at the same time", []string{"never more than n jobs run at", "the same time"}},
		{"keeps the lead", "    got: one two three four five six", []string{"    got: one two three four", "    five six"}},
		{"a path stays whole", "see stage1/concurrency/workerpool/workerpool.go now", []string{"see", "stage1/concurrency/workerpool/workerpool.go", "now"}},
		{"Chinese breaks anywhere", "同时运行的任务不超过 n 个，每个任务都要等到空位才能开始。", []string{"同时运行的任务不超过 n 个，每", "个任务都要等到空位才能开始。"}},
		{"no comma at the start", "一二三四五六七八九十一二三四五，六", []string{"一二三四五六七八九十一二三四", "五，六"}},
	} {
		if got := s.Wrap(c.text, 0); !slices.Equal(got, c.want) {
			t.Errorf("%s: Wrap(%q) = %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func TestFlowKeepsSpansTogether(t *testing.T) {
	spans := []Span{{Text: "call "}, {Text: "Wait", Attrs: []color.Attribute{color.Bold}}, {Text: ", then Close"}}
	if got, want := (Style{}).Flow(spans, 9), []string{"call", "Wait,", "then", "Close"}; !slices.Equal(got, want) {
		t.Errorf("Flow(%v, 9) = %q, want %q", spans, got, want)
	}
	if got := (Style{Color: true}).Flow(spans, 0); len(got) != 1 || !strings.Contains(got[0], "\x1b[1mWait\x1b[22m") {
		t.Errorf("Flow in colour = %q, want a bold Wait in one line", got)
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		done, total int
		want        string
	}{{0, 0, "░░░░"}, {0, 9, "░░░░"}, {1, 99, "█░░░"}, {2, 4, "██░░"}, {4, 4, "████"}} {
		if got := (Style{}).Bar(c.done, c.total, 4); got != c.want {
			t.Errorf("Bar(%d, %d, 4) = %s, want %s", c.done, c.total, got, c.want)
		}
	}
}

func TestPad(t *testing.T) {
	if got := Pad("工作池", 8); got != "工作池  " {
		t.Errorf("Pad(工作池, 8) = %q, want two blanks: it takes six cells", got)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		width int
		want  string
	}{{0, "工作池 pool"}, {11, "工作池 pool"}, {6, "工作…"}} {
		if got := Cut("工作池 pool", c.width); got != c.want {
			t.Errorf("Cut(工作池 pool, %d) = %q, want %q", c.width, got, c.want)
		}
	}
}

func TestFlowJoinsLines(t *testing.T) {
	for text, want := range map[string]string{
		"one\ntwo":  "one two",
		"一切正常。\n可是": "一切正常。可是",
		"使用\nGo 语言": "使用 Go 语言",
		"one \ntwo": "one two",
	} {
		if got := (Style{}).Flow([]Span{{Text: text}}, 0); len(got) != 1 || got[0] != want {
			t.Errorf("Flow(%q) = %q, want %q", text, got, want)
		}
	}
}
