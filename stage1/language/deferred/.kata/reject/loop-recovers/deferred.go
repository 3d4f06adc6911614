// Closes all in one deferred loop, with a recover around each Close: runtime.Goexit is no
// panic, it ends the loop, and the rest stays open.
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
		var crash any
		for i := len(closers) - 1; i >= 0; i-- {
			func() {
				defer func() {
					if v := recover(); v != nil {
						crash = v
					}
				}()
				err = errors.Join(err, closers[i]())
			}()
		}
		if crash != nil {
			panic(crash)
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
