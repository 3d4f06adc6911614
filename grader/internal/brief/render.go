package brief

import (
	"fmt"
	"go/scanner"
	"go/token"
	"strings"

	"github.com/fatih/color"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/roadkata/roadkata/grader/internal/term"
)

// Render lays Markdown out for a terminal. The ready-made renderers bring a
// syntax highlighter whose start-up every command would pay for; briefs need a
// dozen constructs.
func Render(markdown string, style term.Style) string {
	source := []byte(markdown)
	doc := markdownParser().Parse(text.NewReader(source))
	r := &renderer{style: style, source: source}
	r.blocks(doc, prefix{})
	return strings.TrimRight(r.out.String(), "\n") + "\n"
}

func markdownParser() parser.Parser {
	return parser.NewParser(
		parser.WithBlockParsers(parser.DefaultBlockParsers()...),
		parser.WithInlineParsers(append(parser.DefaultInlineParsers(), util.Prioritized(extension.NewStrikethroughParser(), 500))...),
		parser.WithParagraphTransformers(append(parser.DefaultParagraphTransformers(), util.Prioritized(extension.NewTableParagraphTransformer(), 200))...),
		parser.WithASTTransformers(util.Prioritized(extension.NewTableASTTransformer(), 0)),
	)
}

type renderer struct {
	style  term.Style
	source []byte
	out    strings.Builder
}

// prefix stands before every line of a block; first, once, in its place.
type prefix struct {
	first, rest string // painted
	width       int
}

func (p prefix) indent(n int) prefix {
	pad := strings.Repeat(" ", n)
	return prefix{p.first + pad, p.rest + pad, p.width + n}
}

// later is the prefix of the second block and what follows.
func (p prefix) later() prefix { return prefix{p.rest, p.rest, p.width} }

func (r *renderer) lines(p prefix, lines []string) {
	for i, l := range lines {
		lead := p.rest
		if i == 0 {
			lead = p.first
		}
		r.out.WriteString(strings.TrimRight(lead+l, " ") + "\n")
	}
}

func (r *renderer) room(p prefix) int {
	if r.style.Width <= 0 {
		return 0
	}
	return max(r.style.Width-p.width, 20)
}

// blocks renders the children of n with an empty line between them.
func (r *renderer) blocks(n ast.Node, p prefix) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if c != n.FirstChild() {
			p = p.later()
			if c.PreviousSibling().Kind() != ast.KindTextBlock { // the text of a tight item
				r.lines(p, []string{""})
			}
		}
		r.block(c, p)
	}
}

func (r *renderer) block(n ast.Node, p prefix) {
	switch n := n.(type) {
	case *ast.Heading:
		attrs := []color.Attribute{color.Bold}
		if n.Level == 1 {
			attrs = append(attrs, color.Underline)
		}
		if n.Level <= 2 {
			attrs = append(attrs, color.FgCyan)
		}
		mark := ""
		if !r.style.Color {
			mark = strings.Repeat("#", n.Level) + " "
		}
		r.flow(p, append([]term.Span{{Text: mark, Attrs: attrs}}, r.spans(n, attrs)...))
	case *ast.FencedCodeBlock:
		r.code(n, string(n.Language(r.source)), p)
	case *ast.CodeBlock:
		r.code(n, "", p)
	case *ast.HTMLBlock:
		r.code(n, "", p)
	case *ast.List:
		r.list(n, p)
	case *ast.Blockquote:
		bar := r.style.Dim("│ ")
		r.blocks(n, prefix{p.first + bar, p.rest + bar, p.width + 2})
	case *ast.ThematicBreak:
		r.lines(p, []string{r.style.Dim(strings.Repeat("─", max(min(r.room(p), 40), 3)))})
	case *east.Table:
		r.table(n, p)
	default:
		r.flow(p, r.spans(n, nil))
	}
}

func (r *renderer) flow(p prefix, spans []term.Span) {
	r.lines(p, r.style.Flow(spans, r.room(p)))
}

func (r *renderer) list(n *ast.List, p prefix) {
	number := n.Start
	for item := n.FirstChild(); item != nil; item = item.NextSibling() {
		mark := "• "
		if n.IsOrdered() {
			mark = fmt.Sprintf("%d. ", number)
			number++
		}
		if item != n.FirstChild() {
			if !n.IsTight {
				r.lines(p, []string{""})
			}
			p = p.later()
		}
		rest := strings.Repeat(" ", term.Width(mark))
		r.blocks(item, prefix{p.first + mark, p.rest + rest, p.width + len(rest)})
	}
}

// code writes code as it is: its lines are never broken.
func (r *renderer) code(n ast.Node, language string, p prefix) {
	var b strings.Builder
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		b.Write(line.Value(r.source))
	}
	src := strings.TrimRight(b.String(), "\n")
	if language == "go" && r.style.Color {
		src = r.highlight(src)
	}
	src = strings.ReplaceAll(src, "\t", "    ")
	r.lines(p.indent(4), strings.Split(src, "\n"))
}

