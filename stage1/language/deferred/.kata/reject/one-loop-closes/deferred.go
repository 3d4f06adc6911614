// Closes all in one deferred loop: when a Close panics, the loop ends, and the rest stays
// open.
//
//kata:caught-by TestClosePanics
package deferred

import (
	"errors"
	"io"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) (err error) {
	var closers []func() error
	defer func() {
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i]())
		}
	}()
	resources := make([]io.Closer, 0, len(opens))
	for _, open := range opens {
		r, openErr := open()
		if openErr != nil {
			return openErr
		}
		closers = append(closers, r.Close)
		resources = append(resources, r)
	}
	return use(resources)
}
