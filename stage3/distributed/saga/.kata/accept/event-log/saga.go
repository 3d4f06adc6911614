// Package saga runs transactions that span several services: step by step, with a durable log, and undone step by step where they cannot be finished.
package saga

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
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

// What the log can say. It only ever grows.
const (
	begun    = "begun"
	tried    = "tried"
	worked   = "worked"
	rejected = "rejected"
	turned   = "turned"
	reverted = "reverted"
	ended    = "ended"
)

type event struct{ kind, step string }

// Orchestrator runs sagas.
type Orchestrator struct {
	db     *sql.DB
	policy Policy
	named  map[string]Definition
}

// New is an orchestrator whose log is in db. It makes the tables that it needs, unless they are there.
func New(ctx context.Context, db *sql.DB, p Policy, definitions ...Definition) (*Orchestrator, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	for _, statement := range []string{
		`CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, saga TEXT NOT NULL, kind TEXT NOT NULL, step TEXT NOT NULL, name TEXT, input BLOB)`,
		`CREATE UNIQUE INDEX IF NOT EXISTS events_once ON events (saga, kind, step)`,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	named := map[string]Definition{}
	for _, d := range definitions {
		named[d.Name] = d
	}
	return &Orchestrator{db, p, named}, tx.Commit()
}

// Start runs the saga id to its end. If it was started before, it is carried on from where the log says, with its first name and input; if it has ended, its outcome is returned.
func (o *Orchestrator) Start(ctx context.Context, id, name string, input []byte) (Outcome, error) {
	if _, ok := o.named[name]; !ok {
		return "", ErrUnknown
	}
	_, err := o.db.ExecContext(ctx, `INSERT OR IGNORE INTO events (saga, kind, step, name, input) VALUES (?, ?, '', ?, ?)`, id, begun, name, input)
	if err != nil {
		return "", err
	}
	return o.replay(ctx, id)
}

// Resume carries on all sagas that have not ended, at the same time.
func (o *Orchestrator) Resume(ctx context.Context) error {
	var ids string
	err := o.db.QueryRowContext(ctx, `SELECT coalesce(group_concat(hex(saga)), '') FROM events b WHERE kind = ?
		AND NOT EXISTS (SELECT 1 FROM events e WHERE e.saga = b.saga AND e.kind = ?)`, begun, ended).Scan(&ids)
	if err != nil || ids == "" {
		return err
	}
	errs := make(chan error)
	list := strings.Split(ids, ",")
	for _, id := range list {
		go func() {
			name, err := hex.DecodeString(id)
			if err == nil {
				_, err = o.replay(ctx, string(name))
			}
			errs <- err
		}()
	}
	return gather(errs, len(list))
}

func gather(errs <-chan error, n int) error {
	var all error
	for range n {
		all = errors.Join(all, <-errs)
	}
	return all
}

type story struct {
	o      *Orchestrator
	id     string
	input  []byte
	stages [][]Step
	pivot  int

	mu   sync.Mutex
	seen map[event]bool
}

// replay reads the events of a saga, and adds those that are missing.
func (o *Orchestrator) replay(ctx context.Context, id string) (Outcome, error) {
	s := &story{o: o, id: id, seen: map[event]bool{}}
	if err := s.read(ctx); err != nil {
		return "", err
	}
	if !s.has(ended, "") {
		if err := s.tell(ctx, 0); err != nil {
			return "", err
		}
		if err := s.add(ctx, ended, ""); err != nil {
			return "", err
		}
	}
	if s.has(turned, "") {
		return Undone, nil
	}
	return Done, nil
}

func (s *story) read(ctx context.Context) error {
	rows, err := s.o.db.QueryContext(ctx, `SELECT kind, step, coalesce(name, ''), input FROM events WHERE saga = ?`, s.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var e event
		var name string
		var input []byte
		if err := rows.Scan(&e.kind, &e.step, &name, &input); err != nil {
			return err
		}
		s.seen[e] = true
		if e.kind != begun {
			continue
		}
		d, ok := s.o.named[name]
		if !ok {
			return ErrUnknown
		}
		s.input = input
		s.pivot = len(d.Before)
		s.stages = append(append(append(s.stages, d.Before...), []Step{d.Pivot}), d.After...)
	}
	return rows.Err()
}

func (s *story) has(kind, step string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[event{kind, step}]
}

func (s *story) add(ctx context.Context, kind, step string) error {
	if s.has(kind, step) {
		return nil
	}
	if _, err := s.o.db.ExecContext(ctx, `INSERT INTO events (saga, kind, step) VALUES (?, ?, ?)`, s.id, kind, step); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[event{kind, step}] = true
	return nil
}

// tell runs the stages from i on, and undoes stage i on the way back, if there is one.
func (s *story) tell(ctx context.Context, i int) error {
	if i == len(s.stages) {
		return nil
	}
	wasBack := s.has(turned, "")
	if !wasBack {
		if err := s.stage(ctx, i); err != nil {
			return err
		}
	}
	if wasBack || !s.has(turned, "") {
		if err := s.tell(ctx, i+1); err != nil {
			return err
		}
	}
	if !s.has(turned, "") || i >= s.pivot {
		return nil
	}
	errs := make(chan error)
	for _, step := range s.stages[i] {
		go func() { errs <- s.revert(ctx, step) }()
	}
	return gather(errs, len(s.stages[i]))
}

func (s *story) stage(ctx context.Context, i int) error {
	errs := make(chan error)
	for _, step := range s.stages[i] {
		go func() { errs <- s.step(ctx, i, step) }()
	}
	if err := gather(errs, len(s.stages[i])); err != nil {
		return err
	}
	for _, step := range s.stages[i] {
		if !s.has(worked, step.Name) {
			return s.add(ctx, turned, "")
		}
	}
	return nil
}

// step returns an error only where the saga cannot go on now.
func (s *story) step(ctx context.Context, i int, step Step) error {
	if s.has(worked, step.Name) || s.has(rejected, step.Name) {
		return nil
	}
	if err := s.add(ctx, tried, step.Name); err != nil {
		return err
	}
	for n := 1; ; n++ {
		err := s.call(ctx, step, step.Do, "/"+step.Name)
		switch {
		case err == nil:
			return s.add(ctx, worked, step.Name)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrRefused) && i <= s.pivot:
			return s.add(ctx, rejected, step.Name)
		case i < s.pivot && n >= s.o.policy.Attempts:
			return nil
		}
		if err := s.wait(ctx, n); err != nil {
			return err
		}
	}
}

func (s *story) revert(ctx context.Context, step Step) error {
	if !s.has(tried, step.Name) || s.has(rejected, step.Name) || s.has(reverted, step.Name) {
		return nil
	}
	for n := 1; step.Undo != nil && s.call(ctx, step, step.Undo, "/"+step.Name+"/undo") != nil; n++ {
		if err := s.wait(ctx, n); err != nil {
			return err
		}
	}
	return s.add(ctx, reverted, step.Name)
}

func (s *story) call(ctx context.Context, step Step, act Action, key string) error {
	cancel := func() {}
	if step.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, step.Timeout)
	}
	defer cancel()
	return act(ctx, Call{Saga: s.id, Key: s.id + key, Input: append([]byte(nil), s.input...)})
}

func (s *story) wait(ctx context.Context, n int) error {
	if s.o.policy.Pause != nil {
		select {
		case <-ctx.Done():
		case <-time.After(s.o.policy.Pause(n)):
		}
	}
	return ctx.Err()
}
