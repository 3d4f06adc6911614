// Returns the error of open alone: that a Close failed while it cleared up, nobody hears.
//
//kata:caught-by TestErrorsJoin
package deferred

import (
	"errors"
	"io"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) (err error) {
	resources := make([]io.Closer, 0, len(opens))
	opening := true
	for _, open := range opens {
		r, openErr := open()
		if openErr != nil {
			return openErr
		}
		defer func() {
			if closeErr := r.Close(); !opening {
				err = errors.Join(err, closeErr)
			}
		}()
		resources = append(resources, r)
	}
	opening = false
	return use(resources)
}
