package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

// output is the form of an answer.
type output string

func (o *output) String() string { return string(*o) }
func (o *output) Type() string   { return "form" }

func (o *output) Set(s string) error {
	if !slices.Contains([]string{"table", "json", "csv"}, s) {
		return fmt.Errorf("must be table, json or csv")
	}
	*o = output(s)
	return nil
}

// table is the answer of every analysing command. A cell is a string, an int64 or a float64.
type table struct {
	columns []string
	rows    [][]any
}

// print writes t to stdout. What a disk or a pipe does not take is an error.
func (o *options) print(t table) error {
	w := bufio.NewWriter(o.stdout)
	write := map[output]func(io.Writer, table) error{"table": writeTable, "json": writeJSON, "csv": writeCSV}[o.output]
	err := write(w, t)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

func writeTable(w io.Writer, t table) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ToUpper(strings.Join(t.columns, "\t")))
	for _, row := range t.rows {
		cells := texts(row)
		for i := range cells {
			cells[i] = printable(cells[i])
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// writeJSON writes an array of objects whose keys are in the order of the columns.
func writeJSON(w io.Writer, t table) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	out.WriteString("[")
	for i, row := range t.rows {
		if i > 0 {
			out.WriteString(",")
		}
		for j, cell := range row {
			out.WriteString([]string{"\n{", ", "}[min(j, 1)])
			fmt.Fprintf(&out, "%q: ", t.columns[j])
			if err := enc.Encode(cell); err != nil {
				return err
			}
			out.Truncate(out.Len() - 1) // the newline that Encode adds
		}
		out.WriteString("}")
	}
	if len(t.rows) > 0 {
		out.WriteString("\n")
	}
	out.WriteString("]\n")
	_, err := out.WriteTo(w)
	return err
}

func writeCSV(w io.Writer, t table) error {
	cw := csv.NewWriter(w)
	cw.Write(t.columns)
	for _, row := range t.rows {
		cw.Write(texts(row))
	}
	cw.Flush()
	return cw.Error()
}

func texts(row []any) []string {
	var cells []string
	for _, cell := range row {
		if f, ok := cell.(float64); ok {
			cells = append(cells, strconv.FormatFloat(f, 'f', -1, 64))
			continue
		}
		cells = append(cells, fmt.Sprint(cell))
	}
	return cells
}

// printable shows what a terminal would obey as an escape: whoever sends requests chooses what is in a log.
func printable(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && unicode.IsPrint(r) && r != unicode.ReplacementChar
	}
	if clean {
		return s
	}
	quoted := strconv.QuoteToGraphic(s)
	quoted = quoted[1 : len(quoted)-1]
	return strings.ReplaceAll(quoted, `\"`, `"`)
}
