// Closes in hand when an open returns an error, and defers the closing when all are open:
// an open that panics is neither.
//
//kata:caught-by TestOpenPanics
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
		if openErr != nil {
			for i := len(resources) - 1; i >= 0; i-- {
				openErr = errors.Join(openErr, resources[i].Close())
			}
			return openErr
		}
		resources = append(resources, r)
	}
	for _, r := range resources {
		defer func() {
			err = errors.Join(err, r.Close())
		}()
	}
	return use(resources)
}
