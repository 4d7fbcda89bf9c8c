package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
)

// A refused form is answered with a redirect to its page: if the page were the answer
// to the POST, Back would ask whether to send the form again.
func TestRefusedFormsAreRedirects(t *testing.T) {
	h, g := signInAdmin(t, "en")
	h.pay("boss@example.org", 10)
	person := "/web/admin/user/" + string(h.env.User("vera@example.org"))
	stranger := h.client("en")
	for _, tt := range []struct {
		who          *client
		page, action string
		fields       []string
		to           string
	}{
		{g, "/web", "/web/ask", []string{"text", "?!"}, "/web"},
		{g, "/web/deposit", "/web/deposit", []string{"own", "much"}, "/web/deposit"},
		{g, "/web/deposit", "/web/withdraw", []string{"withdraw", "much"}, "/web/deposit"},
		{g, "/web/admin", "/web/admin", []string{"who", "u_nobody"}, "/web/admin"},
		{g, person, person + "/adjust", []string{"amount", "0", "reason", "r"}, person},
		{g, person, person + "/adjust", []string{"amount", "5", "reason", "r"}, person + "/adjust"},
		{stranger, "/web/signup", "/web/signup", []string{"email", "vera", "password", password}, "/web/signup"},
		{stranger, "/web/signin", "/web/signin", []string{"email", "vera@example.org", "password", "wrong wrong"}, "/web/signin"},
	} {
		form := tt.who.open(tt.page).form(tt.action)
		for i := 0; i < len(tt.fields); i += 2 {
			form.Set(tt.fields[i], tt.fields[i+1])
		}
		kept := *tt.who.client
		kept.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		answer, err := kept.PostForm(h.url+tt.action, form)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != tt.to {
			t.Errorf("%s %v is answered %d to %q", tt.action, tt.fields, answer.StatusCode, answer.Header.Get("Location"))
		}
		if shown := tt.who.open(tt.to); shown.value(tt.fields[0]) != tt.fields[1] {
			t.Errorf("%s shows %q in %s, want %q", tt.to, shown.value(tt.fields[0]), tt.fields[0], tt.fields[1])
		}
	}
}

// A draft is shown once, on its own page, and contains no password.
func TestDraftIsShownOnce(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	form := g.open("/web").form("/web/ask")
	form.Set("text", "?!")
	if page := g.send("/web/ask", form); page.value("text") != "?!" {
		t.Errorf("the question is %q", page.value("text"))
	}
	if page := g.open("/web"); page.value("text") != "" {
		t.Errorf("a later page holds %q", page.value("text"))
	}
}

// A draft too large for a cookie is returned in the answer itself.
func TestDraftThatFitsNoCookie(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	text := unpackable() + "?"
	page := g.open("/web").fill("/web/ask", "text", text).is(http.StatusUnprocessableEntity).shows("at most 2,000 characters")
	if page.value("text") != text {
		t.Error("the question is lost")
	}
}

// unpackable is a text of the maximum length that does not compress: no two characters
// are equal.
func unpackable() string {
	var text strings.Builder
	for i := range domain.MaxTextRunes {
		text.WriteRune(rune(0x4E00 + i*7919%20000))
	}
	return text.String()
}

// Two thousand characters of ordinary text fit into the cookie.
func TestLongDraft(t *testing.T) {
	h := newFixture(t, options{})
	g := h.member("ru", "anna@example.org")
	text := strings.Repeat("Старик рассказывает внуку, как в молодости служил на маяке и каждую ночь ждал корабль. ", 22)
	page := g.open("/web").fill("/web/ask", "text", text).is(http.StatusOK).at("/web").shows("Не хватает кредитов")
	if page.value("text") != text {
		t.Errorf("the question comes back as %d bytes of %d", len(page.value("text")), len(text))
	}
}

// A forged cookie can show only what could have been typed.
func TestForgedDrafts(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	for _, value := range []string{"", "x", "....", "AAAA", strings.Repeat("A", 3900)} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/web", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(&http.Cookie{Name: "kassa_draft_ask", Value: value})
		g.do(req).is(http.StatusOK)
	}
}

// If the session ends meanwhile, what was typed is kept, in every form.
func TestSessionEndsWhileTyping(t *testing.T) {
	h, g := signInAdmin(t, "en")
	h.pay("boss@example.org", 10)
	person := "/web/admin/user/" + string(h.env.User("vera@example.org"))
	for _, tt := range []struct{ page, action, field, typed string }{
		{"/web", "/web/ask", "text", "a train\nin the snow"},
		{"/web/deposit", "/web/deposit", "own", "70"},
		{"/web/deposit", "/web/withdraw", "withdraw", "3"},
		{person, person + "/adjust", "reason", "a long story"},
	} {
		form := g.open(tt.page).form(tt.action)
		form.Set(tt.field, tt.typed)
		g.open("/web").fill("/web/signout")
		signIn := g.send(tt.action, form).at("/web/signin")
		back := signIn.fill("/web/signin", "email", "boss@example.org", "password", password).at(tt.page)
		if back.value(tt.field) != tt.typed {
			t.Errorf("%s: %s comes back as %q", tt.action, tt.field, back.value(tt.field))
		}
	}
}

