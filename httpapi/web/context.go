package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/bodies"
	"kassa/httpapi/deadline"
	"kassa/httpapi/editing"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// layout is the data that every page needs around its own content.
type layout struct {
	*Language
	Title   string
	Section string // in the navigation, "" for none
	Form    string // the form that a change of language keeps, "" for none
	Here    string // where the language switch returns to
	Notice  string // what the user has just done
	Person  *identity.Person
	Balance projections.Balance
	Price   domain.Credits // of an answer
	prices  domain.PriceSet
	Bonus   domain.Credits

	Description string // for search engines; "": that of the service
	Addressed   bool   // the language is part of the address

	acceptsPasskey func() (bool, error) // asked by forms that ask for a code; nil: no
}

// Switch is the other language.
func (f layout) Switch() *Language { return f.other() }

// Worth is what credits cost in money now; "" where no price of a credit is stated.
func (f layout) Worth(c domain.Credits) string {
	money, ok := audit.Worth(c, f.prices)
	if !ok {
		return ""
	}
	return f.Money(money)
}

// lowAnswers is for how many answers a balance lasts that is not low.
const lowAnswers = 3

// Low reports whether the balance is enough for an answer, and for few.
func (f layout) Low() bool {
	return f.Balance.Available >= f.Price && f.Balance.Available < lowAnswers*f.Price
}

// AnswersLeft is for how many answers the balance lasts.
func (f layout) AnswersLeft() int { return int(f.Balance.Available / f.Price) }

// Place is a position of the log.
func (f layout) Place(at eventstore.Position) string { return f.Number(int64(at)) }

// NewKey is an Idempotency-Key for one rendered form.
func (layout) NewKey() string { return rand.Text() }

// pageContext is one request for a page.
type pageContext struct {
	pages *Pages
	w     http.ResponseWriter
	r     *http.Request
	layout
	minPosition eventstore.Position // the position that reads must reach
	spent       []spent             // cookies for one page, which the page has used
}

// spent is a cookie that is cleared with the page that shows what is in it. A page that fails,
// or only leads to another, leaves it for the next one.
type spent struct{ name, path string }

func (pc *pageContext) spend(name, path string) { pc.spent = append(pc.spent, spent{name, path}) }

// Limits of what a browser may send and how long a page may wait.
const (
	maxForm     = 64 << 10 // bytes
	maxFilmForm = 1 << 20  // bytes: all fields of a film as long as they may be, encoded
	waitViews   = 3 * time.Second
	waitCommand = 5 * time.Second
)

// newContext reads the user, the language and the form, and waits for the views to have
// the user's last command. Also with an error it returns a context, which can show a
// refusal.
func (p *Pages) newContext(w http.ResponseWriter, r *http.Request) (*pageContext, error) {
	pc := &pageContext{pages: p, w: w, r: r}
	pc.Language, pc.prices, pc.Bonus, pc.Here = languageOf(r), p.Prices(r.Context()), p.Bonus, r.URL.Path
	pc.Price = pc.prices.Price
	if person, ok := identity.From(r.Context()); ok {
		pc.Person = &person
		pc.acceptsPasskey = func() (bool, error) { return p.Auth.CanGivePasskey(r, person) }
	}
	if r.Method == http.MethodPost {
		bodies.Limit(r, pc.formMost())
		if err := parseForm(r); err != nil {
			if _, large := errors.AsType[*http.MaxBytesError](err); large {
				return pc, err
			}
			return pc, fmt.Errorf("%w: %w", errMalformed, err)
		}
	} else {
		pc.Here, pc.Addressed = withoutLanguage(r.URL)
	}
	pc.minPosition = identity.MinPosition(r.Context())
	at := pc.minPosition
	if n, ok := pc.takeFlash(); ok {
		at, pc.Notice = n.position, n.sentence(pc.Language)
	}
	return pc, pc.catchUp(at)
}

// formMost is how many bytes a form may have: more, where an admin sends films.
func (pc *pageContext) formMost() int64 {
	switch path := pc.r.URL.Path; {
	case pc.Person == nil || !pc.Person.Admin:
	case path == uploadPath:
		return editing.MaxFile + maxForm
	case strings.HasPrefix(path, keptFilmPath):
		return maxFilmForm
	}
	return maxForm
}

// parseForm reads the form of a request; a file of it stays in memory, which formMost bounds.
func parseForm(r *http.Request) error {
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "multipart/form-data" {
		return r.ParseForm()
	}
	return r.ParseMultipartForm(editing.MaxFile + maxForm)
}

// catchUp waits until the views have reached the position, and reads the balance again.
// Views that are not there in time are shown as they are.
func (pc *pageContext) catchUp(at eventstore.Position) error {
	ctx, cancel := context.WithTimeout(pc.r.Context(), waitViews)
	defer cancel()
	switch err := pc.pages.Views.Wait(ctx, at); {
	case err == nil:
		pc.minPosition = max(pc.minPosition, at)
	case !errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("wait for the views: %w", err)
	}
	if pc.Person == nil {
		return nil
	}
	b, _, err := pc.pages.Views.Balance(pc.r.Context(), pc.Person.User, pc.minPosition)
	if errors.Is(err, projections.ErrNotFound) {
		pc.Person = nil
		return errBehind
	}
	pc.Balance = b
	return err
}

