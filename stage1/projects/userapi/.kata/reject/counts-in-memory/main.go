// Keeps locks in the database and the count that leads to them in memory: each deployment gives four guesses more.
//
//kata:caught-by TestLocksOut
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/maphash"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
	_ "modernc.org/sqlite"
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

const (
	maxBody     = 16 << 10
	maxEmail    = 254 // RFC 5321, 4.5.3.1.3, less the angle brackets
	maxName     = 100 // characters
	minPassword = 8
	maxPassword = 72 // bytes; bcrypt reads no more
	maxFailures = 5
	lockTime    = 15 * time.Minute
	grace       = 10 * time.Second // for requests that have begun when the program is to stop
)

// run serves until ctx is done, and then until the requests that have begun are answered.
func run(ctx context.Context, c config) error {
	db, err := open(ctx, c.db)
	if err != nil {
		return err
	}
	defer db.Close()
	decoy, err := bcrypt.GenerateFromPassword([]byte("nobody's"), c.cost)
	if err != nil {
		return err
	}
	a := &api{config: c, db: db, decoy: decoy, seed: maphash.MakeSeed(), seen: map[string]int{}, wrong: map[string]int{}}

	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: a.routes(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Println("listening on", listener.Addr())

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// Serve returns at once now: it is Shutdown that waits for the requests.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if server.Shutdown(last) != nil {
		server.Close() // who has not finished by now is not waited for
	}
	return nil
}

// —— the database ——

// migrations[v] leads from version v of the database, its user_version, to version v+1.
var migrations = []string{
	`CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL)`,

	`ALTER TABLE users ADD COLUMN name TEXT NOT NULL DEFAULT '';
	UPDATE users SET email = lower(email);
	CREATE TABLE sessions (
		token_hash BLOB PRIMARY KEY,
		user_id INTEGER NOT NULL REFERENCES users (id),
		expires INTEGER NOT NULL
	);
	CREATE INDEX sessions_expires ON sessions (expires);
	CREATE TABLE failures (
		email TEXT PRIMARY KEY, -- also of nobody: a lock tells no more than an answer does
		count INTEGER NOT NULL,
		locked_until INTEGER NOT NULL
	)`,
}

// options: what is committed survives the program, at less syncing than by default (a power cut may take the last
// transactions, and leaves no half ones); a transaction begins with the lock for writing, so that it never has to upgrade.
const options = "_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"

func open(ctx context.Context, path string) (*sql.DB, error) {
	file := url.URL{Path: path}
	db, err := sql.Open("sqlite", "file:"+file.EscapedPath()+"?"+options)
	if err != nil {
		return nil, err
	}
	// SQLite has one writer at a time. Let them queue here, where nobody is told that the database is busy.
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db); err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

// migrate makes all steps or none: user_version, too, is part of the transaction.
func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var version int
	if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version < 0 || version > len(migrations) {
		return fmt.Errorf("its version is %d, and this program knows %d", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return fmt.Errorf("migration from version %d: %w", version, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, version)); err != nil {
		return err
	}
	return tx.Commit()
}

// —— the service ——

// api answers requests.
type api struct {
	config
	db    *sql.DB
	decoy []byte // the hash that the password of an unknown user is compared with

	seed    maphash.Seed
	guesses [256]sync.Mutex // by hash of the e-mail: held while a password is checked

	mu     sync.Mutex
	minute int64          // the minute that seen is about
	seen   map[string]int // requests by client address
	wrong  map[string]int // wrong passwords in a row by e-mail
}

func (a *api) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/users", answering(a.limited(a.register)))
	mux.HandleFunc("POST /v1/login", answering(a.limited(a.login)))
	mux.HandleFunc("GET /v1/me", answering(a.me))
	mux.HandleFunc("POST /v1/logout", answering(a.logout))
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(answering(func(http.ResponseWriter, *http.Request) error {
		return &problem{status: http.StatusForbidden, Code: "cross_origin"}
	}))
	return protection.Handler(mux)
}

// problem is an answer that is no success.
type problem struct {
	status int
	retry  time.Duration
	Code   string            `json:"error"`
	Fields map[string]string `json:"fields,omitempty"`
}

func (p *problem) Error() string { return p.Code }

type handler func(http.ResponseWriter, *http.Request) error

