package web

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/requestlog"
)

// form is one of our forms, and the fields that are kept when it cannot be processed:
// because it was refused, because the session has ended, or because the user switches
// the language. A password is never kept.
type form struct {
	name   string
	page   func(r *http.Request) string // the path of the page that shows it
	fields []string
}

func on(path string) func(*http.Request) string { return func(*http.Request) string { return path } }

var (
	askFields      = &form{"ask", on("/web"), []string{"text", "limit"}}
	depositFields  = &form{"deposit", on("/web/deposit"), []string{"own", "amount", "text", "limit"}}
	refundFields   = &form{"refund", func(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, "/none-of-these") }, nil}
	asTypedFields  = &form{"astyped", func(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, "/as-typed") }, nil}
	refineFields   = &form{"refine", func(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, "/refine") }, []string{"said"}}
	confirmFields  = &form{"confirm", func(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, "/thats-it") }, nil}
	searchFields   = &form{"search", on(searchPath), []string{"words"}}
	daysFields     = &form{"days", on(historyPath), []string{"from", "to"}}
	withdrawFields = &form{"withdraw", on("/web/deposit"), []string{"withdraw", "idempotency_key"}}
	signUpFields   = &form{"signup", on("/web/signup"), []string{"email"}}
	signInFields   = &form{"signin", on("/web/signin"), []string{"email", "back"}}
	passwordFields = &form{"password", on("/web/account"), nil}
	resetFields    = &form{"reset", on(resetPath), nil}
	forgotFields   = &form{"forgot", on("/web/forgot"), []string{"email"}}
	sessionsFields = &form{"sessions", on("/web/account"), nil}
	tokenFields    = &form{"token", on(tokensPath), []string{"name", "read", "spend", "admin", "audit", "days"}}
	revokeFields   = &form{"revoke", on(tokensPath), nil}
	factorFields   = &form{"factor", on(factorPath), nil}
	passkeyFields  = &form{"passkey", on(newPasskeyPath), []string{"name"}}
	codeFields     = &form{"code", on(codePath), []string{"back"}}
	exportFields   = &form{"export", on(exportPath), nil}
	erasureFields  = &form{"erasure", on("/web/account/erasure"), []string{"credits"}}
	keepFields     = &form{"keep", on("/web/account"), nil}
	findFields     = &form{"find", on("/web/admin"), []string{"who"}}
	adjustFields   = &form{"adjust", func(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, "/adjust") },
		[]string{"direction", "amount", "kind", "reason", "reference", "idempotency_key"}}
	orderErasureFields = &form{"order_erasure", func(r *http.Request) string { return r.URL.Path }, []string{"credits", "reason"}}
	orderKeepFields    = &form{"order_keep", func(r *http.Request) string { return r.URL.Path }, []string{"reason"}}
	accessFields       = &form{"access", func(r *http.Request) string { return r.URL.Path }, []string{"reason"}}
	endAllFields       = &form{"end_all", func(r *http.Request) string { return r.URL.Path }, nil}
	filmFields         = &form{"kept_film", func(r *http.Request) string { return r.URL.Path }, append(catalog.SheetFields(), "version")}
	removeFields       = &form{"remove_film", func(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, "/remove") }, nil}
	uploadFields       = &form{"upload", on(uploadPath), nil}
	takeFields         = &form{"take", func(r *http.Request) string { return r.URL.Path }, []string{"whole"}}
	tryFields          = &form{"try", on(tryPath), []string{"text", "film"}}
	synonymsFields     = &form{"synonyms", on(synonymsPath), []string{"words", "text"}}
	trySynonymsFields  = &form{"try_synonyms", on(synonymsPath), []string{"words", "text"}}
	dropSynonymsFields = &form{"drop_synonyms", on(synonymsPath), nil}
	undoFields         = &form{"undo", on(editionsPath), nil}
	dropPasskeyFields  = &form{"passkey_remove", on(passkeysPath), nil}
	decideFields       = &form{"decide", func(r *http.Request) string { return r.URL.Path }, []string{"reason"}}

	forms = []*form{askFields, depositFields, refundFields, asTypedFields, refineFields, confirmFields, searchFields, daysFields, withdrawFields, signUpFields, signInFields, passwordFields, resetFields, forgotFields, sessionsFields, tokenFields, revokeFields, factorFields, passkeyFields, dropPasskeyFields, codeFields, exportFields, erasureFields, keepFields, findFields, adjustFields, orderErasureFields, orderKeepFields, accessFields, endAllFields, decideFields, filmFields, removeFields, uploadFields, takeFields, undoFields, tryFields, synonymsFields, trySynonymsFields, dropSynonymsFields}
)

