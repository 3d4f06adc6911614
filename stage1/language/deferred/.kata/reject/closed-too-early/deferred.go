// Defers Close in a helper that opens: the helper ends, and so does the resource, before
// it is used.
//
//kata:caught-by TestUse
package deferred

import (
	"errors"
	"io"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) (err error) {
	resources := make([]io.Closer, len(opens))
	for i, open := range opens {
		if err := acquire(&resources[i], open); err != nil {
			return err
		}
	}
	return use(resources)
}

func acquire(to *io.Closer, open func() (io.Closer, error)) (err error) {
	*to, err = open()
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, (*to).Close())
	}()
	return nil
}