// answering turns the error of a handler into an answer.
func answering(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		p, ok := errors.AsType[*problem](err)
		if !ok {
			log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
			p = &problem{status: http.StatusInternalServerError, Code: "internal"}
		}
		if p.retry > 0 {
			seconds := (p.retry + time.Second - 1) / time.Second // rounded up: who waits so long does not come too early
			w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
		}
		answer(w, p.status, p)
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // who no longer listens needs no answer
}

// limited lets only so many requests of one address through in each minute.
func (a *api) limited(h handler) handler {
	if a.rate == 0 {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		// Not X-Forwarded-For: anybody can write what they like there.
		address, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			return err
		}
		now := a.now()
		if !a.admit(address, now.Unix()/60) {
			next := now.Truncate(time.Minute).Add(time.Minute)
			return &problem{status: http.StatusTooManyRequests, Code: "rate_limited", retry: next.Sub(now)}
		}
		return h(w, r)
	}
}

func (a *api) admit(address string, minute int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if minute != a.minute {
		a.minute = minute
		clear(a.seen) // so it never holds more than a minute's addresses
	}
	if a.seen[address] >= a.rate {
		return false
	}
	a.seen[address]++
	return true
}

func (a *api) now() time.Time {
	if a.clock == "" {
		return time.Now()
	}
	text, err := os.ReadFile(a.clock)
	if err != nil {
		panic(err)
	}
	now, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
	if err != nil {
		panic(err)
	}
	return now
}

// input is what a client sends to register.
type input struct{ Email, Password, Name string }

// credentials is what a client sends to log in.
type credentials struct{ Email, Password string }

func decode[T any](w http.ResponseWriter, r *http.Request) (in T, err error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return in, &problem{status: http.StatusRequestEntityTooLarge, Code: "too_large"}
	}
	object := &in
	// For encoding/json all bytes that are no UTF-8 are the same U+FFFD: many passwords would be one.
	if err != nil || !utf8.Valid(data) || json.Unmarshal(data, &object) != nil || object == nil {
		return in, &problem{status: http.StatusBadRequest, Code: "malformed"}
	}
	return in, nil
}

// foldEmail lowers A to Z only: ASCII is all that an e-mail may consist of, and strings.ToLower would
// make the Kelvin sign, say, a k.
func foldEmail(email string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, strings.TrimSpace(email))
}

func validEmail(email string) bool {
	local, domain, _ := strings.Cut(email, "@")
	strange := strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r > '~' })
	return len(email) <= maxEmail && !strange && local != "" && !strings.Contains(domain, "@") &&
		strings.Contains(domain, ".") && !strings.HasPrefix(domain, ".") && !strings.HasSuffix(domain, ".")
}

// hashable tells whether bcrypt tells a password from all others: it reads 72 bytes, and repeats a shorter
// password, with a NUL between.
func hashable(password string) bool {
	return len(password) <= maxPassword && !strings.Contains(password, "\x00")
}

func validate(in input) error {
	fields := map[string]string{}
	if !validEmail(in.Email) {
		fields["email"] = "is no e-mail address"
	}
	if len(in.Password) < minPassword || !hashable(in.Password) {
		fields["password"] = fmt.Sprintf("needs %d to %d bytes and no NUL", minPassword, maxPassword)
	}
	if n := utf8.RuneCountInString(in.Name); n < 1 || n > maxName {
		fields["name"] = fmt.Sprintf("needs 1 to %d characters", maxName)
	}
	if len(fields) > 0 {
		return &problem{status: http.StatusUnprocessableEntity, Code: "invalid", Fields: fields}
	}
	return nil
}

