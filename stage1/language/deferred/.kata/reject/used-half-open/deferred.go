// Notes the error of open and goes on: use works with what there is.
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
		if openErr != nil {
			err = errors.Join(err, openErr)
			continue
		}
		defer func() {
			err = errors.Join(err, r.Close())
		}()
		resources = append(resources, r)
	}
	return errors.Join(err, use(resources))
}
