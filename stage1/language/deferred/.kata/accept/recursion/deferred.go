// Package deferred takes one resource at a time: it opens the first, defers its Close,
// and leaves the others to itself.
package deferred

import (
	"errors"
	"io"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) error {
	return with(nil, use, opens)
}

func with(held []io.Closer, use func([]io.Closer) error, opens []func() (io.Closer, error)) (err error) {
	if len(opens) == 0 {
		return use(held)
	}
	r, err := opens[0]()
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := r.Close(); closeErr != nil {
			err = errors.Join(err, closeErr)
		}
	}()
	return with(append(held, r), use, opens[1:])
}
