// Closes in the order of opening: what was opened last, on top of the others, loses the
// ground under its feet.
//
//kata:caught-by TestReverseOrder
package deferred

import (
	"errors"
	"io"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) (err error) {
	resources := make([]io.Closer, 0, len(opens))
	defer func() {
		err = errors.Join(err, closeAll(resources))
	}()
	for _, open := range opens {
		r, openErr := open()
		if openErr != nil {
			return openErr
		}
		resources = append(resources, r)
	}
	return use(append([]io.Closer{}, resources...))
}

func closeAll(resources []io.Closer) (err error) {
	if len(resources) == 0 {
		return nil
	}
	defer func() {
		err = errors.Join(err, closeAll(resources[1:]))
	}()
	return resources[0].Close()
}
