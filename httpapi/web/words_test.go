package web

import (
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/auditing"
	"kassa/httpapi/problem"
	"kassa/projections"
	"kassa/vault"
)

// dynamicKeys are the keys that the code composes.
func dynamicKeys() []string {
	var keys []string
	for _, s := range domain.PredictionStates {
		keys = append(keys, "state."+string(s), "charge."+string(s))
	}
	for _, s := range []domain.PredictionState{domain.StateReleased, domain.StateExpired, domain.StateRefunded} {
		keys = append(keys, "charge.back."+string(s))
	}
	for _, f := range []domain.FailureReason{domain.FailedNoMeaning, domain.FailedWorker, domain.FailedErased, domain.FailedNotFound} {
		keys = append(keys, "failure."+string(f))
	}
	for _, t := range projections.TransactionTypes {
		keys = append(keys, "type."+string(t))
	}
	for _, c := range formRefusals {
		keys = append(keys, "refusal."+string(c))
	}
	for _, status := range []string{"400", "403", "404", "405", "413", "429", "500", "503", "doubt"} {
		keys = append(keys, "error."+status, "error."+status+".text")
	}
	for _, c := range catalog.Certainties {
		keys = append(keys, "film.certainty."+string(c), "asked.certainty."+string(c))
	}
	for _, kind := range []string{"genre", "decade", "country"} {
		keys = append(keys, "films."+kind, "films."+kind+".title")
	}
	for _, s := range []domain.ProposalState{domain.ProposalApproved, domain.ProposalRejected, domain.ProposalExpired} {
		keys = append(keys, "proposal.state."+string(s))
	}
	for _, e := range []domain.EventType{domain.TypeBonusGranted, domain.TypeDeposited, domain.TypeWithdrawn, domain.TypePredictionCompleted, domain.TypePredictionRefunded,
		domain.TypeBalanceAdjusted, domain.TypeCreditsForfeited, domain.TypeBalanceMovedIn} {
		keys = append(keys, "moved."+string(e))
	}
	for _, c := range []domain.Code{problem.PeriodTooLong, problem.Archived} {
		keys = append(keys, "statement."+string(c))
	}
	for _, s := range vault.Scopes {
		keys = append(keys, "scope."+string(s), "scope."+string(s)+".hint")
	}
	for _, account := range []domain.LedgerAccount{domain.HouseCash, domain.HouseRevenue, domain.HouseForfeited, domain.HouseAdjustments, domain.HouseBonus, domain.HouseMovedIn,
		domain.HouseGivenBonus, domain.HouseGivenAdjustments, domain.HouseGivenSpent, domain.HouseGivenForfeited, domain.HouseGivenMovedIn,
		"users:available", "users:held", "users:given", "users:given_held"} {
		keys = append(keys, "audit.account."+string(account))
	}
	for _, f := range auditing.Formats {
		keys = append(keys, "audit.format."+string(f))
	}
	for _, t := range projections.ActionTypes {
		keys = append(keys, "did."+string(t))
	}
	keys = append(keys, "did.role.admin", "did.role.auditor")
	for _, m := range projections.Measures {
		if m != projections.BoughtChange && m != projections.GivenChange {
			keys = append(keys, "overview."+string(m))
		}
	}
	return append(append(keys, catalogueKeys()...), "signup.title", "signin.title", "forgot.title", "code.title")
}

// catalogueKeys are those of the pages on which admins keep the films.
func catalogueKeys() (keys []string) {
	for _, field := range catalog.SheetFields() {
		keys = append(keys, "keep.field."+field)
	}
	for _, field := range hintedFields {
		keys = append(keys, "keep.hint."+field)
	}
	for _, g := range filmForm {
		keys = append(keys, "keep.group."+g.key)
	}
	for _, lack := range catalog.Lacks() {
		keys = append(keys, "catalogue.lack."+lack.Code)
	}
	for _, kind := range catalog.FaultKinds() {
		keys = append(keys, "keep.fault."+string(kind))
	}
	for _, kind := range []catalog.EditionKind{catalog.SavedFilm, catalog.RemovedFilm, catalog.TakenUpload, catalog.Undone} {
		keys = append(keys, "edition."+string(kind))
	}
	for _, kind := range []flashKind{flashFilmSaved, flashFilmSame, flashFilmRemoved, flashFilmsTaken, flashUndone, flashFilmsBehind, flashSynonyms, flashNoSynonyms} {
		keys = append(keys, "note."+string(kind))
	}
	for _, c := range []domain.Code{problem.InvalidFilm, problem.FilmChanged, problem.FilmNotFound, problem.FilmShipped, problem.InvalidFile, problem.TooManyFilms, problem.NotUndoable, problem.UploadNotFound, problem.InvalidSynonyms, problem.TooManySynonyms, problem.SynonymsNotFound, problem.Unavailable} {
		keys = append(keys, "refusal."+string(c))
	}
	return append(keys, "change.added", "change.changed", "change.removed")
}

