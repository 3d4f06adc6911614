// Takes the access token on trust: nobody compares it with at_hash, the library only offers to.
//
//kata:caught-by TestSubstitution
package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Leeway is how far the clocks of a provider and of this party may be apart.
const Leeway = time.Minute

var (
	// ErrState says that the answer does not belong to the pending login.
	ErrState = errors.New("oidc: the answer is not of this login")
	// ErrMixUp says that the answer comes from another provider than the one that was asked, or does not say from which.
	ErrMixUp = errors.New("oidc: the answer is not of this provider")
	// ErrNonce says that the ID token was not issued for the pending login.
	ErrNonce = errors.New("oidc: the ID token is not of this login")
	// ErrSubstituted says that the access token or the user's data belong to somebody else than the ID token.
	ErrSubstituted = errors.New("oidc: the answers do not belong together")
	// ErrReplay says that a logout token has been here before.
	ErrReplay = errors.New("oidc: the logout token was used before")
	// ErrNoSession says that there is no such session.
	ErrNoSession = errors.New("oidc: no such session")
)

// ProviderError is what a provider answers instead of a code.
type ProviderError struct {
	Code        string // access_denied, say
	Description string
}

func (e *ProviderError) Error() string {
	return "oidc: the provider refuses: " + e.Code + " " + e.Description
}

// Config is this party's registration with one provider.
type Config struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	RedirectURL  string
}

// Options are for all providers.
type Options struct {
	Client *http.Client     // for all requests; nil stands for http.DefaultClient
	Now    func() time.Time // nil stands for time.Now
}

// Pending is a login that has begun. The caller keeps it in the user's browser session until the answer comes, and uses it once.
type Pending struct {
	Issuer   string
	State    string
	Nonce    string
	Verifier string // of PKCE
}

// Session is a user who has logged in.
type Session struct {
	ID         string // random; nobody can guess it
	Issuer     string
	Subject    string
	Email      string // from the userinfo endpoint, if the provider has one
	ProviderID string // the provider's own id of its session (sid), if it has one
}

// Party is the relying party. Its methods may be called concurrently.
type Party struct {
	client    *http.Client
	now       func() time.Time
	providers map[string]*provider

	mu       sync.Mutex
	sessions map[string]session
	spent    map[[2]string]time.Time // issuer and id of logout tokens, until when they would be valid
}

// provider is one provider and this party's registration with it.
type provider struct {
	*gooidc.Provider
	oauth    oauth2.Config
	verifier *gooidc.IDTokenVerifier
	metadata struct {
		EndSession    string `json:"end_session_endpoint"`
		NamesItself   bool   `json:"authorization_response_iss_parameter_supported"`
		UserInfoPlace string `json:"userinfo_endpoint"`
	}
}

// session is a Session and what its end needs.
type session struct {
	Session
	idToken string
}

// New reads the metadata of all providers. It fails if one of them cannot be had or is of another issuer.
func New(ctx context.Context, opts Options, providers ...Config) (*Party, error) {
	p := &Party{
		client:    opts.Client,
		now:       opts.Now,
		providers: make(map[string]*provider, len(providers)),
		sessions:  map[string]session{},
		spent:     map[[2]string]time.Time{},
	}
	if p.client == nil {
		p.client = http.DefaultClient
	}
	if p.now == nil {
		p.now = time.Now
	}
	for _, cfg := range providers {
		discovered, err := gooidc.NewProvider(p.context(ctx), cfg.Issuer)
		if err != nil {
			return nil, fmt.Errorf("oidc: discovery of %s: %w", cfg.Issuer, err)
		}
		known := &provider{
			Provider: discovered,
			oauth: oauth2.Config{
				ClientID:     cfg.ClientID,
				ClientSecret: cfg.ClientSecret,
				RedirectURL:  cfg.RedirectURL,
				Endpoint:     discovered.Endpoint(),
				Scopes:       []string{gooidc.ScopeOpenID, "email"},
			},
			// The library knows no leeway for exp; times are checked here. One verifier for good: it keeps the provider's keys, and
			// fetches them again when it meets one that it does not know.
			verifier: discovered.Verifier(&gooidc.Config{ClientID: cfg.ClientID, SkipExpiryCheck: true}),
		}
		if err := discovered.Claims(&known.metadata); err != nil {
			return nil, fmt.Errorf("oidc: metadata of %s: %w", cfg.Issuer, err)
		}
		p.providers[cfg.Issuer] = known
	}
	return p, nil
}

