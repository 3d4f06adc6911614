// Package saga runs transactions that span several services: step by step, with a durable log, and undone step by step where they cannot be finished.
package saga

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// ErrRefused is returned (or wrapped) by an action that certainly has had no effect and never will have one. Any other error leaves open whether the action took effect.
var ErrRefused = errors.New("saga: refused")

// ErrUnknown says that a saga's name stands for no definition.
var ErrUnknown = errors.New("saga: unknown definition")

// Call is what an action is called with.
type Call struct {
	Saga  string // the saga's id
	Key   string // "<id>/<step>" for Do, "<id>/<step>/undo" for Undo: the same however often the action is repeated
	Input []byte // what the saga was started with
}

// Action is one call of a service. It returns when its context ends, and may be repeated with the same key.
type Action func(ctx context.Context, c Call) error

// Step is a part of a saga.
type Step struct {
	Name    string // unique in its definition, without a slash
	Do      Action
	Undo    Action        // before the pivot only; nil: there is nothing to undo
	Timeout time.Duration // of one attempt at Do or Undo; 0: none
}

// Definition is what sagas of one name do: the stages of Before, the pivot, the stages of After, one after the other. The steps of a stage run at the same time.
type Definition struct {
	Name   string
	Before [][]Step // can be undone
	Pivot  Step     // the point of no return
	After  [][]Step // must succeed, sooner or later
}

// Policy says how attempts are repeated.
type Policy struct {
	Attempts int                       // at a step before the pivot, in one call of Start or Resume; less than 1 means 1
	Pause    func(n int) time.Duration // before the nth repetition of an action: n = 1, 2, …; nil: no pause
}

// Outcome is how a saga ended.
type Outcome string

// The outcomes.
const (
	Done   Outcome = "done"
	Undone Outcome = "undone"
)

// Orchestrator runs sagas.
type Orchestrator struct {
	db *sql.DB
}

// New is an orchestrator whose log is in db. It makes the tables that it needs, unless they are there.
func New(ctx context.Context, db *sql.DB, p Policy, definitions ...Definition) (*Orchestrator, error) {
	panic("TODO: make the tables of the log")
}

// Start runs the saga id to its end. If it was started before, it is carried on from where the log says, with its first name and input; if it has ended, its outcome is returned.
func (o *Orchestrator) Start(ctx context.Context, id, name string, input []byte) (Outcome, error) {
	panic("TODO: log it, run it")
}

// Resume carries on all sagas that have not ended, at the same time.
func (o *Orchestrator) Resume(ctx context.Context) error {
	panic("TODO: carry on what is unfinished")
}
