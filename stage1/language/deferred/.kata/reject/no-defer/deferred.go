// Closes after use, without defer: a panic goes past it.
//
//kata:caught-by TestPanic TestGoexit
package deferred

import (
	"errors"
	"io"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) error {
	var err error
	resources := make([]io.Closer, 0, len(opens))
	for _, open := range opens {
		r, openErr := open()
		if openErr != nil {
			err = openErr
			break
		}
		resources = append(resources, r)
	}
	if err == nil {
		err = use(append([]io.Closer{}, resources...))
	}
	for i := len(resources) - 1; i >= 0; i-- {
		err = errors.Join(err, resources[i].Close())
	}
	return err
}