// Every field of a film is in its form, but the id, which its address has.
func TestFilmFormIsWhole(t *testing.T) {
	fields := []string{"id"}
	for _, g := range filmForm {
		for _, f := range g.fields {
			fields = append(fields, f.name)
		}
	}
	want := catalog.SheetFields()
	slices.Sort(fields)
	slices.Sort(want)
	if !slices.Equal(fields, want) {
		t.Errorf("the form has %v, and a film %v", fields, want)
	}
}

// formRefusals are the refusals that a form can get.
var formRefusals = []domain.Code{domain.InvalidAmount, domain.InvalidEmail, domain.InvalidText, domain.InvalidLimit,
	domain.InvalidReason, domain.InvalidReference, domain.WeakPassword, domain.EmailTaken, domain.AccountNotFound,
	domain.InsufficientFunds, domain.BalanceLimit, domain.TooManyOpen, domain.TooManyFree, domain.AlreadyRefunded,
	domain.NotRefundable, domain.RefundsOff, domain.RefundLimit, domain.AccountTooNew, domain.NotAdmin, domain.PaymentDeclined,
	domain.ErasurePending, domain.OwnErasure, domain.NoErasure, domain.OwnRole, domain.OwnLock, domain.LastAdmin, domain.Locked, domain.InvalidCredits, domain.KeyReused, domain.Busy, domain.InvalidCredentials, "rate_limited", "wrong_password", "invalid_reset_token", "mail_off",
	problem.InvalidName, problem.InvalidScope, problem.TooManyTokens,
	problem.InvalidMoment, problem.InvalidFilter, problem.Archived,
	problem.WrongCode, problem.CodeRequired, problem.SecondFactorRequired, problem.FactorActive, problem.NoFactor,
	problem.WrongPasskey, problem.PasskeyCopied, problem.NoPasskey, problem.TooManyPasskeys, problem.PasskeysUnavailable,
	domain.InvalidMovies, domain.ConversationClosed, domain.RefinementsOff, domain.RefinementLimit, domain.RefinementPending, domain.NewerAnswer,
	domain.ProposalEnded, domain.OwnProposal, domain.TooManyProposals, domain.AdminDailyLimit}

var key = regexp.MustCompile(`"([a-z]+(?:\.[a-z_0-9]+)*)"`)

