// Package deferred holds resources for as long as a function needs them.
package deferred

import (
	"errors"
	"io"
)

// WithResources opens the resources one after another, calls use with them, in the
// order of opens, and closes them in the reverse order, whatever happens:
//
//   - use returns: WithResources returns its error and those of the Close calls,
//     joined, so that errors.Is finds each of them; nil if there is none.
//   - An open returns an error: no further open is called, nor use. WithResources
//     returns this error, joined with those of the Close calls.
//   - use, an open or a Close panics, or calls runtime.Goexit: so does WithResources,
//     with the same value. Errors of Close calls are lost then.
//
// Every resource that was opened is closed exactly once, after all that was opened
// later, also if a Close before it fails or panics. use may change the slice.
//
// What an open returns beside an error is not a resource.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) (err error) {
	resources := make([]io.Closer, 0, len(opens))
	for _, open := range opens {
		r, openErr := open()
		if openErr != nil {
			return openErr
		}
		// One defer for each, in a loop on purpose: they run in reverse order when the
		// function ends, in whatever way, and one that panics does not stop the next.
		// Each knows its own r, for use may do with the slice as it likes.
		defer func() {
			err = errors.Join(err, r.Close())
		}()
		resources = append(resources, r)
	}
	return use(resources)
}
