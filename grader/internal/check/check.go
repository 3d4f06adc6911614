// Package check joins the straight line: variants → pairs → suite.Run → grade.
//
// check (the learner's files), verify (the author's variants) and watch all come
// through here; they differ only in the variants that they hand over.
package check

import (
	"context"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/rules"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

// Options of a check.
type Options struct {
	Jobs   int
	NoRace bool
	Cache  *Cache // nil: nothing is remembered
	// Step is told what happens, from one goroutine at a time; may be nil.
	Step func(suite.Step)
}

// Learner checks the learner's own files of the katas and returns the verdicts
// in their order.
func Learner(ctx context.Context, katas []*course.Kata, opts Options) ([]grade.Kata, error) {
	var variants []*course.Variant
	for _, k := range katas {
		variants = append(variants, k.Yours())
	}
	return Variants(ctx, variants, opts)
}

// Variants checks complete sets of files. A submission that is still the stub
// counts as not started and is neither built nor run; one that was judged
// before, with the same content, keeps its verdict.
func Variants(ctx context.Context, variants []*course.Variant, opts Options) ([]grade.Kata, error) {
	out := make([]grade.Kata, len(variants))
	keys := newKeys(opts.NoRace)
	key := make([]string, len(variants))
	var fresh []int
	for i, v := range variants {
		if notStarted(v) {
			out[i] = grade.NotStarted(v.Kata)
			continue
		}
		if opts.Cache != nil {
			key[i] = keys.of(v)
		}
		if k, ok := opts.Cache.load(key[i]); ok {
			out[i] = k
			continue
		}
		fresh = append(fresh, i)
	}
	verdicts, err := judge(ctx, pick(variants, fresh), opts)
	if err != nil {
		return nil, err
	}
	for n, i := range fresh {
		out[i] = verdicts[n]
		opts.Cache.store(key[i], out[i])
	}
	return out, nil
}

func notStarted(v *course.Variant) bool {
	return v.Kind == course.Submission && len(v.Problems) == 0 && len(v.Kata.Faults) == 0 && v.Untouched()
}

func pick(variants []*course.Variant, at []int) []*course.Variant {
	var out []*course.Variant
	for _, i := range at {
		out = append(out, variants[i])
	}
	return out
}

// judge builds, runs and grades; the static rules are looked at meanwhile.
func judge(ctx context.Context, variants []*course.Variant, opts Options) ([]grade.Kata, error) {
	if len(variants) == 0 {
		return nil, ctx.Err()
	}
	type verdict struct {
		problems map[*course.Variant][]course.Problem
		err      error
	}
	ruled := make(chan verdict, 1)
	go func() {
		p, err := rules.Forbidden(ctx, variants)
		ruled <- verdict{p, err}
	}()
	results, err := suite.RunVariants(ctx, variants, suite.Options{Jobs: opts.Jobs, NoRace: opts.NoRace, Progress: opts.Step})
	found := <-ruled
	if err != nil {
		return nil, err
	}
	if found.err != nil {
		return nil, found.err
	}
	var out []grade.Kata
	for i, v := range variants {
		out = append(out, grade.Grade(v.Kata, results[i], found.problems[v]))
	}
	return out, nil
}
