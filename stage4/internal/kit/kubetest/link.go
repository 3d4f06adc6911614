package kubetest

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
)

// Link is one client's way to the server. It remembers what the client writes, and a test can disturb it.
type Link struct {
	s *Server

	mu     sync.Mutex
	writes []Request
	before func(Request) error
	after  func(Request) error
}

// Request is a request of a client for an object or a kind.
type Request struct {
	Verb        string // get, list, watch, create, update, patch, delete
	Resource    string // the plural: buckets
	Subresource string // status, or empty
	Namespace   string
	Name        string
}

// Write tells whether the request asks the server to change something.
func (r Request) Write() bool {
	return r.Verb != "get" && r.Verb != "list" && r.Verb != "watch"
}

// String is a request as a message shows it: patch buckets/status ns-1/logs.
func (r Request) String() string {
	what := r.Verb + " " + r.Resource
	if r.Subresource != "" {
		what += "/" + r.Subresource
	}
	return fmt.Sprintf("%s %s", what, strings.Trim(r.Namespace+"/"+r.Name, "/"))
}

// Link returns a new link.
func (s *Server) Link() *Link { return &Link{s: s} }

// Config is a client's configuration: all that it asks for goes over the link.
func (l *Link) Config() *rest.Config {
	config := l.s.config()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &transport{l, next} })
	return config
}

// Before has do called before each request is sent, in the sender's goroutine. With an error the request is not sent, and fails with it.
func (l *Link) Before(do func(Request) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = do
}

// After has do called after each request that the server answered, whatever it answered. With an error the answer is lost, and the
// request fails with it: what it asked for has been done.
func (l *Link) After(do func(Request) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.after = do
}

// Writes lists the requests that were sent to change something, also those that the server refused and those that changed nothing.
// Leases are left out.
func (l *Link) Writes() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Request(nil), l.writes...)
}

type transport struct {
	l    *Link
	next http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	request, ok := parse(r)
	if !ok {
		return t.next.RoundTrip(r)
	}
	t.l.mu.Lock()
	before, after := t.l.before, t.l.after
	t.l.mu.Unlock()
	if before != nil {
		if err := before(request); err != nil {
			if r.Body != nil {
				r.Body.Close()
			}
			return nil, err
		}
	}
	if request.Write() && request.Resource != "leases" {
		t.l.mu.Lock()
		t.l.writes = append(t.l.writes, request)
		t.l.mu.Unlock()
	}
	answer, err := t.next.RoundTrip(r)
	if err != nil || after == nil {
		return answer, err
	}
	if err := after(request); err != nil {
		answer.Body.Close()
		return nil, err
	}
	return answer, nil
}

// parse reads /apis/GROUP/VERSION[/namespaces/NAMESPACE]/RESOURCE[/NAME[/SUBRESOURCE]]. It reports false for all else: the discovery.
func parse(r *http.Request) (Request, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) < 4 || parts[0] != "apis" {
		return Request{}, false
	}
	parts = parts[3:]
	var request Request
	if parts[0] == "namespaces" && len(parts) > 2 {
		request.Namespace, parts = parts[1], parts[2:]
	}
	request.Resource = parts[0]
	if len(parts) > 1 {
		request.Name = parts[1]
	}
	if len(parts) > 2 {
		request.Subresource = parts[2]
	}
	switch r.Method {
	case http.MethodGet:
		request.Verb = "get"
		if r.URL.Query().Get("watch") != "" {
			request.Verb = "watch"
		} else if request.Name == "" {
			request.Verb = "list"
		}
	case http.MethodPost:
		request.Verb = "create"
	case http.MethodPut:
		request.Verb = "update"
	default:
		request.Verb = strings.ToLower(r.Method)
	}
	return request, true
}
