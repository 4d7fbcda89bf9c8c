package web

import (
	"net/http"
	"strconv"

	"kassa/domain"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/vault"
)

const (
	tokensPath  = "/web/account/tokens"
	tokenCookie = "kassa_token"
	tokenAge    = 120 // seconds in which a new token is shown
)

type tokensPage struct {
	layout
	Made   string // the text of a token that was just made
	Tokens []tokenLine
	Name   string
	Scopes []option
	Lives  []option
	Errors fieldErrors
}

type tokenLine struct {
	vault.Token
	Rights []string // its scopes, in words
}

// option is a box or a button of a form.
type option struct {
	Value, Label, Hint string
	Chosen             bool
}

// tokens shows the person's tokens. A new one comes in a cookie of this page alone, which is
// deleted when it is shown: so it is shown once, and is in no address and no history.
func (p *Pages) tokens(pc *pageContext) error {
	made := ""
	if c, err := pc.r.Cookie(tokenCookie); err == nil && pc.r.Method == http.MethodGet {
		pc.spend(tokenCookie, tokensPath)
		if vault.TokenForm(c.Value) {
			made = c.Value
		}
	}
	return pc.showTokens(http.StatusOK, made, pc.takeDraft(tokenFields))
}

func (pc *pageContext) showTokens(status int, made string, d draft) error {
	list, err := pc.pages.Auth.Tokens(pc.r.Context(), pc.Person.User)
	if err != nil {
		return err
	}
	pc.Title, pc.Section, pc.Form = pc.T("tokens.title"), "account", tokenFields.name
	page := tokensPage{layout: pc.layout, Made: made, Name: d.get("name"), Scopes: pc.scopeChoices(d), Lives: pc.lifeChoices(d), Errors: pc.fieldErrorsOf(d.Code, 0)}
	for _, t := range list {
		line := tokenLine{Token: t}
		for _, s := range t.Scopes {
			line.Rights = append(line.Rights, pc.T("scope."+string(s)))
		}
		page.Tokens = append(page.Tokens, line)
	}
	return pc.show(status, "tokens", page)
}

func (pc *pageContext) scopeChoices(d draft) (list []option) {
	for _, s := range vault.Scopes {
		if s == vault.ScopeAdmin && !pc.Person.Admin || s == vault.ScopeAudit && !pc.Person.MayAudit() {
			continue
		}
		chosen := d.get(string(s)) != "" || d.Page == "" && s == vault.ScopeRead
		list = append(list, option{string(s), pc.T("scope." + string(s)), pc.T("scope." + string(s) + ".hint"), chosen})
	}
	return list
}

// tokenLives are the lives that the form offers, in days.
var tokenLives = []int{7, 30, identity.FirstTokenDays, identity.MaxTokenDays}

func (pc *pageContext) lifeChoices(d draft) (list []option) {
	was, err := strconv.Atoi(d.get("days"))
	if err != nil {
		was = identity.FirstTokenDays
	}
	for _, n := range tokenLives {
		list = append(list, option{Value: strconv.Itoa(n), Label: pc.N("n.days", n), Chosen: n == was})
	}
	return list
}

func (p *Pages) makeToken(pc *pageContext) error {
	order := identity.TokenOrder{Name: pc.typed("name"), Password: pc.r.PostForm.Get("password")}
	for _, s := range vault.Scopes {
		if pc.r.PostForm.Has(string(s)) {
			order.Scopes = append(order.Scopes, s)
		}
	}
	order.Days, _ = strconv.Atoi(pc.r.PostForm.Get("days")) // 0 is refused
	err := pc.giveCode()
	text := ""
	if err == nil {
		text, _, err = p.Auth.MakeToken(pc.r, *pc.Person, order)
	}
	if err != nil {
		return pc.refused(tokenFields, err, func(status int, d draft) error { return pc.showTokens(status, "", d) })
	}
	pc.setCookie(tokenCookie, text, tokensPath, tokenAge)
	return pc.redirect(tokensPath)
}

// revokeToken ends the token of the button that was pressed. One that has ended already has
// been revoked.
func (p *Pages) revokeToken(pc *pageContext) error {
	id := vault.TokenID(pc.r.PostForm.Get("revoke"))
	if !id.Valid() {
		return errMalformed
	}
	err := p.Auth.RevokeToken(pc.r.Context(), pc.Person.User, id)
	if refusal := domain.RefusalIn(err); err != nil && (refusal == nil || refusal.Code != problem.TokenNotFound) {
		return err
	}
	return pc.redirectAfter(tokensPath, flash{kind: flashToken})
}
