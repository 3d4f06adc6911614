// The party faces providers that do what providers do, and one that attacks.
//
//kata:level 3
//kata:minutes 120
//kata:engine simulated OpenID providers over TLS (net/http, go-jose), with faults; real go-oidc and oauth2
package oidc_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage3/internal/kit/oidctest"
	"github.com/roadkata/roadkata/stage3/security/oidc"
)

// Metadata are read once and only believed of their own issuer; a provider that names another one is refused.
//
//kata:zh 元数据只读取一次，且只认它自己的 issuer；声称是别人的提供方会被拒绝。
func TestDiscovery(t *testing.T) {
	w := begin(t)
	for range 3 {
		w.login("ada", "")
	}
	if n := w.home.Requests(oidctest.Discovery); n != 1 {
		t.Errorf("New and three logins read the metadata %d times, want once", n)
	}
	for name, lie := range map[string]func(oidctest.Claims){
		"another provider's":   func(c oidctest.Claims) { c["issuer"] = w.other.Issuer() },
		"its own with a slash": func(c oidctest.Claims) { c["issuer"] = w.home.Issuer() + "/" },
		"none":                 func(c oidctest.Claims) { delete(c, "issuer") },
	} {
		w.home.OnDiscovery = lie
		if p, err := w.party(); err == nil || p != nil {
			t.Errorf("New, where the metadata of the issuer %s name the issuer %s: = %v, %v; want nil and an error", w.home.Issuer(), name, p, err)
		}
	}
	w.home.OnDiscovery = nil
	if _, _, err := w.p.Begin("https://nobody.example"); err == nil {
		t.Errorf("Begin at a provider that New was not given: no error")
	}
}

// Each login has its own state, nonce and PKCE challenge, and an answer with another state is refused before its code goes anywhere.
//
//kata:zh 每次登录都有自己的 state、nonce 和 PKCE 质询；state 不符的回调会被拒绝，code 不会发往任何地方。
func TestState(t *testing.T) {
	w := begin(t)
	seen := map[string]string{}
	for range 3 {
		authURL, pending := w.begin(w.home)
		u, err := url.Parse(authURL)
		if err != nil {
			t.Fatalf("Begin: the URL %q: %v", authURL, err)
		}
		if got := u.Query().Get("code_challenge_method"); got != "S256" {
			t.Fatalf("Begin: the URL has code_challenge_method=%q, want S256: %s", got, authURL)
		}
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			v := u.Query().Get(name)
			if len(v) < 22 {
				t.Fatalf("Begin: the URL has %s=%q, want at least 128 random bits", name, v)
			}
			if before, ok := seen[v]; ok {
				t.Fatalf("Begin: the URL has %s=%q, which was the %s of this or another login", name, v, before)
			}
			seen[v] = name
		}
		if u.Query().Get("state") != pending.State || u.Query().Get("nonce") != pending.Nonce {
			t.Fatalf("Begin: the URL's state and nonce are not those of the pending login: %s, %+v", authURL, pending)
		}
	}

	authURL, pending := w.begin(w.home)
	callback := w.consent(w.home, authURL, "mallory", "")
	for name, change := range map[string]func(*oidc.Pending, url.Values){
		"another state":            func(_ *oidc.Pending, c url.Values) { c.Set("state", "x"+pending.State) },
		"no state":                 func(_ *oidc.Pending, c url.Values) { c.Del("state") },
		"no state, none pending":   func(p *oidc.Pending, c url.Values) { c.Del("state"); *p = oidc.Pending{Issuer: p.Issuer} },
		"another login's state":    func(p *oidc.Pending, c url.Values) { _, *p = w.begin(w.home) },
		"another state, an error":  func(_ *oidc.Pending, c url.Values) { c.Set("state", "x"); c.Set("error", "access_denied") },
		"another state, no issuer": func(_ *oidc.Pending, c url.Values) { c.Set("state", "x"); c.Del("iss") },
	} {
		p, c := pending, clone(callback)
		change(&p, c)
		w.refused("Finish with "+name, p, c, oidc.ErrState)
	}
	w.noExchange("answers with a wrong state", w.home)

	denied := clone(callback)
	denied.Del("code")
	denied.Set("error", "access_denied")
	_, err := w.p.Finish(t.Context(), pending, denied)
	if e, ok := errors.AsType[*oidc.ProviderError](err); !ok || e.Code != "access_denied" {
		t.Errorf("Finish of an answer with error=access_denied: %v, want a *ProviderError with this code", err)
	}
	if _, err := w.p.Finish(t.Context(), pending, callback); err != nil {
		t.Fatalf("Finish with the login's own state: %v", err)
	}
	forms := w.home.Exchanges()
	if got := forms[len(forms)-1].Get("code_verifier"); got != pending.Verifier || len(got) < 43 {
		t.Errorf("Finish sent the code_verifier %q, want the pending login's, of 43 characters or more", got)
	}
	one, two := w.login("ada", ""), w.login("ada", "")
	if one.ID == two.ID || len(one.ID) < 22 {
		t.Errorf("two logins have the session ids %q and %q, want random ones of at least 128 bits", one.ID, two.ID)
	}
	authURL, pending = w.begin(w.home)
	callback = w.consent(w.home, authURL, "ada", "")
	three, err := w.p.Finish(t.Context(), pending, callback)
	if err != nil {
		t.Fatalf("Finish of an honest login: %v", err)
	}
	for name, known := range map[string]string{"state": pending.State, "nonce": pending.Nonce, "verifier": pending.Verifier, "code": callback.Get("code")} {
		if three.ID == known {
			t.Errorf("the session has the id %q, which was the %s of its login: the provider knows it", known, name)
		}
	}
}

