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

// A form that is refused is answered with a redirect to its page: were the page the
// answer to the POST, Back would ask whether to send the form again.
func TestRefusedFormsAreRedirects(t *testing.T) {
	h, g := boss(t, "en")
	h.pay("boss@example.org", 10)
	person := "/web/admin/user/" + string(h.user("vera@example.org"))
	stranger := h.guest("en")
	for _, tt := range []struct {
		who          *guest
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

// A draft is shown once, on its own page, and holds no password.
func TestDraftIsShownOnce(t *testing.T) {
	h := open(t, options{bonus: bonus})
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

// What does not fit into a cookie comes back in the answer itself, and is not lost.
func TestDraftThatFitsNoCookie(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	text := unpackable() + "?"
	page := g.open("/web").fill("/web/ask", "text", text).is(http.StatusUnprocessableEntity).says("at most 2000 characters")
	if page.value("text") != text {
		t.Error("the question is lost")
	}
}

// unpackable is a text of the greatest length in which no two characters are alike.
func unpackable() string {
	var text strings.Builder
	for i := range domain.MaxTextRunes {
		text.WriteRune(rune(0x4E00 + i*7919%20000))
	}
	return text.String()
}

// Two thousand characters of a usual text do fit.
func TestLongDraft(t *testing.T) {
	h := open(t, options{})
	g := h.member("ru", "anna@example.org")
	text := strings.Repeat("Старик рассказывает внуку, как в молодости служил на маяке и каждую ночь ждал корабль. ", 22)
	page := g.open("/web").fill("/web/ask", "text", text).is(http.StatusOK).at("/web").says("Кредитов не хватает")
	if page.value("text") != text {
		t.Errorf("the question comes back as %d bytes of %d", len(page.value("text")), len(text))
	}
}

// A cookie that was forged shows what a person could have typed, and nothing else.
func TestForgedDrafts(t *testing.T) {
	h := open(t, options{bonus: bonus})
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

// A session that ended meanwhile does not cost what was typed, in any form.
func TestSessionEndsWhileTyping(t *testing.T) {
	h, g := boss(t, "en")
	h.pay("boss@example.org", 10)
	person := "/web/admin/user/" + string(h.user("vera@example.org"))
	for _, tt := range []struct{ page, action, field, typed string }{
		{"/web", "/web/ask", "text", "a train\nin the snow"},
		{"/web/deposit", "/web/deposit", "own", "70"},
		{"/web/deposit", "/web/withdraw", "withdraw", "3"},
		{person, person + "/adjust", "reason", "a long story"},
	} {
		form := g.open(tt.page).form(tt.action)
		form.Set(tt.field, tt.typed)
		g.open("/web").fill("/web/signout")
		door := g.send(tt.action, form).at("/web/signin")
		back := door.fill("/web/signin", "email", "boss@example.org", "password", password).at(tt.page)
		if back.value(tt.field) != tt.typed {
			t.Errorf("%s: %s comes back as %q", tt.action, tt.field, back.value(tt.field))
		}
	}
}

// A change of language keeps what was typed, but no password. Browsers send the page's
// form with it, to which the button belongs.
func TestLanguageKeepsWhatWasTyped(t *testing.T) {
	h, g := boss(t, "en")
	person := "/web/admin/user/" + string(h.user("vera@example.org"))
	for _, tt := range []struct {
		who                       *guest
		page, action, field, form string
	}{
		{g, "/web", "/web/ask", "text", "ask"},
		{g, "/web/deposit", "/web/deposit", "own", "deposit"},
		{g, person, person + "/adjust", "reason", "adjust"},
		{h.guest("en"), "/web/signup", "/web/signup", "email", "signup"},
		{h.guest("en"), "/web/signin?back=/web/deposit", "/web/signin", "email", "signin"},
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

// The end of a line is one character in the box, and two on the way here.
func TestLinesCountAsInTheBox(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	g.open("/web").fill("/web/ask", "text", strings.Repeat("a\r\n", 1000)).is(http.StatusOK).silent("at most 2000 characters")
	g.open("/web").fill("/web/ask", "text", strings.Repeat("a\r\n", 1000)+"a").is(http.StatusOK).says("at most 2000 characters")
}

// What a correction would do is decided on what the log says now, also where another
// process has written it.
func TestCheckSeesOtherProcesses(t *testing.T) {
	h, g := boss(t, "en")
	vera, boss := h.user("vera@example.org"), h.user("boss@example.org")
	address := "/web/admin/user/" + string(vera)
	form := g.open(address)
	form.fill(address+"/adjust", "amount", "1", "reason", "r").is(http.StatusOK).says("Now 10", "Then 11")

	db, err := schema.OpenSQLite(t.Context(), h.file)
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
	beside := &commands.Handler{Log: other, People: h.vault, Payments: commands.Sandbox{}, Now: h.now, Price: price, Bonus: bonus}
	if _, err := beside.Deposit(t.Context(), commands.Move{User: vera, Amount: 90}); err != nil {
		t.Fatal(err)
	}
	form.fill(address+"/adjust", "amount", "1", "reason", "r").is(http.StatusOK).says("Now 100", "Then 101")
	if _, err := beside.SetAdmin(t.Context(), boss, false); err != nil {
		t.Fatal(err)
	}
	if page := g.send(address+"/adjust", form.form(address+"/adjust")); strings.Contains(page.text, "Then") {
		t.Errorf("who is no admin any more sees %s", page.text)
	}
	if _, err := beside.SetAdmin(t.Context(), boss, true); err != nil {
		t.Fatal(err)
	}
	form.fill(address+"/adjust", "amount", "2", "reason", "r").is(http.StatusOK).says("Then 102")
	if _, err := beside.Adjust(t.Context(), commands.Adjust{Admin: boss, User: vera, Correction: domain.Correction{Amount: -100, Reason: "r"}}); err != nil {
		t.Fatal(err)
	}
	form.fill(address+"/adjust", "direction", "take", "amount", "1", "reason", "r").is(http.StatusOK).says("0 credits can be taken")
}