// What a person typed, and searched for, is not shown to the next one who signs in with the same
// browser, whether or not the first one has signed out.
func TestDraftsAreOfOnePerson(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	h.member("en", "vera@example.org").open("/web").fill("/web/ask", "text", "a ship")
	signIn := h.client("en").open("/web/signin").form("/web/signin")
	signIn.Set("email", "vera@example.org")
	signIn.Set("password", password)
	for email, signsOut := range map[string]bool{"anna@example.org": false, "boris@example.org": true} {
		g := h.member("en", email)
		g.open("/web").fill("/web/ask", "text", "an illness")
		asked := "/web/prediction-history"
		g.open(asked).fill(asked+"/search", "words", "illness").at(asked + "/search").shows("an illness")
		deposit := g.open("/web/deposit").form("/web/deposit")
		deposit.Set("own", "much")
		unread := *g.client // the browser leaves before it is led to the form
		unread.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		refused, err := unread.PostForm(h.url+"/web/deposit", deposit)
		if err != nil {
			t.Fatal(err)
		}
		if err := refused.Body.Close(); err != nil {
			t.Fatal(err)
		}
		drafts := func() (n int) {
			for _, c := range g.client.Jar.Cookies(refused.Request.URL) {
				if strings.HasPrefix(c.Name, "kassa_draft_") {
					n++
				}
			}
			return n
		}
		if drafts() != 2 {
			t.Fatalf("the browser has %d drafts, want those of the search and of the deposit", drafts())
		}
		if signsOut {
			if g.send("/web/signout", nil); drafts() != 0 {
				t.Errorf("after the sign-out there are %d drafts", drafts())
			}
		}
		g.send("/web/signin", signIn).is(http.StatusOK)
		g.open(asked + "/search").at(asked).shows("a ship").lacks("illness")
		if own := g.open("/web/deposit").value("own"); own == "much" {
			t.Errorf("the next person is shown %q", own)
		}
	}
}

// Switching the language keeps what was typed, but no password. Browsers send the
// page's form with the button, which belongs to it.
func TestLanguageKeepsWhatWasTyped(t *testing.T) {
	h, g := signInAdmin(t, "en")
	person := "/web/admin/user/" + string(h.env.User("vera@example.org"))
	for _, tt := range []struct {
		who                       *client
		page, action, field, form string
	}{
		{g, "/web", "/web/ask", "text", "ask"},
		{g, "/web/deposit", "/web/deposit", "own", "deposit"},
		{g, person, person + "/adjust", "reason", "adjust"},
		{h.client("en"), "/web/signup", "/web/signup", "email", "signup"},
		{h.client("en"), "/web/signin?back=/web/deposit", "/web/signin", "email", "signin"},
	} {
		form := tt.who.open(tt.page).form(tt.action)
		form.Set(tt.field, "70")
		form.Set("password", password)
		form.Set("to", "ru")
		page := tt.who.send("/web/lang?form="+tt.form+"&back="+url.QueryEscape(tt.page), form)
		if page.value(tt.field) != "70" || page.value("password") != "" || page.header.Get("Content-Language") != "ru" {
			t.Errorf("%s: %q and the password %q", tt.page, page.value(tt.field), page.value("password"))
		}
		if tt.form == "signin" && page.form("/web/signin").Get("back") != "/web/deposit" {
			t.Errorf("the way back is %q", page.form("/web/signin").Get("back"))
		}
	}
}

// A line end is one character in the browser, and two in the request.
func TestLinesCountAsInTheBox(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	g.open("/web").fill("/web/ask", "text", strings.Repeat("a\r\n", 1000)).is(http.StatusOK).lacks("at most 2,000 characters")
	g.open("/web").fill("/web/ask", "text", strings.Repeat("a\r\n", 1000)+"a").is(http.StatusOK).shows("at most 2,000 characters")
}

// The preview of an adjustment is decided on the end of the log, including writes of
// other processes.
func TestCheckSeesOtherProcesses(t *testing.T) {
	h, g := signInAdmin(t, "en")
	vera, boss := h.env.User("vera@example.org"), h.env.User("boss@example.org")
	address := "/web/admin/user/" + string(vera)
	form := g.open(address)
	form.fill(address+"/adjust", "amount", "1", "reason", "r").is(http.StatusOK).shows("Before 10", "After 11")

	db, err := schema.OpenSQLite(t.Context(), h.env.Storage.Database())
	if err != nil {
		t.Fatal(err)
	}
	other, err := eventstore.SQLite(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		other.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	beside := &commands.Handler{Store: other, Vault: h.vault, Payments: commands.Sandbox{}, Now: h.now, Price: price, Bonus: bonus}
	if _, err := beside.Deposit(t.Context(), commands.Move{User: vera, Amount: 90}); err != nil {
		t.Fatal(err)
	}
	form.fill(address+"/adjust", "amount", "1", "reason", "r").is(http.StatusOK).shows("Before 100", "After 101")
	if _, err := beside.RevokeRole(t.Context(), domain.AdminRole, commands.Order{User: boss, By: "olga"}); err != nil {
		t.Fatal(err)
	}
	if page := g.send(address+"/adjust", form.form(address+"/adjust")); strings.Contains(page.text, "After") {
		t.Errorf("who is no admin any more sees %s", page.text)
	}
	if _, err := beside.GrantRole(t.Context(), domain.AdminRole, commands.Order{User: boss, By: "olga"}); err != nil {
		t.Fatal(err)
	}
	form.fill(address+"/adjust", "amount", "2", "reason", "r").is(http.StatusOK).shows("After 102")
	if _, err := beside.Adjust(t.Context(), commands.Adjust{Admin: boss, User: vera, Correction: domain.Correction{Amount: -100, Reason: "r"}}); err != nil {
		t.Fatal(err)
	}
	form.fill(address+"/adjust", "direction", "take", "amount", "1", "reason", "r").is(http.StatusOK).shows("more than is available: 0 credits")
}