// An answer that comes from another provider than the one asked, or hides where it comes from, is refused before its code goes anywhere.
//
//kata:zh 回调若来自另一个提供方，或隐瞒来源，会被拒绝，code 不会发往任何地方。
func TestMixUp(t *testing.T) {
	w := begin(t)
	// The attacker's provider sent the browser on to the honest one: its code comes back, and would be sent to the attacker.
	_, pending := w.begin(w.other)
	honest, _ := w.begin(w.home)
	callback := w.consent(w.home, honest, "ada", "")
	callback.Set("state", pending.State)
	w.refused("Finish of a login at the attacker with the code of the honest provider", pending, callback, oidc.ErrMixUp)
	callback.Del("iss")
	w.refused("Finish of the same without iss, of a provider that announced to send it", pending, callback, oidc.ErrMixUp)
	callback["iss"] = []string{""}
	w.refused("Finish of the same with an empty iss", pending, callback, oidc.ErrMixUp)
	callback.Set("iss", w.other.Issuer()+"/")
	w.refused("Finish of the same with an iss that is nearly right", pending, callback, oidc.ErrMixUp)
	callback.Del("code")
	callback.Set("error", "access_denied")
	w.refused("Finish of the same with an error instead of a code", pending, callback, oidc.ErrMixUp)
	w.noExchange("answers of another provider", w.home, w.other)

	// Not all providers send it; one that did not announce it, and sends it, is held to it.
	w.home.OnDiscovery = func(c oidctest.Claims) { delete(c, "authorization_response_iss_parameter_supported") }
	w.p = w.mustParty()
	authURL, pending := w.begin(w.home)
	callback = w.consent(w.home, authURL, "ada", "")
	callback.Set("iss", w.other.Issuer())
	w.refused("Finish with the iss of another provider, where the provider did not announce iss", pending, callback, oidc.ErrMixUp)
	callback.Del("iss")
	if _, err := w.p.Finish(t.Context(), pending, callback); err != nil {
		t.Errorf("Finish without iss, of a provider that did not announce it: %v", err)
	}
}

