package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/deadline"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// frame is what every page needs around its own content.
type frame struct {
	*Language
	Title   string
	Section string // of the navigation, "" for none
	Form    string // the one that a change of language keeps, "" for none
	Here    string // where the language switch comes back to
	Notice  string // what the person has just done
	Person  *identity.Person
	Balance projections.Balance
	Price   domain.Credits
	Bonus   domain.Credits
}

// Switch is the language that is not shown.
func (f frame) Switch() *Language { return f.other() }

// NewKey is an Idempotency-Key for one rendered form.
func (frame) NewKey() string { return rand.Text() }

// visit is one request on its way to a page.
type visit struct {
	pages *Pages
	w     http.ResponseWriter
	r     *http.Request
	frame
	least eventstore.Position // up to where what the person sees must show the log
}

// Bounds of what a browser may send and what a page may wait for.
const (
	maxForm     = 64 << 10 // bytes
	waitViews   = 3 * time.Second
	waitCommand = 5 * time.Second
)

// enter finds out who visits, in which language, and waits for the views to know
// what the person has just done. The visit it gives can always show a refusal.
func (p *Pages) enter(w http.ResponseWriter, r *http.Request) (*visit, error) {
	v := &visit{pages: p, w: w, r: r}
	v.Language, v.Price, v.Bonus, v.Here = languageOf(r), p.Price, p.Bonus, r.URL.Path
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			if _, large := errors.AsType[*http.MaxBytesError](err); large {
				return v, err
			}
			return v, fmt.Errorf("%w: %w", errMalformed, err)
		}
	} else {
		v.Here = r.URL.RequestURI()
	}
	if person, ok := identity.From(r.Context()); ok {
		v.Person = &person
	}
	v.least = identity.Least(r.Context())
	at := v.least
	if n, ok := v.takeNote(); ok {
		at, v.Notice = n.position, n.sentence(v.Language)
	}
	return v, v.catchUp(at)
}

// catchUp waits for the views to come to a position, and reads the balance anew.
// Views that do not come in time are shown as they are.
func (v *visit) catchUp(at eventstore.Position) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), waitViews)
	defer cancel()
	switch err := v.pages.Views.Wait(ctx, at); {
	case err == nil:
		v.least = max(v.least, at)
	case !errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("wait for the views: %w", err)
	}
	if v.Person == nil {
		return nil
	}
	b, _, err := v.pages.Views.Balance(v.r.Context(), v.Person.User, v.least)
	if errors.Is(err, projections.ErrNotFound) {
		v.Person = nil
		return errBehind
	}
	v.Balance = b
	return err
}

// show renders a page.
func (v *visit) show(status int, name string, data any) error {
	html, err := render(name, data)
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Code)
	h.Set("Cache-Control", "no-store") // a balance in a cache is a wrong balance
	v.w.WriteHeader(status)
	_, _ = v.w.Write(html) // the browser has gone, or has not
	return nil
}

// send leads the browser on, with GET whatever it sent now.
func (v *visit) send(to string) error {
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// setCookie keeps a value in the browser for age seconds, for the paths below path;
// a negative age clears it.
func (v *visit) setCookie(name, value, path string, age int) {
	http.SetCookie(v.w, &http.Cookie{Name: name, Value: value, Path: path, MaxAge: age,
		HttpOnly: true, Secure: v.pages.Secure, SameSite: http.SameSiteLaxMode})
}

// sendAfter leads on after a command.
func (v *visit) sendAfter(to string, n note) error {
	v.wrote(n)
	v.leaveNote(n)
	return v.send(to)
}

// wrote lets all later pages of the person show what the command did, in whichever
// process they are made.
func (v *visit) wrote(n note) {
	if n.position == 0 || v.Person == nil { // a sign-up: nobody is let in before the views know them
		return
	}
	v.pages.Door.SetWrote(v.w, v.r, v.Person.User, n.position)
}

// toSignIn asks who it is, and remembers where they wanted to go and what they typed.
func (v *visit) toSignIn(f *form) {
	back := "/web"
	switch {
	case v.r.Method != http.MethodPost:
		back = v.Here
	case f != nil:
		back = f.page(v.r)
		v.leaveDraft(f, v.draftOf(f)) // where it does not fit, it is lost
	}
	_ = v.send("/web/signin?back=" + url.QueryEscape(back)) // send has no errors
}

// local gives the path, if it leads to a page of ours, else the front page: an
// address in a link must not send people elsewhere.
func local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.ContainsAny(to, "\\\r\n") {
		return "/web"
	}
	if clean := path.Clean(u.Path); clean != "/web" && !strings.HasPrefix(clean, "/web/") {
		return "/web"
	}
	return u.RequestURI()
}

