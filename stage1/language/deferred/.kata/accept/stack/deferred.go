// Package deferred keeps what is to be closed on a stack of its own, with a single defer.
package deferred

import (
	"errors"
	"io"
	"slices"
)

// WithResources opens the resources, calls use with them and closes them in reverse order.
func WithResources(use func(resources []io.Closer) error, opens ...func() (io.Closer, error)) error {
	var s stack
	return s.run(func() error {
		for _, open := range opens {
			r, err := open()
			if err != nil {
				return err
			}
			s.closers = append(s.closers, r)
		}
		return use(slices.Clone(s.closers))
	})
}

type stack struct {
	closers []io.Closer
	errs    []error
}

func (s *stack) run(f func() error) error {
	func() {
		defer s.unwind()
		s.errs = append(s.errs, f())
	}()
	return errors.Join(s.errs...)
}

// unwind closes the topmost and, whatever comes of that, the rest.
func (s *stack) unwind() {
	top := len(s.closers) - 1
	if top < 0 {
		return
	}
	r := s.closers[top]
	s.closers = s.closers[:top]
	defer s.unwind()
	s.errs = append(s.errs, r.Close())
}