// An ID token without the login's nonce is refused: it was issued for somebody else's login.
//
//kata:zh ID token 里的 nonce 不是本次登录的，就拒绝：它是为别人的登录签发的。
func TestNonce(t *testing.T) {
	w := begin(t)
	for name, change := range map[string]func(oidctest.Claims){
		"another nonce": func(c oidctest.Claims) { c["nonce"] = "x" },
		"no nonce":      func(c oidctest.Claims) { delete(c, "nonce") },
		"an empty nonce": func(c oidctest.Claims) {
			c["nonce"] = ""
		},
	} {
		w.refusedToken(name, change, oidc.ErrNonce)
	}
	// The token of one login in the answer to another one.
	var first any
	w.home.OnToken = func(c oidctest.Claims) { first = c["id_token"] }
	w.login("ada", "")
	w.home.OnToken = func(c oidctest.Claims) {
		stolen, err := oidctest.Payload(first.(string))
		if err != nil {
			t.Fatal(err)
		}
		delete(stolen, "at_hash")
		c["id_token"] = w.home.Sign(stolen)
	}
	authURL, pending := w.begin(w.home)
	w.refused("Finish with the ID token of an earlier login", pending, w.consent(w.home, authURL, "ada", ""), oidc.ErrNonce)
	// A pending login that lost its nonce proves nothing.
	w.home.OnToken = nil
	authURL, pending = w.begin(w.home)
	pending.Nonce = ""
	w.home.OnIDToken = func(c oidctest.Claims) { delete(c, "nonce") }
	w.refused("Finish where neither the pending login nor the ID token has a nonce", pending, w.consent(w.home, authURL, "ada", ""), oidc.ErrNonce)
}

// An ID token is believed only if this provider has signed it for this party.
//
//kata:zh 只有确由该提供方为本方签发的 ID token 才可信。
func TestIDToken(t *testing.T) {
	w := begin(t)
	for name, change := range map[string]func(oidctest.Claims){
		"of another issuer":                         func(c oidctest.Claims) { c["iss"] = w.other.Issuer() },
		"for another audience":                      func(c oidctest.Claims) { c["aud"] = "blog" },
		"without an audience":                       func(c oidctest.Claims) { delete(c, "aud") },
		"issued to another party (azp)":             func(c oidctest.Claims) { c["azp"] = "blog" },
		"for two audiences, issued to the other":    func(c oidctest.Claims) { c["aud"] = []string{client.ID, "blog"}; c["azp"] = "blog" },
		"for two audiences, issued to nobody knows": func(c oidctest.Claims) { c["aud"] = []string{client.ID, "blog"} },
		"without a subject":                         func(c oidctest.Claims) { delete(c, "sub") },
	} {
		w.home.OnUserInfo = func(c oidctest.Claims) {
			if name == "without a subject" { // two empty subjects are no agreement
				delete(c, "sub")
			}
		}
		w.refusedToken(name, change, nil)
	}
	w.home.OnUserInfo = nil
	for name, replace := range map[string]func(claims oidctest.Claims) any{
		"signed with a strange key":     func(c oidctest.Claims) any { return w.home.Forge(c) },
		"signed by another provider":    func(c oidctest.Claims) any { return w.other.Sign(c) },
		"that is not signed (alg none)": func(c oidctest.Claims) any { return oidctest.Unsigned(c) },
		"whose claims were changed":     func(c oidctest.Claims) any { return tampered(w.home.Sign(c), c) },
		"that is no token":              func(c oidctest.Claims) any { return "ada" },
		"that is missing":               func(c oidctest.Claims) any { return nil },
		"that is not even a string":     func(c oidctest.Claims) any { return 7 },
	} {
		w.home.OnToken = func(answer oidctest.Claims) {
			claims, err := oidctest.Payload(answer["id_token"].(string))
			if err != nil {
				t.Fatal(err)
			}
			answer["id_token"] = replace(claims)
		}
		authURL, pending := w.begin(w.home)
		w.refused("Finish with an ID token "+name, pending, w.consent(w.home, authURL, "ada", ""), nil)
	}
	w.home.OnToken = nil
	w.home.OnIDToken = func(c oidctest.Claims) { c["aud"] = []string{"blog", client.ID}; c["azp"] = client.ID }
	if _, err := w.tryLogin("ada", ""); err != nil {
		t.Errorf("Finish with an ID token for two audiences, issued to this party: %v", err)
	}
	w.home.OnIDToken = nil
	w.home.OnDiscovery = func(c oidctest.Claims) { c["id_token_signing_alg_values_supported"] = []string{"RS256"} }
	w.p = w.mustParty()
	authURL, pending := w.begin(w.home)
	w.refused("Finish with an ID token of the algorithm ES256, of a provider that has announced RS256 only", pending, w.consent(w.home, authURL, "ada", ""), nil)
}

