// Closes resources[i], from the slice that use was given: after use has sorted it, or taken
// something out, the wrong ones get closed.
//
//kata:caught-by TestUseMayChangeSlice
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
		i := len(resources) - 1
		defer func() {
			err = errors.Join(err, resources[i].Close())
		}()
	}
	return use(resources)
}
