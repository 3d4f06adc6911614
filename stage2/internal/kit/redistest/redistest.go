// Package redistest gives a test a Redis, and clients of it that a test can listen to, hold up and cut off.
//
// The server is miniredis, in the test's process. Its clock stands still until the test moves it with Advance, and keys expire only then: what
// a script decides by TIME, a test decides. With ROADKATA_REDIS_ADDR set, it is the Redis at that address, whose clock nobody moves: there,
// Advance waits. Each test has an empty database to itself, one of those numbered 1 to 15, which it empties again.
package redistest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Server is a Redis server, or of one that others use too, a database.
type Server struct {
	addr  string
	db    int
	mini  *miniredis.Miniredis // nil: a real server
	admin *redis.Client        // nobody listens to it, and nothing disturbs it
	now   time.Time

	mu    sync.Mutex
	down  bool
	links []*link
}

// Start starts a server with an empty database. It is stopped when the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{addr: os.Getenv("ROADKATA_REDIS_ADDR"), now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	if s.Real() {
		s.now = time.Now()
		s.db = reserve(t, s.addr)
	} else {
		s.mini = miniredis.NewMiniRedis()
		if err := s.mini.Start(); err != nil {
			t.Fatalf("redistest: %v", err)
		}
		t.Cleanup(s.mini.Close)
		s.mini.SetTime(s.now)
		s.addr = s.mini.Addr()
	}
	s.admin = redis.NewClient(&redis.Options{Addr: s.addr, DB: s.db, DisableIdentity: true, Protocol: 2})
	s.empty(t)
	t.Cleanup(func() {
		s.empty(t)
		s.admin.Close()
	})
	return s
}

// reserve finds a database that no other test uses, and keeps it until the test ends.
func reserve(t testing.TB, addr string) int {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	ctx := context.Background()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(50 * time.Millisecond) {
		for db := 1; db <= 15; db++ {
			key := fmt.Sprint("redistest:database:", db)
			err := rdb.SetArgs(ctx, key, os.Getpid(), redis.SetArgs{Mode: "NX", TTL: time.Minute}).Err()
			if err == nil {
				t.Cleanup(func() {
					rdb.Del(ctx, key)
					rdb.Close()
				})
				return db
			}
			if err != redis.Nil {
				t.Fatalf("redistest: ROADKATA_REDIS_ADDR=%s: %v", addr, err)
			}
		}
	}
	t.Fatalf("redistest: %s: all databases are in use", addr)
	return 0
}

func (s *Server) empty(t testing.TB) {
	t.Helper()
	if err := s.admin.FlushDB(context.Background()).Err(); err != nil {
		t.Errorf("redistest: %v", err)
	}
}

// Real tells whether the server is one whose clock the test cannot move.
func (s *Server) Real() bool { return s.mini == nil && s.addr != "" }

// Advance moves the server's clock, and lets the keys expire whose time has come. On a real server it waits until that much time has passed
// since Start or the last Advance, so that what the test does in between does not add up.
func (s *Server) Advance(d time.Duration) {
	s.now = s.now.Add(d)
	if s.mini == nil {
		time.Sleep(time.Until(s.now))
		return
	}
	s.mini.SetTime(s.now)
	s.mini.FastForward(d)
}

// Admin is an ordinary client that stays connected whatever happens to the others: for what a test does to the data, and wants to know of them.
func (s *Server) Admin() *redis.Client { return s.admin }

// Keys lists the keys, sorted.
func (s *Server) Keys(t testing.TB) []string {
	t.Helper()
	keys, err := s.admin.Keys(context.Background(), "*").Result()
	if err != nil {
		t.Fatalf("redistest: KEYS: %v", err)
	}
	slices.Sort(keys)
	return keys
}

// TTL returns how long a key has to live; a negative number if it is not there or lives for ever.
func (s *Server) TTL(t testing.TB, key string) time.Duration {
	t.Helper()
	ttl, err := s.admin.PTTL(context.Background(), key).Result()
	if err != nil {
		t.Fatalf("redistest: PTTL: %v", err)
	}
	return ttl
}

// Down breaks all connections of all clients and refuses new ones, until Up.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
	for _, l := range s.links {
		l.sever()
	}
}

// Up ends Down.
func (s *Server) Up() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = false
}

// Restart is a restart of a server that saves nothing: connections break, data and scripts are gone.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Down()
	s.empty(t)
	if err := s.admin.ScriptFlush(context.Background()).Err(); err != nil {
		t.Fatalf("redistest: SCRIPT FLUSH: %v", err)
	}
	s.Up()
}

func (s *Server) refuses() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}