// An access token that is not the one of at_hash, and userinfo about another subject, are refused.
//
//kata:zh 访问令牌与 at_hash 不符，或 userinfo 说的是另一个人，都拒绝。
func TestSubstitution(t *testing.T) {
	w := begin(t)
	var earlier any
	w.home.OnToken = func(c oidctest.Claims) { earlier = c["access_token"] }
	w.login("ada", "")
	// A valid access token of the same user, from another login: only at_hash tells.
	w.home.OnToken = func(c oidctest.Claims) { c["access_token"] = earlier }
	authURL, pending := w.begin(w.home)
	w.refused("Finish with the access token of another login", pending, w.consent(w.home, authURL, "ada", ""), oidc.ErrSubstituted)
	w.home.OnToken = nil

	w.home.OnUserInfo = func(c oidctest.Claims) { c["sub"], c["email"] = "boss", "boss@example.com" }
	authURL, pending = w.begin(w.home)
	w.refused("Finish where userinfo is about boss and the ID token about ada", pending, w.consent(w.home, authURL, "ada", ""), oidc.ErrSubstituted)
	w.home.OnUserInfo = func(c oidctest.Claims) { delete(c, "sub") }
	authURL, pending = w.begin(w.home)
	w.refused("Finish where userinfo does not say whom it is about", pending, w.consent(w.home, authURL, "ada", ""), oidc.ErrSubstituted)
	w.home.OnUserInfo = nil
	w.home.OnIDToken = func(c oidctest.Claims) { delete(c, "at_hash") }
	w.home.OnToken = func(c oidctest.Claims) { c["access_token"] = "made-up" }
	authURL, pending = w.begin(w.home)
	w.refused("Finish without at_hash, where the userinfo endpoint does not know the access token", pending, w.consent(w.home, authURL, "ada", ""), nil)
	w.home.OnToken = nil

	// at_hash is optional in this flow.
	w.home.OnIDToken = func(c oidctest.Claims) { delete(c, "at_hash") }
	if s, err := w.tryLogin("ada", ""); err != nil || s.Email != "ada@example.com" {
		t.Errorf("Finish with an ID token without at_hash = %+v, %v; want ada@example.com and no error", s, err)
	}
	w.home.OnIDToken = nil
	w.home.OnDiscovery = func(c oidctest.Claims) { delete(c, "userinfo_endpoint") }
	w.p = w.mustParty()
	if s, err := w.tryLogin("ada", ""); err != nil || s.Subject != "ada" || s.Email != "" {
		t.Errorf("Finish at a provider without userinfo = %+v, %v; want ada, no email and no error", s, err)
	}
}

