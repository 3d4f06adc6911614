// Defers Close before it looks at the error: what came beside an error is no resource,
// and most often nil.
//
//kata:caught-by TestOpenFails
package deferred

import (
	"errors"
	"io"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) (err error) {
	resources := make([]io.Closer, 0, len(opens))
	for _, open := range opens {
		r, openErr := open()
		defer func() {
			if r != nil {
				err = errors.Join(err, r.Close())
			}
		}()
		if openErr != nil {
			return openErr
		}
		resources = append(resources, r)
	}
	return use(resources)
}