// usedKeys are the keys in templates and in the code.
func usedKeys(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, k := range dynamicKeys() {
		found[k] = true
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		ours := filepath.Ext(path) == ".html" || filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go")
		if err != nil || !ours || path == "ru.go" || path == "en.go" || strings.HasPrefix(path, "words_") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range key.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestLanguagesHaveTheSameKeys(t *testing.T) {
	ru, en := slices.Sorted(maps.Keys(russianTexts)), slices.Sorted(maps.Keys(englishTexts))
	for _, k := range ru {
		if _, ok := englishTexts[k]; !ok {
			t.Errorf("%q has no English", k)
		}
	}
	for _, k := range en {
		if _, ok := russianTexts[k]; !ok {
			t.Errorf("%q has no Russian", k)
		}
	}
}

func TestEveryKeyIsUsed(t *testing.T) {
	found := usedKeys(t)
	for k := range englishTexts {
		if !found[k] {
			t.Errorf("nothing uses %q", k)
		}
	}
	for _, k := range dynamicKeys() {
		if _, ok := englishTexts[k]; !ok {
			t.Errorf("there are no words for %q", k)
		}
	}
	call := regexp.MustCompile(`\.(?:T|N) "([^"]+)"`)
	for name := range templates {
		for _, m := range call.FindAllStringSubmatch(sources(t, name), -1) {
			if _, ok := englishTexts[m[1]]; !ok {
				t.Errorf("%s asks for %q, which is not there", name, m[1])
			}
		}
	}
}

func sources(t *testing.T, name string) string {
	t.Helper()
	var all string
	for _, path := range []string{"templates/" + name + ".html", "templates/parts/parts.html", "templates/parts/layout.html", "templates/parts/films.html"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all += string(text)
	}
	return all
}

// A sentence takes as many arguments in both languages, and a plural has all its forms.
func TestSentencesTakeTheSame(t *testing.T) {
	for k, ru := range russianTexts {
		en := englishTexts[k]
		forms, formsEn := strings.Split(ru, "|"), strings.Split(en, "|")
		if strings.HasPrefix(k, "n.") {
			if len(forms) != 3 || len(formsEn) != 2 {
				t.Errorf("%q has %d forms in Russian and %d in English", k, len(forms), len(formsEn))
			}
		} else if len(forms) != 1 || len(formsEn) != 1 {
			t.Errorf("%q has forms, and is no plural", k)
		}
		for _, f := range append(forms, formsEn...) {
			if strings.Count(f, "%s") != strings.Count(forms[0], "%s") {
				t.Errorf("%q takes different arguments: %q, %q", k, forms[0], f)
			}
			if strings.TrimSpace(f) == "" {
				t.Errorf("%q is empty", k)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		l    *Language
		n    domain.Credits
		want string
	}{
		{russian, 0, "0 кредитов"}, {russian, 1, "1 кредит"}, {russian, 2, "2 кредита"}, {russian, 4, "4 кредита"},
		{russian, 5, "5 кредитов"}, {russian, 11, "11 кредитов"}, {russian, 12, "12 кредитов"}, {russian, 14, "14 кредитов"},
		{russian, 21, "21 кредит"}, {russian, 22, "22 кредита"}, {russian, 111, "111 кредитов"}, {russian, 1001, "1001 кредит"},
		{russian, 1_000_000, "1 000 000 кредитов"}, {russian, -1, "−1 кредит"},
		{english, 0, "0 credits"}, {english, 1, "1 credit"}, {english, 2, "2 credits"}, {english, 1_000_000, "1,000,000 credits"},
		{english, -12_345, "−12,345 credits"},
	} {
		if got := strings.ReplaceAll(tt.l.Credits(tt.n), "\u00a0", " "); got != tt.want {
			t.Errorf("%d is %q in %s, want %q", tt.n, got, tt.l.Code, tt.want)
		}
	}
	if got := russian.Noun(21) + " " + russian.Noun(3) + " " + english.Noun(1); got != "кредит кредита credit" {
		t.Errorf("nouns alone are %q", got)
	}
	if got := english.Signed(5) + " " + russian.Signed(-1500) + " " + english.Signed(0); got != "+5 −1500 0" {
		t.Errorf("signed amounts are %q", got)
	}
}

func TestLanguageOf(t *testing.T) {
	for _, tt := range []struct{ header, cookie, want, address string }{
		{"ru", "ru", "en", "/web?lang=en"}, {"en", "", "ru", "/web/films?page=2&lang=ru"}, {"ru", "", "ru", "/web?lang=xx"},
		{"", "", "en", ""}, {"ru", "", "ru", ""}, {"ru-RU,ru;q=0.9,en;q=0.8", "", "ru", ""}, {"en-GB,ru;q=0.5", "", "en", ""},
		{"fr", "", "en", ""}, {"fr,ru;q=0.4", "", "ru", ""}, {"en", "ru", "ru", ""}, {"ru", "en", "en", ""}, {"ru", "xx", "ru", ""}, {"=;=", "", "en", ""},
	} {
		address, err := url.Parse(tt.address)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{URL: address, Header: http.Header{"Accept-Language": {tt.header}}}
		if tt.cookie != "" {
			r.AddCookie(&http.Cookie{Name: languageCookie, Value: tt.cookie})
		}
		if got := languageOf(r).Code; got != tt.want {
			t.Errorf("%s with Accept-Language %q and cookie %q is in %s, want %s", tt.address, tt.header, tt.cookie, got, tt.want)
		}
	}
}

// The language switch and the sign-in return to our own pages only.
func TestLocal(t *testing.T) {
	for _, tt := range []struct{ to, want string }{
		{"/web", "/web"}, {"/web/deposit", "/web/deposit"}, {"/web/prediction-history?status=held&cursor=cDU", "/web/prediction-history?status=held&cursor=cDU"},
		{"", "/web"}, {"/", "/web"}, {"/api/", "/web"}, {"/website", "/web"}, {"//evil.example/web", "/web"}, {"https://evil.example/web", "/web"},
		{`/\evil.example/web`, "/web"}, {`/web\..\..`, "/web"}, {"/web/../api/", "/web"}, {"/web//evil.example", "/web//evil.example"},
		{"javascript:alert(1)", "/web"}, {"/web\r\nSet-Cookie: a=b", "/web"}, {"%zz", "/web"},
	} {
		if got := local(tt.to); got != tt.want {
			t.Errorf("%q leads to %q, want %q", tt.to, got, tt.want)
		}
	}
}

// What a page writes in a language can be typed there, with the same meaning.
func TestAmount(t *testing.T) {
	for typed, want := range map[string]domain.Credits{
		"50": 50, " 1 000 ": 1000, "1\u00a0000": 1000, "+5": 5, "": 0, "-5": 0, "−5": 0, "5.5": 0, "5,0": 0, "ten": 0, "0x10": 0, "99999999999999999999": 0,
		"1,00": 0, "1,0000": 0, ",100": 0, "1,,000": 0, "-1,000": 0, "1.000": 0,
	} {
		for _, l := range languages {
			if got := l.amount(typed); got != want {
				t.Errorf("%s: %q is %d, want %d", l.Code, typed, got, want)
			}
		}
	}
	for _, n := range []int64{1, 999, 1000, 10_000, 123_456, 1_000_000, 1_234_567_890} {
		for _, l := range languages {
			if got := l.amount(l.Number(n)); got != domain.Credits(n) {
				t.Errorf("%s writes %q and reads %d", l.Code, l.Number(n), got)
			}
		}
	}
	if got := english.amount("1,000"); got != 1000 {
		t.Errorf("English 1,000 is %d", got)
	}
	if got := russian.amount("1,000"); got != 0 {
		t.Errorf("Russian 1,000 is %d: there a comma begins a fraction", got)
	}
}