// Clocks may differ by a minute, and no more: in exp, iat and nbf.
//
//kata:zh 时钟允许相差一分钟，不能更多：exp、iat、nbf 都如此。
func TestClockSkew(t *testing.T) {
	w := begin(t)
	set := func(name string, d time.Duration) func(oidctest.Claims) {
		return func(c oidctest.Claims) { c[name] = w.now.Add(d).Unix() }
	}
	for _, c := range []struct {
		text string
		set  func(oidctest.Claims)
		ok   bool
	}{
		{"exp 55 s ago", set("exp", -55*time.Second), true},
		{"exp 65 s ago", set("exp", -65*time.Second), false},
		{"iat in 55 s", set("iat", 55*time.Second), true},
		{"iat in 65 s", set("iat", 65*time.Second), false},
		{"nbf in 55 s", set("nbf", 55*time.Second), true},
		{"nbf in 65 s", set("nbf", 65*time.Second), false},
		{"no exp", func(c oidctest.Claims) { delete(c, "exp") }, false},
		{"no iat", func(c oidctest.Claims) { delete(c, "iat") }, false},
	} {
		w.home.OnIDToken = c.set
		_, err := w.tryLogin("ada", "")
		switch {
		case c.ok && err != nil:
			t.Errorf("Finish with an ID token with %s: error %q, want none: that is within the leeway", c.text, err)
		case !c.ok && err == nil:
			t.Errorf("Finish with an ID token with %s: no error, want one", c.text)
		}
	}
	w.home.OnIDToken = nil
	s := w.login("ada", "")
	late := w.home.LogoutToken("ada", "", set("exp", -65*time.Second))
	if err := w.p.BackChannelLogout(t.Context(), w.home.Issuer(), late); err == nil {
		t.Errorf("BackChannelLogout with exp 65 s ago: no error")
	}
	w.lives("an expired logout token", s)
	early := w.home.LogoutToken("ada", "", set("iat", 65*time.Second))
	if err := w.p.BackChannelLogout(t.Context(), w.home.Issuer(), early); err == nil {
		t.Errorf("BackChannelLogout with iat in 65 s: no error")
	}
	w.lives("a logout token of the future", s)
	slow := w.home.LogoutToken("ada", "", set("exp", -55*time.Second))
	if err := w.p.BackChannelLogout(t.Context(), w.home.Issuer(), slow); err != nil {
		t.Errorf("BackChannelLogout with exp 55 s ago: %v", err)
	}
	fast := w.home.LogoutToken("ada", "", set("iat", 55*time.Second))
	if err := w.p.BackChannelLogout(t.Context(), w.home.Issuer(), fast); err != nil {
		t.Errorf("BackChannelLogout with iat in 55 s: %v", err)
	}
}

// Keys may be replaced at any time without a login that fails; as long as they stay, they are fetched once.
//
//kata:zh 提供方随时可以换密钥，不会有一次登录失败；密钥不变时只获取一次。
func TestKeyRotation(t *testing.T) {
	w := begin(t)
	for range 3 {
		w.login("ada", "")
	}
	if n := w.home.Requests(oidctest.Keys); n != 1 {
		t.Errorf("three logins with the same key fetched the keys %d times, want once", n)
	}
	for round, keep := range []int{1, 0, 2} {
		authURL, pending := w.begin(w.home)
		callback := w.consent(w.home, authURL, "ada", "") // the keys change while the user is at the provider
		w.rotate(keep)
		if _, err := w.p.Finish(t.Context(), pending, callback); err != nil {
			t.Fatalf("Finish after rotation %d of the provider's key in mid-login (%d former keys kept): %v", round+1, keep, err)
		}
		s := w.login("bob", "")
		w.rotate(keep)
		if err := w.p.BackChannelLogout(t.Context(), w.home.Issuer(), w.home.LogoutToken("bob", "")); err != nil {
			t.Fatalf("BackChannelLogout after a rotation of the provider's key: %v", err)
		}
		w.gone("a logout token signed with a new key", s)
	}
}

