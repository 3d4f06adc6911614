// Command userapi lets users register, log in and stay logged in, over HTTP.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "")
	path := flag.String("db", "userapi.db", "")
	clock := flag.String("clock", "", "")
	cost := flag.Int("cost", bcrypt.DefaultCost, "")
	ttl := flag.Duration("session-ttl", 24*time.Hour, "")
	rate := flag.Float64("rate", 60, "")
	flag.Parse()
	log.SetFlags(0)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)

	st, err := openStore(*path)
	if err != nil {
		log.Fatal(err)
	}
	s := &site{store: st, clock: *clock, cost: *cost, ttl: *ttl, rate: *rate, buckets: map[string]bucket{}, busy: map[string]chan struct{}{}}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.WriteString("listening on " + l.Addr().String() + "\n")

	down := make(chan struct{})
	go func() {
		<-stop
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
		close(down)
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-down
	if err := st.close(); err != nil {
		log.Fatal(err)
	}
}

// site is the HTTP side.
type site struct {
	*store
	clock string
	cost  int
	ttl   time.Duration
	rate  float64

	mu      sync.Mutex
	buckets map[string]bucket
	busy    map[string]chan struct{} // by e-mail: closed when its check is over
}

// reply is an answer.
type reply struct {
	status int
	body   any
}

func refuse(status int, code string) reply {
	return reply{status, map[string]any{"error": code}}
}

var internal = refuse(http.StatusInternalServerError, "internal")

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := s.route(w, r)
	if out.status == http.StatusNoContent {
		w.WriteHeader(out.status)
		return
	}
	data, err := json.Marshal(out.body)
	if err != nil {
		out.status, data = 500, []byte(`{"error":"internal"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(out.status)
	w.Write(data)
}

func (s *site) route(w http.ResponseWriter, r *http.Request) reply {
	if http.NewCrossOriginProtection().Check(r) != nil {
		return refuse(403, "cross_origin")
	}
	methods := map[string]string{"/v1/users": "POST", "/v1/login": "POST", "/v1/logout": "POST", "/v1/me": "GET"}
	switch method, ok := methods[r.URL.Path]; {
	case !ok:
		return refuse(404, "not_found")
	case method != r.Method:
		w.Header().Set("Allow", method)
		return refuse(405, "method")
	}
	now := s.now()
	switch r.URL.Path {
	case "/v1/me":
		m, ok, err := s.bySession(token(r), now)
		switch {
		case err != nil:
			log.Print(err)
			return internal
		case !ok:
			return refuse(401, "unauthenticated")
		}
		return reply{200, m.json()}
	case "/v1/logout":
		if err := s.endSession(token(r)); err != nil {
			log.Print(err)
			return internal
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		return reply{status: 204}
	}

	if s.rate > 0 {
		if wait := s.take(r.RemoteAddr[:strings.LastIndex(r.RemoteAddr, ":")], now); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(wait))
			return refuse(429, "rate_limited")
		}
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, 16<<10+1))
	var in struct {
		Email, Password, Name string
	}
	switch {
	case err != nil:
		return refuse(400, "malformed")
	case len(data) > 16<<10:
		return refuse(413, "too_large")
	case !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) || !utf8.Valid(data) || json.Unmarshal(data, &in) != nil:
		return refuse(400, "malformed")
	}
	m := member{email: strings.TrimSpace(in.Email), name: strings.TrimSpace(in.Name)}
	if r.URL.Path == "/v1/users" {
		return s.register(m, in.Password)
	}
	return s.login(w, r, m.email, in.Password, now)
}

// bucket holds an address's right to make requests.
type bucket struct {
	tokens float64
	at     time.Time
}

// take returns 0, or after how many seconds to come again.
func (s *site) take(address string, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buckets[address]
	if !ok {
		b = bucket{s.rate, now}
	}
	perSecond := s.rate / 60
	b.tokens = math.Min(s.rate, b.tokens+now.Sub(b.at).Seconds()*perSecond)
	b.at = now
	defer func() { s.buckets[address] = b }()
	if b.tokens < 1-1e-9 {
		return int(math.Ceil((1 - b.tokens) / perSecond))
	}
	b.tokens--
	return 0
}

// hold waits until nobody else checks a password for the e-mail.
func (s *site) hold(email string) (release func()) {
	key := strings.ToLower(email)
	mine := make(chan struct{})
	for {
		s.mu.Lock()
		other, taken := s.busy[key]
		if !taken {
			s.busy[key] = mine
		}
		s.mu.Unlock()
		if !taken {
			return func() {
				s.mu.Lock()
				delete(s.busy, key)
				s.mu.Unlock()
				close(mine)
			}
		}
		<-other
	}
}

func (s *site) now() time.Time {
	data, err := os.ReadFile(s.clock)
	if s.clock == "" || err != nil {
		return time.Now()
	}
	now, err := time.Parse(time.RFC3339, string(bytes.TrimSpace(data)))
	if err != nil {
		log.Print(err)
	}
	return now
}

func token(r *http.Request) string {
	for _, c := range r.CookiesNamed("session") {
		return c.Value
	}
	return ""
}

var emailForm = regexp.MustCompile(`^[!-?A-~]+@[!-\-/-?A-~]([!-?A-~]*[!-\-/-?A-~])?$`)

func emailOK(email string) bool {
	return len(email) <= 254 && emailForm.MatchString(email) && strings.Contains(email[strings.Index(email, "@"):], ".")
}

func (s *site) register(m member, password string) reply {
	fields := map[string]string{}
	if !emailOK(m.email) {
		fields["email"] = "not an address"
	}
	if len(password) < 8 || len(password) > 72 || strings.IndexByte(password, 0) >= 0 {
		fields["password"] = "too short or too long"
	}
	if n := len([]rune(m.name)); n == 0 || n > 100 {
		fields["name"] = "missing or too long"
	}
	if len(fields) > 0 {
		return reply{422, map[string]any{"error": "invalid", "fields": fields}}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), s.cost)
	if err != nil {
		log.Print(err)
		return internal
	}
	m.hash = string(hash)
	switch m, err := s.add(m); {
	case errors.Is(err, errTaken):
		return refuse(409, "email_taken")
	case err != nil:
		log.Print(err)
		return internal
	default:
		return reply{201, m.json()}
	}
}

func (s *site) login(w http.ResponseWriter, r *http.Request, email, password string, now time.Time) reply {
	defer s.hold(email)()
	until, err := s.lockedUntil(email, now)
	if err != nil {
		log.Print(err)
		return internal
	}
	if left := until.Sub(now); left > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(left.Seconds()))))
		return refuse(429, "locked")
	}
	m, known, err := s.byEmail(email)
	if err != nil {
		log.Print(err)
		return internal
	}
	ok := false
	if !known {
		bcrypt.GenerateFromPassword([]byte("the same work"), s.cost)
	} else {
		ok = bcrypt.CompareHashAndPassword([]byte(m.hash), []byte(password)) == nil
	}
	if !ok || len(password) > 72 || strings.IndexByte(password, 0) >= 0 {
		if err := s.noteFailure(email, now); err != nil {
			log.Print(err)
			return internal
		}
		return refuse(401, "bad_credentials")
	}
	ends := now.Add(s.ttl)
	fresh, err := s.newSession(m, token(r), ends)
	if err != nil {
		log.Print(err)
		return internal
	}
	http.SetCookie(w, &http.Cookie{Name: "session", Value: fresh, Path: "/", MaxAge: int(s.ttl.Seconds()), Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	body := m.json()
	body["expires"] = ends.Format(time.RFC3339Nano)
	return reply{200, body}
}
