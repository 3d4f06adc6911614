// Recovers what an open panics with, closes in hand and panics again, and defers the closing
// when all are open: an open that calls runtime.Goexit gets past both.
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
	closeAll := func() (err error) {
		for _, r := range resources {
			defer func() {
				err = errors.Join(err, r.Close())
			}()
		}
		return nil
	}
	for _, open := range opens {
		r, openErr := guarded(open, closeAll)
		if openErr != nil {
			return errors.Join(openErr, closeAll())
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

func guarded(open func() (io.Closer, error), closeAll func() error) (io.Closer, error) {
	defer func() {
		if v := recover(); v != nil {
			closeAll()
			panic(v)
		}
	}()
	return open()
}
