// Defers the closing when everything is open: if the last open fails, the others stay
// open.
//
//kata:caught-by TestOpenFails TestOpenPanics
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
