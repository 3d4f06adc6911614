// Recovers, closes, and panics again: runtime.Goexit is no panic, recover returns nil and
// the code after the call is never reached.
//
//kata:caught-by TestGoexit
package deferred

import (
	"errors"
	"io"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) (err error) {
	var closers []func() error
	v := recovered(func() {
		resources := make([]io.Closer, 0, len(opens))
		for _, open := range opens {
			var r io.Closer
			if r, err = open(); err != nil {
				return
			}
			closers = append(closers, r.Close)
			resources = append(resources, r)
		}
		err = use(resources)
	})
	for i := len(closers) - 1; i >= 0; i-- {
		closePanic := recovered(func() { err = errors.Join(err, closers[i]()) })
		if v == nil {
			v = closePanic
		}
	}
	if v != nil {
		panic(v)
	}
	return err
}

func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}
