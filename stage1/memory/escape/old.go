package escape

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Level is how serious a line is.
type Level int8

// The levels that have names.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// String returns the level's name, and LEVEL(n) for a level without one.
func (l Level) String() string {
	switch l {
	case Debug:
		return "DEBUG"
	case Info:
		return "INFO"
	case Warn:
		return "WARN"
	case Error:
		return "ERROR"
	default:
		return fmt.Sprintf("LEVEL(%d)", int8(l))
	}
}

// Old formats a log line: the time in UTC, the level, the message, then keys and values in turn.
// It is what Append replaces, and the definition of every byte that Append writes. It is given; don't edit it.
func Old(t time.Time, level Level, msg string, keysAndValues ...any) string {
	var b strings.Builder
	fmt.Fprintf(&b, "time=%s level=%s msg=%s", text(t), level, quote(msg))
	for i := 0; i < len(keysAndValues); i += 2 {
		fmt.Fprintf(&b, " %s=%s", keysAndValues[i], quote(text(keysAndValues[i+1])))
	}
	b.WriteByte('\n')
	return b.String()
}

func text(v any) string {
	if t, ok := v.(time.Time); ok {
		return t.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

// quote returns s, in quotes where a reader of the line could not tell where it begins or ends.
func quote(s string) string {
	if s == "" || strings.ContainsFunc(s, special) {
		return strconv.Quote(s)
	}
	return s
}

func special(r rune) bool {
	return r <= ' ' || r == '=' || r == '"' || r == unicode.ReplacementChar || !unicode.IsPrint(r)
}