// show renders a page and writes it.
func (pc *pageContext) show(status int, name string, data any) error {
	html, err := render(name, data)
	if err != nil {
		return err
	}
	if name != refusalTemplate {
		for _, c := range pc.spent {
			pc.setCookie(c.name, "", c.path, -1)
		}
	}
	h := pc.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", pc.Code)
	h.Set("Cache-Control", "no-store") // a cached balance would be wrong
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	pc.w.WriteHeader(status)
	_, _ = pc.w.Write(html) // a failed write means that the browser has left
	return nil
}

// redirect sends the browser to another page, by GET.
func (pc *pageContext) redirect(to string) error {
	http.Redirect(pc.w, pc.r, to, http.StatusSeeOther)
	return nil
}

// setCookie sets a cookie for age seconds, for the paths below path; a negative age
// clears it.
func (pc *pageContext) setCookie(name, value, path string, age int) {
	http.SetCookie(pc.w, &http.Cookie{Name: name, Value: value, Path: path, MaxAge: age,
		HttpOnly: true, Secure: pc.pages.Secure, SameSite: http.SameSiteLaxMode})
}

// redirectAfter redirects after a command.
func (pc *pageContext) redirectAfter(to string, n flash) error {
	pc.setLastWrite(n)
	pc.setFlash(n)
	return pc.redirect(to)
}

// setLastWrite makes all later pages of the user show the command's effect, in
// whichever process they are made.
func (pc *pageContext) setLastWrite(n flash) {
	if n.position == 0 || pc.Person == nil { // after a sign-up the user is identified only when the views have them
		return
	}
	pc.pages.Auth.SetLastWrite(pc.w, pc.r, pc.Person.User, n.position)
}

// toSignIn redirects to the sign-in page, which returns to the requested page and keeps
// what was typed.
func (pc *pageContext) toSignIn(f *form) {
	back := "/web"
	switch {
	case pc.r.Method != http.MethodPost:
		back = pc.Here
	case f != nil:
		back = f.page(pc.r)
		pc.saveDraft(f, pc.draftOf(f)) // a draft too large for a cookie is lost
	}
	_ = pc.redirect("/web/signin?back=" + url.QueryEscape(back)) // redirect returns no errors
}

// local returns the path if it is one of our pages, else the front page: a link must
// not redirect to another site.
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

// typed is the content of a field as in the browser, which counts a line end as one
// character and sends it as two. Of a field with several values each is a line.
func (pc *pageContext) typed(field string) string {
	return strings.ReplaceAll(strings.Join(pc.r.PostForm[field], "\n"), "\r\n", "\n")
}

// key is the Idempotency-Key of the submitted form.
func (pc *pageContext) key() (string, error) {
	if key := pc.r.PostForm.Get("idempotency_key"); key != "" {
		return key, nil
	}
	return "", fmt.Errorf("%w: the form has no idempotency key", errMalformed)
}

// idempotent runs a command of the form. If the same form is being processed already,
// it waits: after a double click the browser shows the second answer. A command that
// has begun is completed although the browser leaves: a charge without its deposit is a
// loss.
func idempotent[R any](pc *pageContext, command func(ctx context.Context, key string) (R, error)) (R, error) {
	var none R
	key, err := pc.key()
	if err != nil {
		return none, err
	}
	if pc.Person != nil {
		if err := pc.pages.Auth.AllowCommand(pc.Person.User); err != nil {
			return none, err
		}
	}
	detached, end := deadline.Detached(pc.r.Context())
	defer end()
	ctx, cancel := context.WithTimeout(pc.r.Context(), waitCommand)
	defer cancel()
	for {
		result, err := command(detached, key)
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

// fieldErrors are the error sentences of a form by field; "" is for the form as a
// whole.
type fieldErrors map[string]string

// In is the sentence of a field, "" for none.
func (f fieldErrors) In(field string) string { return f[field] }

// At is the same with the field's name, by which the input refers to it.
func (f fieldErrors) At(field string) fieldError { return fieldError{field, f[field]} }

type fieldError struct{ Field, Sentence string }

// fieldOf is the field beside which a refusal is shown.
var fieldOf = map[domain.Code]string{
	domain.InvalidEmail: "email", domain.EmailTaken: "email", domain.WeakPassword: "password", problem.WrongPassword: "current",
	domain.InvalidAmount: "amount", domain.BalanceLimit: "amount", domain.InsufficientFunds: "amount",
	domain.InvalidText: "text", domain.InvalidLimit: "limit",
	problem.InvalidSynonyms: "words", problem.InvalidName: "name", problem.InvalidScope: "scopes", problem.WrongCode: "code", problem.CodeRequired: "code",
	domain.InvalidReason: "reason", domain.InvalidReference: "reference",
}

// codeOf is the code of a refusal and its status; ok is false for faults, which have
// their own page.
func (pc *pageContext) codeOf(err error) (code domain.Code, status int, ok bool) {
	if refusal := domain.RefusalIn(err); refusal != nil {
		code = refusal.Code
	} else if _, many := errors.AsType[*problem.TooMany](err); many {
		code = problem.RateLimited
	} else {
		return "", 0, false
	}
	return code, problem.Status(code), true
}

// fieldErrorsOf is what a form shows for a refusal; available is the balance that can
// be used. Without a refusal it is empty.
func (pc *pageContext) fieldErrorsOf(code domain.Code, available domain.Credits) fieldErrors {
	if code == "" {
		return nil
	}
	name := "refusal." + string(code)
	sentence := pc.T(name)
	switch {
	case code == domain.InsufficientFunds:
		sentence = pc.T(name, pc.Credits(available))
	case sentence == name:
		sentence = pc.T("refusal.other")
	}
	return fieldErrors{fieldOf[code]: sentence}
}
