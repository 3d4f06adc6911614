// Takes a step that failed too often for one that did not happen, and leaves it as it is.
//
//kata:caught-by TestUnknown
package saga

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
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

// A saga's state in the log is its direction, or its outcome.
const (
	forward  = "forward"
	backward = "backward"
)

// What the log says of a step.
const (
	started = "started" // from before the first attempt: it may have taken effect
	done    = "done"
	refused = "refused"
	undone  = "undone"
)

const schema = `
CREATE TABLE IF NOT EXISTS sagas (id TEXT PRIMARY KEY, name TEXT NOT NULL, input BLOB, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS steps (saga TEXT NOT NULL, step TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (saga, step));`

// Orchestrator runs sagas.
type Orchestrator struct {
	db          *sql.DB
	policy      Policy
	definitions map[string]Definition
}

// New is an orchestrator whose log is in db. It makes the tables that it needs, unless they are there.
func New(ctx context.Context, db *sql.DB, p Policy, definitions ...Definition) (*Orchestrator, error) {
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, fmt.Errorf("saga: %w", err)
	}
	o := &Orchestrator{db: db, policy: p, definitions: map[string]Definition{}}
	for _, d := range definitions {
		o.definitions[d.Name] = d
	}
	return o, nil
}

// Start runs the saga id to its end. If it was started before, it is carried on from where the log says, with its first name and input; if it has ended, its outcome is returned.
func (o *Orchestrator) Start(ctx context.Context, id, name string, input []byte) (Outcome, error) {
	if _, ok := o.definitions[name]; !ok {
		return "", fmt.Errorf("%w %q", ErrUnknown, name)
	}
	_, err := o.db.ExecContext(ctx, `INSERT INTO sagas VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, id, name, input, forward)
	if err != nil {
		return "", fmt.Errorf("saga %s: %w", id, err)
	}
	return o.carryOn(ctx, id)
}

// Resume carries on all sagas that have not ended, at the same time.
func (o *Orchestrator) Resume(ctx context.Context) error {
	ids, err := o.unfinished(ctx)
	if err != nil {
		return fmt.Errorf("saga: %w", err)
	}
	return together(ids, func(id string) error {
		_, err := o.carryOn(ctx, id)
		return err
	})
}

func (o *Orchestrator) unfinished(ctx context.Context) ([]string, error) {
	rows, err := o.db.QueryContext(ctx, `SELECT id FROM sagas WHERE state IN ($1, $2)`, forward, backward)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// carryOn reads what the log knows of a saga, and runs it from there.
func (o *Orchestrator) carryOn(ctx context.Context, id string) (Outcome, error) {
	r := &run{o: o, id: id, steps: map[string]string{}}
	err := r.load(ctx)
	if err == nil && r.state == forward {
		err = r.forward(ctx)
	}
	if err == nil && r.state == backward {
		err = r.backward(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("saga %s: %w", id, err)
	}
	return Outcome(r.state), nil
}

// run is one saga while it runs. Everything in it is in the log, too.
type run struct {
	o     *Orchestrator
	id    string
	def   Definition
	input []byte
	state string

	mu    sync.Mutex
	steps map[string]string
}

func (r *run) load(ctx context.Context) error {
	var name string
	err := r.o.db.QueryRowContext(ctx, `SELECT name, input, state FROM sagas WHERE id = $1`, r.id).Scan(&name, &r.input, &r.state)
	if err != nil {
		return err
	}
	def, ok := r.o.definitions[name]
	if !ok {
		return fmt.Errorf("%w %q", ErrUnknown, name)
	}
	r.def = def
	rows, err := r.o.db.QueryContext(ctx, `SELECT step, state FROM steps WHERE saga = $1`, r.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var step, state string
		if err := rows.Scan(&step, &state); err != nil {
			return err
		}
		r.steps[step] = state
	}
	return rows.Err()
}

func (r *run) forward(ctx context.Context) error {
	for _, stage := range r.def.Before {
		ok, err := r.stage(ctx, stage, r.try)
		if err != nil {
			return err
		}
		if !ok {
			// From here on there is no way forward, whatever crashes: the direction is logged before anything is undone.
			return r.turn(ctx, backward)
		}
	}
	ok, err := r.stage(ctx, []Step{r.def.Pivot}, r.settle)
	if err != nil {
		return err
	}
	if !ok {
		return r.turn(ctx, backward)
	}
	for _, stage := range r.def.After {
		if _, err := r.stage(ctx, stage, r.insist); err != nil {
			return err
		}
	}
	return r.turn(ctx, string(Done))
}

// stage runs the steps that the log does not know to be done, and waits for all of them, also if one fails: what runs while others are undone is undone by nobody.
func (r *run) stage(ctx context.Context, steps []Step, way func(context.Context, Step) (bool, error)) (ok bool, err error) {
	var open []Step
	ok = true
	for _, s := range steps {
		switch r.steps[s.Name] {
		case done:
		case refused:
			ok = false
		default:
			open = append(open, s)
		}
	}
	if !ok {
		return false, nil // it was refused before a crash; no need to find out once more
	}
	for _, s := range open {
		if err := r.mark(ctx, s, started); err != nil {
			return false, err
		}
	}
	var mu sync.Mutex
	err = together(open, func(s Step) error {
		worked, err := way(ctx, s)
		mu.Lock()
		defer mu.Unlock()
		ok = ok && worked
		return err
	})
	return ok, err
}

// try makes a step of Before: a limited number of attempts.
func (r *run) try(ctx context.Context, s Step) (bool, error) {
	return r.do(ctx, s, func(n int, err error) bool { return n < r.o.policy.Attempts && !errors.Is(err, ErrRefused) })
}

// settle makes the pivot. It cannot be undone, so it must be known whether it took effect.
func (r *run) settle(ctx context.Context, s Step) (bool, error) {
	return r.do(ctx, s, func(_ int, err error) bool { return !errors.Is(err, ErrRefused) })
}

// insist makes a step of After.
func (r *run) insist(ctx context.Context, s Step) (bool, error) {
	return r.do(ctx, s, func(int, error) bool { return true })
}

func (r *run) do(ctx context.Context, s Step, again func(n int, err error) bool) (bool, error) {
	err := r.repeat(ctx, s, s.Do, r.id+"/"+s.Name, again)
	switch {
	case err == nil:
		return true, r.mark(ctx, s, done)
	case ctx.Err() != nil:
		return false, ctx.Err() // the caller gave up, not the step
	case errors.Is(err, ErrRefused):
		return false, r.mark(ctx, s, refused)
	default:
		return false, r.mark(ctx, s, refused)
	}
}

// backward undoes what was started and not refused, the last stage first.
func (r *run) backward(ctx context.Context) error {
	for _, stage := range slices.Backward(r.def.Before) {
		err := together(stage, func(s Step) error {
			switch r.known(s) {
			case started, done:
			default:
				return nil
			}
			if s.Undo != nil {
				err := r.repeat(ctx, s, s.Undo, r.id+"/"+s.Name+"/undo", func(int, error) bool { return true })
				if err != nil {
					return err
				}
			}
			return r.mark(ctx, s, undone)
		})
		if err != nil {
			return err
		}
	}
	return r.turn(ctx, string(Undone))
}

// repeat calls an action until it returns nil, again says no to its nth error, or ctx ends.
func (r *run) repeat(ctx context.Context, s Step, act Action, key string, again func(n int, err error) bool) error {
	for n := 1; ; n++ {
		err := attempt(ctx, s.Timeout, act, Call{Saga: r.id, Key: key, Input: slices.Clone(r.input)})
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !again(n, err) {
			return err
		}
		if err := pause(ctx, r.o.policy.Pause, n); err != nil {
			return err
		}
	}
}

func attempt(ctx context.Context, timeout time.Duration, act Action, c Call) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return act(ctx, c)
}

func pause(ctx context.Context, length func(int) time.Duration, n int) error {
	if length == nil {
		return ctx.Err()
	}
	timer := time.NewTimer(length(n))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *run) known(s Step) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.steps[s.Name]
}

// mark logs a step's state.
func (r *run) mark(ctx context.Context, s Step, state string) error {
	_, err := r.o.db.ExecContext(ctx, `INSERT INTO steps VALUES ($1, $2, $3) ON CONFLICT (saga, step) DO UPDATE SET state = excluded.state`, r.id, s.Name, state)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps[s.Name] = state
	return nil
}

// turn logs the saga's state.
func (r *run) turn(ctx context.Context, state string) error {
	if _, err := r.o.db.ExecContext(ctx, `UPDATE sagas SET state = $1 WHERE id = $2`, state, r.id); err != nil {
		return err
	}
	r.state = state
	return nil
}

// together runs f for all items at the same time, waits for all, and joins their errors.
func together[T any](items []T, f func(T) error) error {
	errs := make([]error, len(items))
	var wg sync.WaitGroup
	for i, item := range items {
		wg.Go(func() { errs[i] = f(item) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
