// Closes in hand what was opened before an open that fails, and forgets that the deferred
// closing comes as well.
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
			for _, r := range resources {
				openErr = errors.Join(openErr, r.Close())
			}
			return openErr
		}
		defer func() {
			err = errors.Join(err, r.Close())
		}()
		resources = append(resources, r)
	}
	return use(resources)
}
