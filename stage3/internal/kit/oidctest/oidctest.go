// Package oidctest is a small OpenID provider for suites, over TLS on a local port: discovery, authorization code with PKCE, token,
// userinfo, keys that rotate, logout tokens. Its hooks make it lie. It issues what real providers issue, but it is none: it has one
// client, and its users consent to everything.
package oidctest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The paths of a provider.
const (
	Discovery = "/.well-known/openid-configuration"
	Authorize = "/authorize"
	Token     = "/token"
	UserInfo  = "/userinfo"
	Keys      = "/keys"
	Logout    = "/logout"
)

// LogoutEvent is the event of a logout token.
const LogoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// Claims are the members of a token or of an answer. A hook may add, change and delete them.
type Claims = map[string]any

// Client is the relying party that a provider knows.
type Client struct{ ID, Secret, RedirectURL string }

// Provider is an OpenID provider. The exported fields may be set between requests.
type Provider struct {
	Client Client

	// What the provider says can be changed on its way out.
	OnDiscovery func(Claims)
	OnIDToken   func(Claims)
	OnToken     func(Claims) // the token endpoint's answer
	OnUserInfo  func(Claims)

	now    func() time.Time
	server *httptest.Server

	mu       sync.Mutex
	keys     []jose.JSONWebKey // the last one signs
	codes    map[string]grant
	access   map[string]string // access token to subject
	requests map[string]int
	forms    []url.Values
}

type grant struct {
	subject, session, nonce, challenge string
}

// Start returns a provider whose server ends with the test.
func Start(t testing.TB, client Client, now func() time.Time) *Provider {
	t.Helper()
	p := &Provider{Client: client, now: now, codes: map[string]grant{}, access: map[string]string{}, requests: map[string]int{}}
	p.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Discovery, p.discovery)
	mux.HandleFunc("GET "+Authorize, p.authorize)
	mux.HandleFunc("POST "+Token, p.token)
	mux.HandleFunc("GET "+UserInfo, p.userInfo)
	mux.HandleFunc("GET "+Keys, p.jwks)
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests[r.URL.Path]++
		p.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that does not trust the certificate is the test's business
	p.server.StartTLS()
	t.Cleanup(p.server.Close)
	return p
}

// Issuer is the provider's identifier.
func (p *Provider) Issuer() string { return p.server.URL }

// Trust makes an HTTP client that trusts the certificates of these providers (the same for all of them).
func Trust(t testing.TB, p *Provider) *http.Client {
	t.Cleanup(p.server.Client().CloseIdleConnections)
	return p.server.Client()
}

// Requests is how many requests came to a path.
func (p *Provider) Requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[path]
}

// Exchanges are the forms that the token endpoint was sent.
func (p *Provider) Exchanges() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]url.Values(nil), p.forms...)
}

// Rotate makes a new key and signs with it; keep says how many of the former ones stay published.
func (p *Provider) Rotate(keep ...int) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := append(keep, 0)[0]; n < len(p.keys) {
		p.keys = p.keys[len(p.keys)-n:]
	}
	p.keys = append(p.keys, jose.JSONWebKey{Key: private, KeyID: "key-" + rand.Text()[:6], Algorithm: string(jose.ES256), Use: "sig"})
}

// Settle waits until go-oidc has put away all keys that it fetched. Its RemoteKeySet answers its callers a moment before it does so,
// and until then takes what it has for the latest keys: a rotation within that moment, which no provider does, would be missed.
func Settle(t testing.TB) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	for giveUp := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
		if n := runtime.Stack(stacks, true); !bytes.Contains(stacks[:n], []byte("(*RemoteKeySet).keysFromRemote")) {
			return
		}
		if time.Now().After(giveUp) {
			t.Fatal("oidctest: a fetch of keys does not end")
		}
	}
}

// Sign signs claims with the current key.
func (p *Provider) Sign(claims Claims) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return sign(p.keys[len(p.keys)-1], claims)
}

// Forge signs claims with a strange key that bears the name of the current one.
func (p *Provider) Forge(claims Claims) string {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	forged := p.keys[len(p.keys)-1]
	forged.Key = private
	return sign(forged, claims)
}

// Unsigned is a token of algorithm "none".
func Unsigned(claims Claims) string {
	return segment(Claims{"alg": "none"}) + "." + segment(claims) + "."
}

