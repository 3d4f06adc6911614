package redistest

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestClockIsTheTests(t *testing.T) {
	s := Start(t)
	if s.Real() {
		t.Skip("nobody moves the clock of a real server")
	}
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
	if keys := s.Keys(t); len(keys) > 0 {
		t.Errorf("after a minute, %q is still there, with a TTL of a minute", keys)
	}
}

func TestAdvanceLetsKeysExpire(t *testing.T) {
	s := Start(t)
	s.Admin().Set(t.Context(), "k", "v", 50*time.Millisecond)
	s.Advance(100 * time.Millisecond)
	if keys := s.Keys(t); len(keys) > 0 {
		t.Errorf("after 100ms, %q is still there, with a TTL of 50ms", keys)
	}
}

func TestServersAreApart(t *testing.T) {
	one, two := Start(t), Start(t)
	one.Client(t).Set(t.Context(), "k", "v", 0)
	if keys := two.Keys(t); len(keys) > 0 {
		t.Errorf("a key of one server is seen in another: %q", keys)
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

func TestRestartForgets(t *testing.T) {
	s := Start(t)
	c := s.Client(t)
	script := redis.NewScript(`return redis.call('SET', KEYS[1], 'v')`)
	if err := script.Eval(t.Context(), c, []string{"k"}).Err(); err != nil {
		t.Fatal(err)
	}
	s.Restart(t)
	if err := script.EvalSha(t.Context(), c, []string{"k"}).Err(); !redis.HasErrorPrefix(err, "NOSCRIPT") {
		t.Errorf("EVALSHA after a restart = %v, want NOSCRIPT on a new connection", err)
	}
	if keys := s.Keys(t); len(keys) > 0 {
		t.Errorf("after a restart, Redis holds %q", keys)
	}
}

func TestDown(t *testing.T) {
	s := Start(t)
	c := s.Client(t)
	c.Ping(t.Context())
	s.Down()
	for range 2 {
		if err := c.Ping(t.Context()).Err(); err == nil {
			t.Error("PING of a server that is down succeeds")
		}
	}
	s.Up()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Errorf("PING of a server that is up again = %v", err)
	}
}

func TestCut(t *testing.T) {
	s := Start(t)
	c, other := s.Client(t), s.Client(t)
	c.Ping(t.Context()) // a connection that exists, and, below, one that does not
	c.Cut()
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := c.Set(ctx, "k", "v", 0).Err()
		if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
			t.Errorf("SET while cut = %v, want no answer until the context's deadline", err)
		}
		cancel()
	}
	if err := other.Ping(t.Context()).Err(); err != nil {
		t.Errorf("another client's PING = %v", err)
	}
	c.Mend()
	if keys := s.Keys(t); len(keys) > 0 {
		t.Errorf("what was sent while cut arrived: %q", keys)
	}
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Errorf("PING after Mend = %v", err)
	}
}

func TestLoseAnswer(t *testing.T) {
	s := Start(t)
	c := s.Client(t)
	for want := 1; want <= 3; want += 2 { // on a new connection, and on one that exists
		c.LoseAnswer()
		if n, err := c.Incr(t.Context(), "k").Result(); err == nil {
			t.Errorf("INCR = %d, want its answer lost", n)
		}
		if n, err := c.Get(t.Context(), "k").Int(); err != nil || n != want {
			t.Errorf("GET = %d, %v; want %d: INCR was carried out", n, err, want)
		}
		c.Incr(t.Context(), "k")
	}
}
