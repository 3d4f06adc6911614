package report

import (
	"encoding/json"
	"io"

	"github.com/roadkata/roadkata/grader/internal/grade"
)

// JSON writes the report as it is: schema roadkata.report/v1.
func JSON(w io.Writer, r *grade.Report, _ Options) error { return indented(w, r) }

func indented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