// Payload reads the claims of a token and verifies nothing.
func Payload(token string) (Claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("a token of %d parts, want 3", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var c Claims
	return c, json.Unmarshal(raw, &c)
}

// LogoutToken is a back-channel logout token for the client; change, if given, changes its claims.
func (p *Provider) LogoutToken(subject, session string, change ...func(Claims)) string {
	c := p.LogoutClaims(subject, session)
	for _, f := range change {
		f(c)
	}
	return p.Sign(c)
}

// LogoutClaims are the claims of a logout token.
func (p *Provider) LogoutClaims(subject, session string) Claims {
	now := p.now()
	c := Claims{
		"iss": p.Issuer(), "aud": p.Client.ID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
		"jti": rand.Text(), "events": Claims{LogoutEvent: Claims{}},
	}
	if subject != "" {
		c["sub"] = subject
	}
	if session != "" {
		c["sid"] = session
	}
	return c
}

// Consent is what a browser does with an authorization URL whose user, subject, logs in and consents: it returns the parameters
// of the redirect to the client. session is the "sid" of the login.
func (p *Provider) Consent(authURL, subject, session string) (url.Values, error) {
	u, err := url.Parse(authURL)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	u.RawQuery = ""
	if got, want := u.String(), p.Issuer()+Authorize; got != want {
		return nil, fmt.Errorf("the authorization URL is at %s, want %s", got, want)
	}
	for name, want := range map[string]string{"client_id": p.Client.ID, "redirect_uri": p.Client.RedirectURL, "response_type": "code"} {
		if got := q.Get(name); got != want {
			return nil, fmt.Errorf("the authorization URL has %s=%q, want %q", name, got, want)
		}
	}
	if !strings.Contains(" "+q.Get("scope")+" ", " openid ") {
		return nil, fmt.Errorf("the authorization URL has scope=%q, want openid in it", q.Get("scope"))
	}
	code := rand.Text()
	g := grant{subject: subject, session: session, nonce: q.Get("nonce")}
	if q.Get("code_challenge_method") == "S256" {
		g.challenge = q.Get("code_challenge")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = g
	return url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.Issuer()}}, nil
}

func (p *Provider) discovery(w http.ResponseWriter, r *http.Request) {
	iss := p.Issuer()
	answer(w, p.OnDiscovery, Claims{
		"issuer": iss, "authorization_endpoint": iss + Authorize, "token_endpoint": iss + Token, "userinfo_endpoint": iss + UserInfo,
		"jwks_uri": iss + Keys, "end_session_endpoint": iss + Logout,
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"ES256"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true, "backchannel_logout_session_supported": true,
	})
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "the suite's users consent by Consent", http.StatusNotImplemented)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, "invalid_request")
		return
	}
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	code := r.PostForm.Get("code")
	p.mu.Lock()
	p.forms = append(p.forms, r.PostForm)
	g, known := p.codes[code]
	delete(p.codes, code)
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	switch {
	case id != p.Client.ID || secret != p.Client.Secret:
		refuse(w, "invalid_client")
		return
	case !known || r.PostForm.Get("grant_type") != "authorization_code" || r.PostForm.Get("redirect_uri") != p.Client.RedirectURL,
		g.challenge != "" && g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
		refuse(w, "invalid_grant")
		return
	}
	access, now := rand.Text(), p.now()
	p.mu.Lock()
	p.access[access] = g.subject
	p.mu.Unlock()
	claims := Claims{
		"iss": p.Issuer(), "sub": g.subject, "aud": p.Client.ID, "sid": g.session, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"at_hash": AccessTokenHash(access),
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if p.OnIDToken != nil {
		p.OnIDToken(claims)
	}
	answer(w, p.OnToken, Claims{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": p.Sign(claims)})
}

func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	subject, ok := p.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	p.mu.Unlock()
	if !ok {
		http.Error(w, "invalid_token", http.StatusUnauthorized)
		return
	}
	answer(w, p.OnUserInfo, Claims{"sub": subject, "email": subject + "@example.com", "email_verified": true})
}

func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	var set jose.JSONWebKeySet
	for _, k := range p.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(set)
}

// AccessTokenHash is the at_hash of an access token, for tokens signed with ES256.
func AccessTokenHash(access string) string {
	sum := sha256.Sum256([]byte(access))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func answer(w http.ResponseWriter, hook func(Claims), c Claims) {
	c = maps.Clone(c)
	if hook != nil {
		hook(c)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(c)
}

func refuse(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(Claims{"error": code})
}

func sign(key jose.JSONWebKey, claims Claims) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

func segment(c Claims) string {
	raw, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}
