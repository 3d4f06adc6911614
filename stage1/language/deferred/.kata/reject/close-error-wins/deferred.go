// Overwrites the error of use with that of Close: the cause is gone, the aftermath stays.
//
//kata:caught-by TestErrorsJoin
package deferred

import (
	"io"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) (err error) {
	resources := make([]io.Closer, 0, len(opens))
	for _, open := range opens {
		r, openErr := open()
		if openErr != nil {
			return openErr
		}
		defer func() {
			if closeErr := r.Close(); closeErr != nil {
				err = closeErr
			}
		}()
		resources = append(resources, r)
	}
	return use(resources)
}