// draft is what was typed into a form, and its refusal, if any. It is passed to the
// form's page in a cookie: if the page were the answer to the POST, the browser's Back
// would ask whether to send the form again.
type draft struct {
	Page   string        `json:"page"`
	Fields url.Values    `json:"fields"`
	Code   domain.Code   `json:"code,omitempty"`
	User   domain.UserID `json:"user,omitempty"` // who typed it; "" for a browser that was not signed in
}

// get is the text of a field.
func (d draft) get(field string) string { return d.Fields.Get(field) }

const (
	draftCookie = "kassa_draft_" // followed by the form's name
	draftMost   = 3800           // bytes of the cookie's value: browsers store 4096 with the name
	draftAge    = 600            // seconds
	draftText   = 64 << 10       // bytes of a decoded draft
)

// draftOf is the form as it was sent.
func (pc *pageContext) draftOf(f *form) draft {
	d := draft{Page: f.page(pc.r), Fields: url.Values{}}
	if pc.Person != nil {
		d.User = pc.Person.User
	}
	for _, name := range f.fields {
		if pc.r.PostForm.Has(name) {
			d.Fields.Set(name, pc.typed(name))
		}
	}
	return d
}

// saveDraft reports whether the draft fits into a cookie. 2,000 characters of ordinary
// text do; random ones may not.
func (pc *pageContext) saveDraft(f *form, d draft) bool {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		err = json.NewEncoder(w).Encode(d)
	}
	if err == nil {
		err = w.Close()
	}
	value := base64.RawURLEncoding.EncodeToString(packed.Bytes())
	if err != nil || len(value) > draftMost {
		return false
	}
	pc.setCookie(draftCookie+f.name, value, "/web", draftAge)
	return true
}

// readDraft returns the draft of the form for this page, an empty one where there is
// none, or it is another person's: one browser is used by several. A cookie can be forged: its
// content is treated as typed text.
func (pc *pageContext) readDraft(f *form) draft {
	none := draft{Fields: url.Values{}}
	c, err := pc.r.Cookie(draftCookie + f.name)
	if err != nil {
		return none
	}
	packed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return none
	}
	var d draft
	read := json.NewDecoder(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), draftText))
	if err := read.Decode(&d); err != nil || d.Fields == nil || d.Page != pc.r.URL.Path {
		return none
	}
	if d.User != "" && (pc.Person == nil || pc.Person.User != d.User) {
		return none
	}
	return d
}

// takeDraft is readDraft, and has the page clear the cookie.
func (pc *pageContext) takeDraft(f *form) draft {
	d := pc.readDraft(f)
	if d.Page != "" {
		pc.spend(draftCookie+f.name, "/web")
	}
	return d
}

// dropDrafts clears all drafts that the browser has.
func (pc *pageContext) dropDrafts() {
	for _, f := range forms {
		if _, err := pc.r.Cookie(draftCookie + f.name); err == nil {
			pc.dropDraft(f)
		}
	}
}

func (pc *pageContext) dropDraft(f *form) { pc.setCookie(draftCookie+f.name, "", "/web", -1) }

// refused redirects to the form with what was typed and the refusal. show is for a
// draft that does not fit into a cookie. Faults, which have their own page, are
// returned.
func (pc *pageContext) refused(f *form, err error, show func(status int, d draft) error) error {
	code, status, ok := pc.codeOf(err)
	if !ok {
		return err
	}
	requestlog.Of(pc.r.Context()).Forbidden = status == http.StatusForbidden
	d := pc.draftOf(f)
	d.Code = code
	return pc.back(f, d, status, show)
}

func (pc *pageContext) back(f *form, d draft, status int, show func(status int, d draft) error) error {
	if pc.saveDraft(f, d) {
		return pc.redirect(d.Page)
	}
	if err := pc.catchUp(0); err != nil {
		return err
	}
	pc.Here = d.Page
	return show(status, d)
}

// formNamed returns a form by its name, nil where there is none.
func formNamed(name string) *form {
	for _, f := range forms {
		if f.name == name {
			return f
		}
	}
	return nil
}