// Logging out ends just the sessions that are meant, tells the provider, and no logout token works twice or without proof.
//
//kata:zh 登出只结束该结束的会话，并告知提供方；登出令牌不能重放，也不能没有凭据。
func TestLogout(t *testing.T) {
	w := begin(t)
	home := w.home.Issuer()
	desk, phone, bob := w.login("ada", "sid-1"), w.login("ada", "sid-2"), w.login("bob", "sid-3")
	namesake, plain := w.loginAt(w.other, "ada", "sid-1"), w.login("bob", "")

	all := func(what string) { t.Helper(); w.lives(what, desk, phone, bob, plain, namesake) }
	claims := func(change func(oidctest.Claims)) oidctest.Claims {
		c := w.home.LogoutClaims("ada", "")
		change(c)
		return c
	}
	nothing := func(oidctest.Claims) {}
	for name, token := range map[string]string{
		"signed with a strange key": w.home.Forge(claims(nothing)),
		"not signed (alg none)":     oidctest.Unsigned(claims(nothing)),
		"of another provider":       w.other.LogoutToken("ada", ""),
		"for another party":         w.home.Sign(claims(func(c oidctest.Claims) { c["aud"] = "blog" })),
		"without the event":         w.home.Sign(claims(func(c oidctest.Claims) { delete(c, "events") })),
		"of another event": w.home.Sign(claims(func(c oidctest.Claims) {
			c["events"] = oidctest.Claims{"https://schemas.openid.net/secevent/risc/event-type/account-disabled": oidctest.Claims{}}
		})),
		"with a nonce (an ID token, perhaps)": w.home.Sign(claims(func(c oidctest.Claims) {
			c["nonce"] = "x"
		})),
		"without jti":         w.home.Sign(claims(func(c oidctest.Claims) { delete(c, "jti") })),
		"without exp":         w.home.Sign(claims(func(c oidctest.Claims) { delete(c, "exp") })),
		"without iat":         w.home.Sign(claims(func(c oidctest.Claims) { delete(c, "iat") })),
		"without sub and sid": w.home.Sign(claims(func(c oidctest.Claims) { delete(c, "sub") })),
		"that is no token":    "ada",
	} {
		if err := w.p.BackChannelLogout(t.Context(), home, token); err == nil {
			t.Errorf("BackChannelLogout with a token %s: no error", name)
		}
		all("a logout token " + name)
	}

	token := w.home.LogoutToken("ada", "sid-1")
	w.logout(token)
	w.gone("a logout token for sid-1", desk)
	w.lives("a logout token for ada and sid-1", phone, bob, plain, namesake)

	token = w.home.LogoutToken("ada", "")
	w.logout(token)
	w.gone("a logout token for ada", phone)
	w.lives("a logout token for ada", bob, plain, namesake)

	again := w.login("ada", "sid-4")
	for _, wait := range []time.Duration{0, time.Minute, 90 * time.Second} { // valid until 2 minutes after its issue, and the leeway
		w.now = w.now.Add(wait)
		err := w.p.BackChannelLogout(t.Context(), home, token)
		if err == nil || w.now.Before(epoch.Add(2*time.Minute)) && !errors.Is(err, oidc.ErrReplay) {
			t.Errorf("BackChannelLogout with a token that was used before: %v, want ErrReplay", err)
		}
		w.lives("a logout token that was used before", again, bob, namesake)
	}

	// An id means something at its issuer only, like a subject.
	spent := w.home.LogoutClaims("", "sid-9")
	w.logout(w.home.Sign(spent))
	twin := w.other.LogoutToken("ada", "", func(c oidctest.Claims) { c["jti"] = spent["jti"] })
	if err := w.p.BackChannelLogout(t.Context(), w.other.Issuer(), twin); err != nil {
		t.Errorf("BackChannelLogout with a jti that another provider has used: %v", err)
	}
	w.gone("the other provider's logout token for ada", namesake)

	redirect, err := w.p.Logout(bob.ID, "https://shop.example/bye?from=1&x=y")
	if err != nil {
		t.Fatalf("Logout: %v", err)
	}
	w.gone("Logout", bob)
	u, err := url.Parse(redirect)
	if err != nil || u.Scheme+"://"+u.Host+u.Path != home+oidctest.Logout {
		t.Fatalf("Logout = %q (%v), want the provider's end_session_endpoint %s", redirect, err, home+oidctest.Logout)
	}
	for name, want := range map[string]string{"client_id": client.ID, "post_logout_redirect_uri": "https://shop.example/bye?from=1&x=y"} {
		if got := u.Query().Get(name); got != want {
			t.Errorf("Logout = %s: %s is %q, want %q", redirect, name, got, want)
		}
	}
	hint, err := oidctest.Payload(u.Query().Get("id_token_hint"))
	if err != nil || hint["sub"] != "bob" || hint["sid"] != "sid-3" {
		t.Errorf("Logout = %s: id_token_hint is of %v, %v (%v), want bob's ID token of sid-3", redirect, hint["sub"], hint["sid"], err)
	}
	if _, err := w.p.Logout(bob.ID, "https://shop.example/bye"); !errors.Is(err, oidc.ErrNoSession) {
		t.Errorf("Logout of a session that has ended: %v, want ErrNoSession", err)
	}
	w.home.OnDiscovery = func(c oidctest.Claims) { c["end_session_endpoint"] = home + oidctest.Logout + "?tenant=7" }
	w.p = w.mustParty()
	redirect, err = w.p.Logout(w.login("ada", "").ID, "https://shop.example/bye")
	if u, perr := url.Parse(redirect); err != nil || perr != nil || u.Query().Get("tenant") != "7" || u.Query().Get("client_id") != client.ID {
		t.Errorf("Logout = %q, %v; want tenant=7, which is in the provider's end_session_endpoint, beside the other parameters", redirect, err)
	}
	w.home.OnDiscovery = func(c oidctest.Claims) { delete(c, "end_session_endpoint") }
	w.p = w.mustParty()
	s := w.login("ada", "")
	if redirect, err := w.p.Logout(s.ID, "https://shop.example/bye"); redirect != "" || err != nil {
		t.Errorf("Logout at a provider without end_session_endpoint = %q, %v; want no redirect and no error", redirect, err)
	}
	w.gone("Logout at a provider without end_session_endpoint", s)
}