// highlight paints keywords, strings and comments of Go code.
func (r *renderer) highlight(src string) string {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(src))
	s.Init(file, []byte(src), func(token.Position, string) {}, scanner.ScanComments)
	var out strings.Builder
	done := 0
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		start := file.Offset(pos)
		if start < done || lit == "" || !strings.HasPrefix(src[start:], lit) {
			continue // operators, and semicolons that nobody wrote
		}
		out.WriteString(src[done:start])
		out.WriteString(r.token(tok, lit))
		done = start + len(lit)
	}
	out.WriteString(src[done:])
	return out.String()
}

// token paints line by line, so that a prefix never takes a colour along.
func (r *renderer) token(tok token.Token, lit string) string {
	var attr color.Attribute
	switch {
	case tok.IsKeyword():
		attr = color.FgMagenta
	case tok == token.COMMENT:
		attr = color.Faint
	case tok == token.STRING || tok == token.CHAR:
		attr = color.FgGreen
	default:
		return lit
	}
	lines := strings.Split(lit, "\n")
	for i, l := range lines {
		lines[i] = r.style.Paint(l, attr)
	}
	return strings.Join(lines, "\n")
}

// spans collects the inline text below n.
func (r *renderer) spans(n ast.Node, attrs []color.Attribute) []term.Span {
	var out []term.Span
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		out = append(out, r.inline(c, attrs)...)
	}
	return out
}

func (r *renderer) inline(n ast.Node, attrs []color.Attribute) []term.Span {
	with := func(more ...color.Attribute) []color.Attribute { return append(attrs[:len(attrs):len(attrs)], more...) }
	switch n := n.(type) {
	case *ast.Text:
		s := string(util.UnescapePunctuations(n.Value(r.source)))
		if n.SoftLineBreak() || n.HardLineBreak() {
			s += "\n"
		}
		return []term.Span{{Text: s, Attrs: attrs}}
	case *ast.String:
		return []term.Span{{Text: string(n.Value), Attrs: attrs}}
	case *ast.CodeSpan:
		return r.codeSpan(n, with(color.FgYellow))
	case *ast.Emphasis:
		if n.Level == 2 {
			return r.spans(n, with(color.Bold))
		}
		return r.spans(n, with(color.Italic))
	case *ast.Link:
		return r.link(r.spans(n, with(color.Underline)), string(n.Destination), attrs)
	case *ast.AutoLink:
		return []term.Span{{Text: string(n.URL(r.source)), Attrs: with(color.Underline)}}
	case *ast.RawHTML:
		return nil
	}
	return r.spans(n, attrs)
}

// codeSpan keeps the backquotes where no colour sets the code apart.
func (r *renderer) codeSpan(n *ast.CodeSpan, attrs []color.Attribute) []term.Span {
	spans := r.spans(n, attrs)
	if r.style.Color {
		return spans
	}
	quote := term.Span{Text: "`", Attrs: attrs}
	return append(append([]term.Span{quote}, spans...), quote)
}

// link names the address behind the text, unless it is a file nearby.
func (r *renderer) link(label []term.Span, dest string, attrs []color.Attribute) []term.Span {
	if !strings.Contains(dest, "://") {
		return label
	}
	return append(label, term.Span{Text: " (" + dest + ")", Attrs: append(attrs[:len(attrs):len(attrs)], color.Faint)})
}

// table sets columns side by side and shrinks the widest until all fit.
func (r *renderer) table(t *east.Table, p prefix) {
	var rows [][][]term.Span
	for row := t.FirstChild(); row != nil; row = row.NextSibling() {
		var attrs []color.Attribute
		if row.Kind() == east.KindTableHeader {
			attrs = []color.Attribute{color.Bold}
		}
		var cells [][]term.Span
		for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
			cells = append(cells, r.spans(cell, attrs))
		}
		rows = append(rows, cells)
	}
	widths := r.fit(rows, r.room(p))
	for i, row := range rows {
		r.row(row, widths, p)
		p = p.later()
		if i == 0 {
			total := 2 * (len(widths) - 1)
			for _, w := range widths {
				total += w
			}
			r.lines(p, []string{r.style.Dim(strings.Repeat("─", max(total, 1)))})
		}
	}
}

func (r *renderer) fit(rows [][][]term.Span, room int) []int {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 1)
			}
			widths[i] = max(widths[i], term.Width(plainText(cell)))
		}
	}
	for room > 0 {
		total, widest := 2*(len(widths)-1), 0
		for i, w := range widths {
			total += w
			if w > widths[widest] {
				widest = i
			}
		}
		if total <= room || widths[widest] <= 8 {
			break
		}
		widths[widest]--
	}
	return widths
}

func (r *renderer) row(row [][]term.Span, widths []int, p prefix) {
	height := 1
	var columns, bare [][]string
	for i, cell := range row {
		columns = append(columns, r.style.Flow(cell, widths[i]))
		bare = append(bare, term.Style{}.Flow(cell, widths[i]))
		height = max(height, len(columns[i]))
	}
	var lines []string
	for y := range height {
		var b strings.Builder
		for x := range columns {
			text, width := "", 0
			if y < len(columns[x]) {
				text, width = columns[x][y], term.Width(bare[x][y])
			}
			b.WriteString(text)
			b.WriteString(strings.Repeat(" ", max(widths[x]-width, 0)+2))
		}
		lines = append(lines, b.String())
	}
	r.lines(p, lines)
}

func plainText(spans []term.Span) string {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.Text)
	}
	return b.String()
}
