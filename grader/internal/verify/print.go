package verify

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Print writes the report for people: a line a kata, what has to be mended, and
// the matrix of rejects × intents where matrix asks for it.
func Print(w io.Writer, r *Report, matrix bool) {
	bad := 0
	for i := range r.Katas {
		k := &r.Katas[i]
		mark := "ok  "
		if !k.OK {
			mark = "FAIL"
			bad++
		}
		fmt.Fprintf(w, "%s %s  %d intents, %d right, %d rejects, %.1f s\n", mark, k.Path, len(k.Intents), len(k.Right), len(k.Rejects), k.Seconds)
		if k.SecondLook {
			fmt.Fprintln(w, "     its rejects were run a second time, one by one; a reject that needs that is caught by luck or by patience")
		}
		if len(k.Unchecked) > 0 {
			fmt.Fprintf(w, "     not checked here: %s\n", strings.Join(k.Unchecked, ", "))
		}
		if matrix {
			printMatrix(w, k)
		}
		for _, p := range k.Problems {
			fmt.Fprintf(w, "  ✗ %s\n", strings.ReplaceAll(strings.TrimSpace(p.String()), "\n", "\n      "))
		}
	}
	for _, p := range r.Roadmap {
		fmt.Fprintf(w, "✗ %s\n", p)
	}
	verdict := "all hold"
	if !r.OK() {
		verdict = fmt.Sprintf("%d to mend", bad)
		if bad == 0 {
			verdict = "the workspace is to mend"
		}
	}
	fmt.Fprintf(w, "%d katas verified in %.0f s: %s\n", len(r.Katas), r.Seconds, verdict)
}

// printMatrix shows which reject breaks which intent: ● by its own word, ○ besides.
func printMatrix(w io.Writer, k *Kata) {
	width := 8
	for _, r := range k.Rejects {
		width = max(width, len(r.Name))
	}
	fmt.Fprintf(w, "\n     %-*s ", width, "")
	for i := range k.Intents {
		fmt.Fprintf(w, "%3d", i+1)
	}
	fmt.Fprintln(w)
	for _, r := range k.Rejects {
		fmt.Fprintf(w, "     %-*s ", width, r.Name)
		for _, in := range k.Intents {
			cell := "·"
			if slices.Contains(r.Caught, in.Name) {
				cell = "○"
				if slices.Contains(r.CaughtBy, in.Name) {
					cell = "●"
				}
			}
			fmt.Fprint(w, "  "+cell)
		}
		if slices.Contains(r.Caught, "forbid") {
			fmt.Fprint(w, "  forbid")
		}
		fmt.Fprintln(w)
	}
	for i, in := range k.Intents {
		alone := "no reject of its own"
		switch {
		case len(in.OnlyBy) > 0:
			alone = "alone: " + strings.Join(in.OnlyBy, ", ")
		case in.Shares != "":
			alone = "shared: " + in.Shares
		}
		fmt.Fprintf(w, "     %3d %s — %s\n", i+1, in.Name, alone)
	}
	fmt.Fprintln(w)
}
