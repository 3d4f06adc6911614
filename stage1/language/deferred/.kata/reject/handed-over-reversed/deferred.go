// Puts each new resource first, ready to be closed, and hands the same slice to use: there
// the last one stands first.
//
//kata:caught-by TestUse
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
		defer func() {
			err = errors.Join(err, r.Close())
		}()
		resources = append([]io.Closer{r}, resources...)
	}
	return use(resources)
}
