// Command userapi lets users register, log in and stay logged in, over HTTP.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// config is the command line.
type config struct {
	addr  string        // where to listen; port 0 takes a free one
	db    string        // the SQLite file
	clock string        // a file with the time in RFC 3339, to be read whenever the time is needed; "" for the real clock
	cost  int           // of bcrypt
	ttl   time.Duration // of a session
	rate  int           // requests to register or log in a minute and client address; 0 for no limit
}

func main() {
	var c config
	flag.StringVar(&c.addr, "addr", "127.0.0.1:8080", "listen on `HOST:PORT`")
	flag.StringVar(&c.db, "db", "userapi.db", "keep the data in the SQLite `FILE`")
	flag.StringVar(&c.clock, "clock", "", "read the time from `FILE` (for tests)")
	flag.IntVar(&c.cost, "cost", 10, "hash passwords with bcrypt's cost `N`, 4 to 31")
	flag.DurationVar(&c.ttl, "session-ttl", 24*time.Hour, "end a session after this `TIME`")
	flag.IntVar(&c.rate, "rate", 60, "let `N` requests to register or log in through a minute and address; 0: all")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "userapi:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done, and then until the requests that have begun are answered.
// It prints "listening on HOST:PORT" once it accepts connections.
//
//   - step 1: POST /v1/users
//   - step 2: POST /v1/login
//   - step 3: GET /v1/me, POST /v1/logout
//   - step 4: lock-out and rate limit
//   - step 5: graceful stop, requests from other origins, migrations
func run(ctx context.Context, c config) error {
	panic("TODO: run")
}
