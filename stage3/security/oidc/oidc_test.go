package oidc_test

import (
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage3/internal/kit/oidctest"
	"github.com/roadkata/roadkata/stage3/security/oidc"
)

// A user logs in at a provider and out again.
func TestExampleLogin(t *testing.T) {
	registered := oidctest.Client{ID: "shop", Secret: "s3cret", RedirectURL: "https://shop.example/callback"}
	provider := oidctest.Start(t, registered, time.Now)
	party, err := oidc.New(t.Context(), oidc.Options{Client: oidctest.Trust(t, provider)}, oidc.Config{
		Issuer:       provider.Issuer(),
		ClientID:     registered.ID,
		ClientSecret: registered.Secret,
		RedirectURL:  registered.RedirectURL,
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}

	authURL, pending, err := party.Begin(provider.Issuer())
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	callback, err := provider.Consent(authURL, "ada", "sid-1") // what the browser and its user do
	if err != nil {
		t.Fatalf("at the provider: %v", err)
	}
	session, err := party.Finish(t.Context(), pending, callback)
	if err != nil {
		t.Fatalf("Finish: %v", err)
	}
	if session.Subject != "ada" || session.Email != "ada@example.com" || session.ProviderID != "sid-1" {
		t.Errorf("Finish = %+v, want ada, ada@example.com, sid-1", session)
	}

	if _, err := party.Logout(session.ID, "https://shop.example/bye"); err != nil {
		t.Errorf("Logout: %v", err)
	}
	if _, ok := party.Session(session.ID); ok {
		t.Error("after Logout the session is still there")
	}
}
