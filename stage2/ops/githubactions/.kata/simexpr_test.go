package githubactions_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

// An object is a value of an expression that has properties; names of properties know no upper and lower case.
type object map[string]any

func (o object) get(name string) any {
	for key, v := range o {
		if strings.EqualFold(key, name) {
			return v
		}
	}
	return nil
}

// A scope is what expressions see at some place of a run.
type scope struct {
	contexts object
	// success, failure and cancelled stand for what came before: steps of the job, or jobs that are needed.
	failed, skipped bool
	// asked is set once a status function was called: without one, success() is implied.
	asked bool
}

// interpolate replaces the expressions of a text by what they come to, as the runner does before anybody else sees the text.
func (s *scope) interpolate(text string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "${{")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		source, after := cutExpression(rest)
		out.WriteString(toString(s.eval(source)))
		text = after
	}
}

// value is the value of a text: of its expression, if it is but one, and otherwise the text.
func (s *scope) value(text string) any {
	trimmed := strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(trimmed, "${{"); ok {
		if source, after := cutExpression(rest); after == "" {
			return s.eval(source)
		}
	}
	return s.interpolate(text)
}

// holds evaluates a condition, which may be written with or without ${{ }}.
func (s *scope) holds(condition *actionlint.String) bool {
	s.asked = false
	value := any(true)
	if condition != nil {
		if strings.Contains(condition.Value, "${{") {
			value = s.value(condition.Value)
		} else {
			value = s.eval(condition.Value)
		}
	}
	return truthy(value) && (s.asked || !s.failed && !s.skipped)
}

// cutExpression splits a text behind ${{ at the }} that ends the expression.
func cutExpression(text string) (source, after string) {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(text[i:], "}}"):
			return text[:i], text[i+2:]
		}
	}
	return text, ""
}

func (s *scope) eval(source string) any {
	node, err := actionlint.NewExprParser().Parse(actionlint.NewExprLexer(source + "}}"))
	if err != nil {
		return nil // TestValid names it
	}
	return s.node(node)
}

func (s *scope) node(n actionlint.ExprNode) any {
	switch n := n.(type) {
	case *actionlint.NullNode:
		return nil
	case *actionlint.BoolNode:
		return n.Value
	case *actionlint.IntNode:
		return float64(n.Value)
	case *actionlint.FloatNode:
		return n.Value
	case *actionlint.StringNode:
		return n.Value
	case *actionlint.VariableNode:
		return s.contexts.get(n.Name)
	case *actionlint.ObjectDerefNode:
		return property(s.node(n.Receiver), n.Property)
	case *actionlint.IndexAccessNode:
		return property(s.node(n.Operand), toString(s.node(n.Index)))
	case *actionlint.ArrayDerefNode:
		var all []any
		if o, ok := s.node(n.Receiver).(object); ok {
			for _, v := range o {
				all = append(all, v)
			}
		}
		return all
	case *actionlint.NotOpNode:
		return !truthy(s.node(n.Operand))
	case *actionlint.LogicalOpNode:
		left := s.node(n.Left)
		if truthy(left) == (n.Kind == actionlint.LogicalOpNodeKindOr) {
			return left
		}
		return s.node(n.Right)
	case *actionlint.CompareOpNode:
		return compare(n.Kind, s.node(n.Left), s.node(n.Right))
	case *actionlint.FuncCallNode:
		var args []any
		for _, a := range n.Args {
			args = append(args, s.node(a))
		}
		return s.call(strings.ToLower(n.Callee), args)
	}
	return nil
}

func property(v any, name string) any {
	switch v := v.(type) {
	case object:
		return v.get(name)
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
		var all []any
		for _, e := range v {
			all = append(all, property(e, name))
		}
		return all
	}
	return nil
}

func (s *scope) call(name string, args []any) any {
	arg := func(i int) string {
		if i >= len(args) {
			return ""
		}
		return strings.ToLower(toString(args[i]))
	}
	switch name {
	case "success":
		s.asked = true
		return !s.failed && !s.skipped
	case "failure":
		s.asked = true
		return s.failed
	case "always":
		s.asked = true
		return true
	case "cancelled":
		s.asked = true
		return false
	case "contains":
		if len(args) == 2 {
			if list, ok := args[0].([]any); ok {
				for _, v := range list {
					if strings.EqualFold(toString(v), toString(args[1])) {
						return true
					}
				}
				return false
			}
		}
		return strings.Contains(arg(0), arg(1))
	case "startswith":
		return strings.HasPrefix(arg(0), arg(1))
	case "endswith":
		return strings.HasSuffix(arg(0), arg(1))
	case "format":
		if len(args) == 0 {
			return ""
		}
		text := toString(args[0])
		for i, a := range args[1:] {
			text = strings.ReplaceAll(text, fmt.Sprintf("{%d}", i), toString(a))
		}
		return text
	case "fromjson":
		if len(args) == 1 {
			return fromJSON(toString(args[0]))
		}
	case "tojson":
		if len(args) == 1 {
			return toJSON(args[0])
		}
	case "join":
		if len(args) > 0 {
			if list, ok := args[0].([]any); ok {
				sep := ","
				if len(args) > 1 {
					sep = toString(args[1])
				}
				var words []string
				for _, v := range list {
					words = append(words, toString(v))
				}
				return strings.Join(words, sep)
			}
		}
	case "hashfiles":
		// Which files they are is what counts: a pattern that matches nothing comes to nothing.
		hash := ""
		for _, a := range args {
			for _, name := range repository {
				if glob(toString(a), name) {
					hash += "<" + name + ">"
				}
			}
		}
		return hash
	}
	return ""
}

func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0
	case string:
		return v != ""
	}
	return true
}

func toString(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return "Object"
}

func toNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case nil:
		return 0, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case float64:
		return v, true
	case string:
		if v == "" {
			return 0, true
		}
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	}
	return 0, false
}

func compare(kind actionlint.CompareOpNodeKind, a, b any) bool {
	left, isText := a.(string)
	right, isText2 := b.(string)
	if isText && isText2 {
		order := strings.Compare(strings.ToLower(left), strings.ToLower(right))
		return ordered(kind, float64(order), 0)
	}
	x, ok := toNumber(a)
	y, ok2 := toNumber(b)
	if !ok || !ok2 {
		return kind == actionlint.CompareOpNodeKindNotEq
	}
	return ordered(kind, x, y)
}

func ordered(kind actionlint.CompareOpNodeKind, x, y float64) bool {
	switch kind {
	case actionlint.CompareOpNodeKindLess:
		return x < y
	case actionlint.CompareOpNodeKindLessEq:
		return x <= y
	case actionlint.CompareOpNodeKindGreater:
		return x > y
	case actionlint.CompareOpNodeKindGreaterEq:
		return x >= y
	case actionlint.CompareOpNodeKindEq:
		return x == y
	}
	return x != y
}
