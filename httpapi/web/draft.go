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

	"kassa/domain"
)

// form names a form of ours and says what of it is kept when it cannot be carried out:
// because it was refused, because the session has ended, or because the reader changes
// the language in between. A password is never kept.
type form struct {
	name   string
	page   func(r *http.Request) string // the path of the page that shows it
	fields []string
}

func on(path string) func(*http.Request) string { return func(*http.Request) string { return path } }

var (
	askingForm  = &form{"ask", on("/web"), []string{"text", "limit"}}
	depositForm = &form{"deposit", on("/web/deposit"), []string{"own", "amount", "text", "limit"}}
	payoutForm  = &form{"withdraw", on("/web/deposit"), []string{"withdraw"}}
	openingForm = &form{"signup", on("/web/signup"), []string{"email"}}
	signingForm = &form{"signin", on("/web/signin"), []string{"email", "back"}}
	findingForm = &form{"find", on("/web/admin"), []string{"who"}}
	adjustment  = &form{"adjust", func(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, "/adjust") },
		[]string{"direction", "amount", "kind", "reason", "reference", "idempotency_key"}}

	forms = []*form{askingForm, depositForm, payoutForm, openingForm, signingForm, findingForm, adjustment}
)

// draft is what was typed into a form, and the refusal that it met, if any. It goes to
// the page of the form in a cookie: were the page itself the answer to the POST, Back
// would ask whether to send the form again.
type draft struct {
	Page   string      `json:"page"`
	Fields url.Values  `json:"fields"`
	Code   domain.Code `json:"code,omitempty"`
}

// get is what was typed into a field.
func (d draft) get(field string) string { return d.Fields.Get(field) }

const (
	draftCookie = "kassa_draft_" // and the name of the form
	draftMost   = 3800           // bytes of a cookie's value: browsers keep 4096 with its name
	draftAge    = 600            // seconds
	draftText   = 64 << 10       // bytes of a draft that was read
)

// draftOf is the form as it was sent.
func (v *visit) draftOf(f *form) draft {
	d := draft{Page: f.page(v.r), Fields: url.Values{}}
	for _, name := range f.fields {
		if v.r.PostForm.Has(name) {
			d.Fields.Set(name, v.typed(name))
		}
	}
	return d
}

// leaveDraft says whether the draft fits into a cookie: 2,000 characters of a text that
// people write do, of chance they may not.
func (v *visit) leaveDraft(f *form, d draft) bool {
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
	v.setCookie(draftCookie+f.name, value, "/web", draftAge)
	return true
}

// readDraft gives the draft of the form that waits for this page, an empty one where there is none.
// A cookie is the browser's: it is read as what somebody typed, and nothing more.
func (v *visit) readDraft(f *form) draft {
	none := draft{Fields: url.Values{}}
	c, err := v.r.Cookie(draftCookie + f.name)
	if err != nil {
		return none
	}
	packed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return none
	}
	var d draft
	read := json.NewDecoder(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), draftText))
	if err := read.Decode(&d); err != nil || d.Fields == nil || d.Page != v.r.URL.Path {
		return none
	}
	return d
}

// takeDraft is the same, and the next page does not find it again.
func (v *visit) takeDraft(f *form) draft {
	d := v.readDraft(f)
	if d.Page != "" {
		v.dropDraft(f)
	}
	return d
}

func (v *visit) dropDraft(f *form) { v.setCookie(draftCookie+f.name, "", "/web", -1) }

// refused leads back to the form with what was typed and why it was refused. show is
// for a draft that does not fit into a cookie. Faults, which have a page of their own,
// are returned.
func (v *visit) refused(f *form, err error, show func(status int, d draft) error) error {
	code, status, ok := v.codeOf(err)
	if !ok {
		return err
	}
	d := v.draftOf(f)
	d.Code = code
	return v.back(f, d, status, show)
}

func (v *visit) back(f *form, d draft, status int, show func(status int, d draft) error) error {
	if v.leaveDraft(f, d) {
		return v.send(d.Page)
	}
	if err := v.catchUp(0); err != nil {
		return err
	}
	v.Here = d.Page
	return show(status, d)
}

// formNamed finds a form by its name, nil where there is none.
func formNamed(name string) *form {
	for _, f := range forms {
		if f.name == name {
			return f
		}
	}
	return nil
}