// user is what a client learns of a user.
type user struct {
	ID    int64  `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

func (a *api) register(w http.ResponseWriter, r *http.Request) error {
	in, err := decode[input](w, r)
	if err != nil {
		return err
	}
	in.Email, in.Name = foldEmail(in.Email), strings.TrimSpace(in.Name)
	if err := validate(in); err != nil {
		return err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(in.Password), a.cost)
	if err != nil {
		return err
	}
	u := user{Email: in.Email, Name: in.Name}
	// Only the database can say whether the e-mail is free when it is taken: no question before, so no gap between.
	err = a.db.QueryRowContext(r.Context(), `INSERT INTO users (email, name, password_hash) VALUES (?, ?, ?)
		ON CONFLICT (email) DO NOTHING RETURNING id`, u.Email, u.Name, string(hash)).Scan(&u.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return &problem{status: http.StatusConflict, Code: "email_taken"}
	}
	if err != nil {
		return err
	}
	answer(w, http.StatusCreated, u)
	return nil
}

func (a *api) login(w http.ResponseWriter, r *http.Request) error {
	in, err := decode[credentials](w, r)
	if err != nil {
		return err
	}
	in.Email = foldEmail(in.Email)
	// One guess after the other for each e-mail: a hundred at once must not all see the count of zero.
	guess := &a.guesses[maphash.String(a.seed, in.Email)%uint64(len(a.guesses))]
	guess.Lock()
	defer guess.Unlock()

	now := a.now()
	if err := a.locked(r.Context(), in.Email, now); err != nil {
		return err
	}
	u := user{Email: in.Email}
	hash := a.decoy
	err = a.db.QueryRowContext(r.Context(), `SELECT id, name, password_hash FROM users WHERE email = ?`, in.Email).Scan(&u.ID, &u.Name, &hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	known := err == nil
	// Always compare, so that time does not tell who is a user.
	right := bcrypt.CompareHashAndPassword(hash, []byte(in.Password)) == nil
	if !known || !right || !hashable(in.Password) {
		if err := a.failed(r.Context(), in.Email, now); err != nil {
			return err
		}
		return &problem{status: http.StatusUnauthorized, Code: "bad_credentials"}
	}
	token := rand.Text()
	expires := now.Add(a.ttl)
	if err := a.begin(r, u, token, now, expires); err != nil {
		return err
	}
	a.mu.Lock()
	delete(a.wrong, u.Email)
	a.mu.Unlock()
	a.setCookie(w, token, int(a.ttl/time.Second))
	answer(w, http.StatusOK, struct {
		user
		Expires time.Time `json:"expires"`
	}{u, expires.UTC()})
	return nil
}

func (a *api) locked(ctx context.Context, email string, now time.Time) error {
	var until int64
	err := a.db.QueryRowContext(ctx, `SELECT locked_until FROM failures WHERE email = ?`, email).Scan(&until)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if left := time.Unix(0, until).Sub(now); left > 0 {
		return &problem{status: http.StatusTooManyRequests, Code: "locked", retry: left}
	}
	return nil
}

func (a *api) failed(ctx context.Context, email string, now time.Time) error {
	if !validEmail(email) {
		return nil // nobody's for ever: not worth a row
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wrong[email]++; a.wrong[email] < maxFailures {
		return nil
	}
	delete(a.wrong, email)
	_, err := a.db.ExecContext(ctx, `INSERT OR REPLACE INTO failures (email, count, locked_until) VALUES (?, 0, ?)`,
		email, now.Add(lockTime).UnixNano())
	return err
}

// begin records a session, and ends the one that the client came with: whoever planted that one, or looked over
// the user's shoulder, has nothing.
func (a *api) begin(r *http.Request, u user, token string, now, expires time.Time) error {
	tx, err := a.db.BeginTx(r.Context(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`DELETE FROM failures WHERE email = ?`, []any{u.Email}},
		{`DELETE FROM sessions WHERE expires <= ? OR token_hash = ?`, []any{now.UnixNano(), hashToken(cookie(r))}},
		{`INSERT INTO sessions (token_hash, user_id, expires) VALUES (?, ?, ?)`, []any{hashToken(token), u.ID, expires.UnixNano()}},
	} {
		if _, err := tx.ExecContext(r.Context(), step.query, step.args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// hashToken needs no salt and no cost: nobody can try all tokens.
func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

func cookie(r *http.Request) string {
	c, err := r.Cookie("session")
	if err != nil {
		return ""
	}
	return c.Value
}

func (a *api) setCookie(w http.ResponseWriter, token string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: "session", Value: token, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (a *api) me(w http.ResponseWriter, r *http.Request) error {
	var u user
	err := a.db.QueryRowContext(r.Context(), `SELECT id, email, name FROM sessions JOIN users ON id = user_id
		WHERE token_hash = ? AND expires > ?`, hashToken(cookie(r)), a.now().UnixNano()).Scan(&u.ID, &u.Email, &u.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return &problem{status: http.StatusUnauthorized, Code: "unauthenticated"}
	}
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, u)
	return nil
}

func (a *api) logout(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.db.ExecContext(r.Context(), `DELETE FROM sessions WHERE token_hash = ?`, hashToken(cookie(r))); err != nil {
		return err
	}
	a.setCookie(w, "", -1)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