var client = oidctest.Client{ID: "shop", Secret: "s3cret", RedirectURL: "https://shop.example/callback"}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a party, its own provider, and another one that need not be honest.
type world struct {
	t           *testing.T
	now         time.Time
	home, other *oidctest.Provider
	p           *oidc.Party
}

func begin(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: epoch}
	w.home, w.other = oidctest.Start(t, client, w.clock), oidctest.Start(t, client, w.clock)
	w.p = w.mustParty()
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) party() (*oidc.Party, error) {
	config := func(p *oidctest.Provider) oidc.Config {
		return oidc.Config{Issuer: p.Issuer(), ClientID: client.ID, ClientSecret: client.Secret, RedirectURL: client.RedirectURL}
	}
	opts := oidc.Options{Client: oidctest.Trust(w.t, w.home), Now: w.clock}
	return oidc.New(w.t.Context(), opts, config(w.home), config(w.other))
}

func (w *world) mustParty() *oidc.Party {
	w.t.Helper()
	p, err := w.party()
	if err != nil {
		w.t.Fatalf("New: %v", err)
	}
	return p
}

func (w *world) begin(at *oidctest.Provider) (string, oidc.Pending) {
	w.t.Helper()
	authURL, pending, err := w.p.Begin(at.Issuer())
	if err != nil {
		w.t.Fatalf("Begin: %v", err)
	}
	return authURL, pending
}

func (w *world) consent(at *oidctest.Provider, authURL, subject, session string) url.Values {
	w.t.Helper()
	callback, err := at.Consent(authURL, subject, session)
	if err != nil {
		w.t.Fatalf("Begin: %v", err)
	}
	return callback
}

