// Package oidc is the relying party of several OpenID providers: it logs users in, and out again.
package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
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
type Party struct{}

// New reads the metadata of all providers. It fails if one of them cannot be had or is of another issuer.
func New(ctx context.Context, opts Options, providers ...Config) (*Party, error) {
	panic("TODO: discover the providers")
}

// Begin begins a login at a provider: send the browser to the URL, keep the pending login.
func (p *Party) Begin(issuer string) (authURL string, pending Pending, err error) {
	panic("TODO: make state, nonce and PKCE challenge, and the authorization URL of them")
}

// Finish ends a pending login with the parameters that the browser brought back to the redirect URL.
func (p *Party) Finish(ctx context.Context, pending Pending, callback url.Values) (Session, error) {
	panic("TODO: check the answer, redeem the code, check the tokens")
}

// Session returns a session that has not been logged out.
func (p *Party) Session(id string) (Session, bool) {
	panic("TODO: look it up")
}

// Logout ends a session and returns where to send the browser so that the provider ends its own; "" if it has no such place. The
// provider sends the browser on to returnTo.
func (p *Party) Logout(id, returnTo string) (redirect string, err error) {
	panic("TODO: end the session, and let the provider know by its end_session_endpoint")
}

// BackChannelLogout takes a logout token that came from somebody who says to be the provider, and ends the sessions that it names.
func (p *Party) BackChannelLogout(ctx context.Context, issuer, logoutToken string) error {
	panic("TODO: verify the token, end its sessions")
}
