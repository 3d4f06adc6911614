// Defers r.Close() and nothing more: its error has nowhere to go, and a write that failed
// at the end looks like a success.
//
//kata:caught-by TestErrorsJoin
package deferred

import (
	"io"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) error {
	resources := make([]io.Closer, 0, len(opens))
	for _, open := range opens {
		r, openErr := open()
		if openErr != nil {
			return openErr
		}
		defer r.Close()
		resources = append(resources, r)
	}
	return use(resources)
}
