// Copies any type by reflection, and keeps writers apart by a channel with one token.
package publication

import (
	"reflect"
	"sync/atomic"
)

// Store holds the current version of a Config.
type Store struct {
	current atomic.Value
	token   chan struct{}
}

// New returns a store with a copy of c as its first version.
func New(c *Config) *Store {
	s := &Store{token: make(chan struct{}, 1)}
	s.current.Store(clone(c))
	s.token <- struct{}{}
	return s
}

// Load returns the current version.
func (s *Store) Load() *Config {
	return s.current.Load().(*Config)
}

// Update publishes a copy of the current version, changed by f.
func (s *Store) Update(f func(c *Config) error) error {
	<-s.token
	defer func() { s.token <- struct{}{} }()
	next := clone(s.Load())
	err := f(next)
	if err == nil {
		s.current.Store(next)
	}
	return err
}

func clone(c *Config) *Config {
	return deep(reflect.ValueOf(c)).Interface().(*Config)
}

func deep(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return v
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(deep(v.Elem()))
		return p
	case reflect.Struct:
		s := reflect.New(v.Type()).Elem()
		for i := range v.NumField() {
			s.Field(i).Set(deep(v.Field(i)))
		}
		return s
	case reflect.Slice:
		s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			s.Index(i).Set(deep(v.Index(i)))
		}
		return s
	case reflect.Map:
		m := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			m.SetMapIndex(it.Key(), deep(it.Value()))
		}
		return m
	default:
		return v
	}
}
