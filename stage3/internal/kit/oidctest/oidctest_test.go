package oidctest_test

import (
	"context"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/roadkata/roadkata/stage3/internal/kit/oidctest"
)

var client = oidctest.Client{ID: "shop", Secret: "s3cret", RedirectURL: "https://shop.example/callback"}

// A relying party that is written by the book gets through, with PKCE, and after the keys have been rotated.
func TestLogin(t *testing.T) {
	p := oidctest.Start(t, client, time.Now)
	ctx := oidc.ClientContext(context.Background(), oidctest.Trust(t, p))
	provider, err := oidc.NewProvider(ctx, p.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	rp := oauth2.Config{ClientID: client.ID, ClientSecret: client.Secret, RedirectURL: client.RedirectURL, Endpoint: provider.Endpoint(), Scopes: []string{"openid"}}
	verifier := provider.Verifier(&oidc.Config{ClientID: client.ID})
	for range 2 {
		pkce := oauth2.GenerateVerifier()
		callback, err := p.Consent(rp.AuthCodeURL("state", oidc.Nonce("n"), oauth2.S256ChallengeOption(pkce)), "ada", "s1")
		if err != nil {
			t.Fatal(err)
		}
		tok, err := rp.Exchange(ctx, callback.Get("code"), oauth2.VerifierOption(pkce))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := tok.Extra("id_token").(string)
		id, err := verifier.Verify(ctx, raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := id.VerifyAccessToken(tok.AccessToken); err != nil || id.Subject != "ada" || id.Nonce != "n" {
			t.Errorf("id token %+v, at_hash %v", id, err)
		}
		info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tok))
		if err != nil || info.Email != "ada@example.com" {
			t.Errorf("userinfo %+v, %v", info, err)
		}
		if _, err := rp.Exchange(ctx, callback.Get("code"), oauth2.VerifierOption(pkce)); err == nil {
			t.Error("a code was redeemed twice")
		}
		oidctest.Settle(t)
		p.Rotate()
	}
	if _, err := verifier.VerifyLogout(ctx, p.LogoutToken("ada", "")); err != nil {
		t.Errorf("logout token: %v", err)
	}
	for name, token := range map[string]string{"forged": p.Forge(p.LogoutClaims("ada", "")), "unsigned": oidctest.Unsigned(p.LogoutClaims("ada", ""))} {
		if _, err := verifier.VerifyLogout(ctx, token); err == nil {
			t.Errorf("a token that is %s passes", name)
		}
	}
}

func TestRefusesWrongVerifier(t *testing.T) {
	p := oidctest.Start(t, client, time.Now)
	ctx := oidc.ClientContext(context.Background(), oidctest.Trust(t, p))
	rp := oauth2.Config{ClientID: client.ID, ClientSecret: client.Secret, RedirectURL: client.RedirectURL, Scopes: []string{"openid"},
		Endpoint: oauth2.Endpoint{AuthURL: p.Issuer() + oidctest.Authorize, TokenURL: p.Issuer() + oidctest.Token}}
	callback, err := p.Consent(rp.AuthCodeURL("state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rp.Exchange(ctx, callback.Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier())); err == nil {
		t.Error("another verifier redeems the code")
	}
}
