package redistest

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestClockIsTheTests(t *testing.T) {
	s := Start(t)
	c := s.Client(t)
	script := redis.NewScript(`return redis.call('TIME')[1]`)
	before, err := script.Run(t.Context(), c, nil).Int64()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), "k", "v", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	s.Advance(time.Minute)
	if now, err := script.Run(t.Context(), c, nil).Int64(); err != nil || now != before+60 {
		t.Errorf("TIME in a script = %d, %v a minute after %d", now, err, before)
	}
	if s.Exists("k") {
		t.Error("a key of a minute is still there after a minute")
	}
}

func TestNotesCommands(t *testing.T) {
	c := Start(t).Client(t)
	after := ""
	c.After(func(command string) { after += command + " " })
	c.Get(t.Context(), "a")
	c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Incr(t.Context(), "b")
		p.Expire(t.Context(), "b", time.Second)
		return nil
	})
	if want := []string{"get", "incr", "expire"}; !slices.Equal(c.Commands(), want) {
		t.Errorf("commands %v, want %v", c.Commands(), want)
	}
	if after != "get expire " {
		t.Errorf("called after %q, want after the command and after the pipeline", after)
	}
}
