// Joins the error of Close to a variable that is not the result: return has copied it by
// then.
//
//kata:caught-by TestErrorsJoin
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
			return openErr
		}
		defer func() {
			err = errors.Join(err, r.Close())
		}()
		resources = append(resources, r)
	}
	err = use(resources)
	return err
}