// context makes both libraries use the party's client.
func (p *Party) context(ctx context.Context) context.Context {
	return gooidc.ClientContext(ctx, p.client)
}

func (p *Party) provider(issuer string) (*provider, error) {
	known, ok := p.providers[issuer]
	if !ok {
		return nil, fmt.Errorf("oidc: unknown provider %q", issuer)
	}
	return known, nil
}

// Begin begins a login at a provider: send the browser to the URL, keep the pending login.
func (p *Party) Begin(issuer string) (authURL string, pending Pending, err error) {
	provider, err := p.provider(issuer)
	if err != nil {
		return "", Pending{}, err
	}
	pending = Pending{Issuer: issuer, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	authURL = provider.oauth.AuthCodeURL(pending.State, gooidc.Nonce(pending.Nonce), oauth2.S256ChallengeOption(pending.Verifier))
	return authURL, pending, nil
}

// Finish ends a pending login with the parameters that the browser brought back to the redirect URL.
func (p *Party) Finish(ctx context.Context, pending Pending, callback url.Values) (Session, error) {
	ctx = p.context(ctx)
	provider, err := p.provider(pending.Issuer)
	if err != nil {
		return Session{}, err
	}
	code, err := provider.authorized(pending, callback)
	if err != nil {
		return Session{}, err
	}
	tokens, err := provider.oauth.Exchange(ctx, code, oauth2.VerifierOption(pending.Verifier))
	if err != nil {
		return Session{}, fmt.Errorf("oidc: redeeming the code: %w", err)
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return Session{}, errors.New("oidc: the provider issued no ID token")
	}
	idToken, sid, err := provider.verify(ctx, raw, p.now())
	if err != nil {
		return Session{}, err
	}
	if pending.Nonce == "" || !equal(idToken.Nonce, pending.Nonce) {
		return Session{}, ErrNonce
	}
	s := session{Session{ID: rand.Text(), Issuer: pending.Issuer, Subject: idToken.Subject, ProviderID: sid}, raw}
	if provider.metadata.UserInfoPlace != "" {
		info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
		if err != nil {
			return Session{}, fmt.Errorf("oidc: userinfo: %w", err)
		}
		if info.Subject != idToken.Subject {
			return Session{}, fmt.Errorf("%w: userinfo is about %q, the ID token about %q", ErrSubstituted, info.Subject, idToken.Subject)
		}
		s.Email = info.Email
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions[s.ID] = s
	return s.Session, nil
}

// authorized returns the code of an answer that belongs to the pending login. All of this comes before the code is sent anywhere:
// sent to the wrong provider it would be stolen.
func (p *provider) authorized(pending Pending, callback url.Values) (code string, err error) {
	if pending.State == "" || !equal(callback.Get("state"), pending.State) {
		return "", ErrState
	}
	if callback.Has("iss") || p.metadata.NamesItself {
		if got := callback.Get("iss"); got != pending.Issuer {
			return "", fmt.Errorf("%w: asked %q, answered by %q", ErrMixUp, pending.Issuer, got)
		}
	}
	if code := callback.Get("error"); code != "" {
		return "", &ProviderError{Code: code, Description: callback.Get("error_description")}
	}
	if callback.Get("code") == "" {
		return "", errors.New("oidc: the answer holds no code")
	}
	return callback.Get("code"), nil
}

// verify returns an ID token of this provider for this party, valid now, and its sid.
func (p *provider) verify(ctx context.Context, raw string, now time.Time) (*gooidc.IDToken, string, error) {
	token, err := p.verifier.Verify(ctx, raw) // signature, algorithm, issuer, audience
	if err != nil {
		return nil, "", err
	}
	var claims struct {
		NotBefore  float64 `json:"nbf"`
		Authorized string  `json:"azp"`
		SessionID  string  `json:"sid"`
	}
	if err := token.Claims(&claims); err != nil {
		return nil, "", fmt.Errorf("oidc: claims of the ID token: %w", err)
	}
	// Among several audiences the token may have been given to another one, which may be hostile.
	if (len(token.Audience) > 1 || claims.Authorized != "") && claims.Authorized != p.oauth.ClientID {
		return nil, "", fmt.Errorf("oidc: the ID token was issued to %q", claims.Authorized)
	}
	if token.Subject == "" {
		return nil, "", errors.New("oidc: the ID token has no subject")
	}
	notBefore := time.Unix(int64(claims.NotBefore), 0)
	switch {
	case token.Expiry.IsZero() || token.IssuedAt.IsZero():
		return nil, "", errors.New("oidc: the ID token has no exp or no iat")
	case now.After(token.Expiry.Add(Leeway)):
		return nil, "", fmt.Errorf("oidc: the ID token has expired at %v", token.Expiry)
	case token.IssuedAt.After(now.Add(Leeway)), notBefore.After(now.Add(Leeway)):
		return nil, "", fmt.Errorf("oidc: the ID token is of the future (iat %v, nbf %v)", token.IssuedAt, notBefore)
	}
	return token, claims.SessionID, nil
}

// Session returns a session that has not been logged out.
func (p *Party) Session(id string) (Session, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.sessions[id]
	return s.Session, ok
}

// Logout ends a session and returns where to send the browser so that the provider ends its own; "" if it has no such place. The
// provider sends the browser on to returnTo.
func (p *Party) Logout(id, returnTo string) (redirect string, err error) {
	p.mu.Lock()
	s, ok := p.sessions[id]
	delete(p.sessions, id)
	p.mu.Unlock()
	if !ok {
		return "", ErrNoSession
	}
	provider, err := p.provider(s.Issuer)
	if err != nil || provider.metadata.EndSession == "" {
		return "", err
	}
	u, err := url.Parse(provider.metadata.EndSession)
	if err != nil {
		return "", fmt.Errorf("oidc: end_session_endpoint: %w", err)
	}
	q := u.Query()
	q.Set("id_token_hint", s.idToken)
	q.Set("client_id", provider.oauth.ClientID)
	q.Set("post_logout_redirect_uri", returnTo)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// BackChannelLogout takes a logout token that came from somebody who says to be the provider, and ends the sessions that it names.
func (p *Party) BackChannelLogout(ctx context.Context, issuer, logoutToken string) error {
	provider, err := p.provider(issuer)
	if err != nil {
		return err
	}
	token, err := provider.verifier.VerifyLogout(p.context(ctx), logoutToken)
	if err != nil {
		return err
	}
	now := p.now()
	until := token.Expiry.Add(Leeway)
	if now.After(until) {
		return fmt.Errorf("oidc: the logout token has expired at %v", token.Expiry)
	}
	if token.IssuedAt.IsZero() || token.IssuedAt.After(now.Add(Leeway)) {
		return fmt.Errorf("oidc: the logout token has no iat, or is of the future (%v)", token.IssuedAt)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.spent, func(_ [2]string, until time.Time) bool { return now.After(until) })
	key := [2]string{issuer, token.TokenID}
	if _, ok := p.spent[key]; ok {
		return ErrReplay
	}
	p.spent[key] = until
	// A subject means something at its issuer only, and with a sid the token is about that one session.
	maps.DeleteFunc(p.sessions, func(_ string, s session) bool {
		switch {
		case s.Issuer != issuer:
			return false
		case token.SessionID != "":
			return s.ProviderID == token.SessionID
		default:
			return s.Subject == token.Subject
		}
	})
	return nil
}

// equal compares secrets without telling by its time where they differ.
func equal(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