// typed is the content of a field as it stood in the browser, which counts the end of
// a line as one character and sends it as two.
func (v *visit) typed(field string) string {
	return strings.ReplaceAll(v.r.PostForm.Get(field), "\r\n", "\n")
}

// key is the Idempotency-Key of the form that was sent.
func (v *visit) key() (string, error) {
	if key := v.r.PostForm.Get("idempotency_key"); key != "" {
		return key, nil
	}
	return "", fmt.Errorf("%w: the form has no idempotency key", errMalformed)
}

// once carries out a command of the form. Where the same form is being carried out
// already, it waits: of a double click the browser shows the second answer. Once
// begun, a command ends as it would have although the browser left: a charge
// without its deposit helps nobody.
func once[R any](v *visit, command func(ctx context.Context, key string) (R, error)) (R, error) {
	var none R
	key, err := v.key()
	if err != nil {
		return none, err
	}
	if v.Person != nil {
		if err := v.pages.Door.AllowCommand(v.Person.User); err != nil {
			return none, err
		}
	}
	firm, end := deadline.Firm(v.r.Context())
	defer end()
	ctx, cancel := context.WithTimeout(v.r.Context(), waitCommand)
	defer cancel()
	for {
		result, err := command(firm, key)
		if refusal := domain.RefusalIn(err); refusal == nil || refusal.Code != domain.KeyInProgress {
			return result, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return none, err
		}
	}
}

// faults are the sentences beside the fields of a form, by field; "" is for the
// form as a whole.
type faults map[string]string

// In is the sentence of a field, "" where it is as it should be.
func (f faults) In(field string) string { return f[field] }

// At is the same with its field's name, by which the field points to it.
func (f faults) At(field string) fault { return fault{field, f[field]} }

type fault struct{ Field, Sentence string }

// fieldOf says beside which field a refusal is told.
var fieldOf = map[domain.Code]string{
	domain.InvalidEmail: "email", domain.EmailTaken: "email", domain.WeakPassword: "password",
	domain.InvalidAmount: "amount", domain.BalanceLimit: "amount", domain.InsufficientFunds: "amount",
	domain.InvalidText: "text", domain.InvalidLimit: "limit",
	domain.InvalidReason: "reason", domain.InvalidReference: "reference",
}

// codeOf is the code of a refusal, and its status; ok is false for faults, which have a
// page of their own.
func (v *visit) codeOf(err error) (code domain.Code, status int, ok bool) {
	if refusal := domain.RefusalIn(err); refusal != nil {
		code = refusal.Code
	} else if _, many := errors.AsType[*problem.TooMany](err); many {
		code = problem.RateLimited
	} else {
		return "", 0, false
	}
	return code, problem.Status(code), true
}

// faultsOf is what a form says of the refusal that it met; available is what can be
// taken from the wallet that it is about. Without a refusal there are none.
func (v *visit) faultsOf(code domain.Code, available domain.Credits) faults {
	if code == "" {
		return nil
	}
	name := "refusal." + string(code)
	sentence := v.T(name)
	switch {
	case code == domain.InsufficientFunds:
		sentence = v.T(name, v.Credits(available))
	case sentence == name:
		sentence = v.T("refusal.other")
	}
	return faults{fieldOf[code]: sentence}
}
