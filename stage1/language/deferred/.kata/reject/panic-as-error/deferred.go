// Makes an error of a panic: a bug in use looks like a failure that one may retry.
//
//kata:caught-by TestPanic
package deferred

import (
	"errors"
	"fmt"
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
			err = errors.Join(err, r.Close())
		}()
		resources = append(resources, r)
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return use(resources)
}