func (w *world) tryLogin(subject, session string) (oidc.Session, error) {
	w.t.Helper()
	authURL, pending := w.begin(w.home)
	return w.p.Finish(w.t.Context(), pending, w.consent(w.home, authURL, subject, session))
}

func (w *world) login(subject, session string) oidc.Session {
	w.t.Helper()
	return w.loginAt(w.home, subject, session)
}

func (w *world) loginAt(at *oidctest.Provider, subject, session string) oidc.Session {
	w.t.Helper()
	authURL, pending := w.begin(at)
	s, err := w.p.Finish(w.t.Context(), pending, w.consent(at, authURL, subject, session))
	if err != nil {
		w.t.Fatalf("Finish of %s's honest login: %v", subject, err)
	}
	if s.ID == "" || s.Issuer != at.Issuer() || s.Subject != subject || s.ProviderID != session {
		w.t.Fatalf("Finish of %s's login at %s, sid %q = %+v", subject, at.Issuer(), session, s)
	}
	w.lives("Finish", s)
	return s
}

// refused expects no session, and want where it is given.
func (w *world) refused(call string, pending oidc.Pending, callback url.Values, want error) {
	w.t.Helper()
	s, err := w.p.Finish(w.t.Context(), pending, callback)
	if err == nil || s != (oidc.Session{}) {
		w.t.Fatalf("%s = %+v, %v; want no session and an error", call, s, err)
	}
	if want != nil && !errors.Is(err, want) {
		w.t.Fatalf("%s: the error is %q, want %q", call, err, want)
	}
}

// refusedToken expects that a login with a changed ID token is refused.
func (w *world) refusedToken(name string, change func(oidctest.Claims), want error) {
	w.t.Helper()
	w.home.OnIDToken = change
	authURL, pending := w.begin(w.home)
	w.refused(fmt.Sprintf("Finish with an ID token %s", name), pending, w.consent(w.home, authURL, "ada", ""), want)
	w.home.OnIDToken = nil
}

// rotate replaces the provider's key after a moment's peace.
func (w *world) rotate(keep int) {
	w.t.Helper()
	oidctest.Settle(w.t)
	w.home.Rotate(keep)
}

func (w *world) noExchange(what string, providers ...*oidctest.Provider) {
	w.t.Helper()
	for _, p := range providers {
		if forms := p.Exchanges(); len(forms) != 0 {
			w.t.Fatalf("%s: a token endpoint was sent %v, want nothing sent anywhere", what, forms)
		}
	}
}

func (w *world) logout(token string) {
	w.t.Helper()
	if err := w.p.BackChannelLogout(w.t.Context(), w.home.Issuer(), token); err != nil {
		w.t.Fatalf("BackChannelLogout: %v", err)
	}
}

func (w *world) lives(after string, sessions ...oidc.Session) {
	w.t.Helper()
	for _, s := range sessions {
		if got, ok := w.p.Session(s.ID); !ok || got != s {
			w.t.Fatalf("after %s: Session of %s (sid %q, at %s) = %+v, %v; want it to be there still", after, s.Subject, s.ProviderID, s.Issuer, got, ok)
		}
	}
}

func (w *world) gone(after string, s oidc.Session) {
	w.t.Helper()
	if got, ok := w.p.Session(s.ID); ok {
		w.t.Fatalf("after %s: Session of %s (sid %q) = %+v, want it gone", after, s.Subject, s.ProviderID, got)
	}
}

// tampered puts another subject into a token and leaves its signature.
func tampered(token string, claims oidctest.Claims) string {
	parts := strings.Split(token, ".")
	claims["sub"] = "boss"
	parts[1] = strings.Split(oidctest.Unsigned(claims), ".")[1]
	return strings.Join(parts, ".")
}

func clone(v url.Values) url.Values {
	c := url.Values{}
	for k := range v {
		c[k] = append([]string(nil), v[k]...)
	}
	return c
}
