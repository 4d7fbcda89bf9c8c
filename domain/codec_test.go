package domain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kassa/domain"
)

// samples are events of every type as they are decided, the first of each type
// with every field filled.
func samples() []domain.Event {
	events := []domain.Event{domain.EmailClaimed{User: ada}, domain.PaymentClaimed{User: ada},
		accepted(false), accepted(true), domain.PriceSet{Price: 5}, domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: 150}, closedPeriod}
	for _, tt := range every {
		var b book
		b.write(tt.given)
		events = append(events, tt.fact(&b)...)
	}
	var b book
	b.write(facts(signedUp, deposited(30), requested("p_1", 5)))
	events = append(append(events, samplesOfAdjustments...), samplesOfRecords...)
	return append(append(events, completed("p_1", 5)(&b)...), adjusted(5, "без ссылки \"\u2028", "")(&b)...)
}

func TestEveryEventSurvivesTheCodec(t *testing.T) {
	seen := map[domain.EventType]bool{}
	for _, e := range samples() {
		seen[e.Type()] = true
		t.Run(string(e.Type()), func(t *testing.T) {
			if got := roundTrip(t, e); !reflect.DeepEqual(got, e) {
				t.Errorf("read back\n%#v, want\n%#v", got, e)
			}
		})
	}
	for _, name := range eventTypes(t) {
		if !seen[name] {
			t.Errorf("no sample of %s", name)
		}
	}
}

// roundTrip encodes the event, and decodes it by its type and version.
func roundTrip(t testing.TB, e domain.Event) domain.Event {
	t.Helper()
	payload, err := domain.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := domain.Decode(e.Type(), domain.VersionOf(e), payload)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A payload is hashed as stored: the same event must give the same bytes.
func TestEncodeGivesTheSameBytes(t *testing.T) {
	for _, e := range samples() {
		first, err := domain.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		again, err := domain.Encode(roundTrip(t, e))
		if err != nil || string(again) != string(first) {
			t.Errorf("%s is first %s, then %s (%v)", e.Type(), first, again, err)
		}
	}
}

// The stored form is a promise to every log that exists. A change here needs a
// new schema version.
func TestStoredForm(t *testing.T) {
	var b book
	b.write(facts(signedUp, deposited(30)))
	for _, tt := range []struct {
		fact step
		want string
	}{
		{once(domain.EmailClaimed{User: ada}), `{"user_id":"u_ada"}`},
		{signedUp, `{"user_id":"u_ada","email_sealed":"dW5yZWFkYWJsZQ=="}`},
		{once(domain.PaymentClaimed{User: ada}), `{"user_id":"u_ada"}`},
		{once(accepted(true)), `{"by":"olga","report":"` + report + `","people":2,"bought":30,"given":13,"final":true}`},
		{once(domain.PriceSet{Price: 5}), `{"price":5}`},
		{once(closedPeriod), `{"admin_id":"u_root","from":"2026-01-31T21:00:00Z","until":"2026-02-28T21:00:00Z","zone":"Europe/Moscow","position":9,"digest":"` + closedPeriod.Digest + `"}`},
		{once(domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: 150}), `{"price":5,"currency":"RUB","credit_price":150}`},
		{bonus(10), `{"user_id":"u_ada","amount":10,"postings":[{"account":"house:given_bonus","amount":-10},{"account":"user:u_ada:given","amount":10}],"available":40,"held":0,"given":10,"given_held":0}`},
		{requested("p_1", 12), `{"user_id":"u_ada","prediction_id":"p_1","text_sealed":"dW5yZWFkYWJsZQ==","price":12,"limit":10,"expires_at":"2026-03-01T12:00:00Z","postings":[{"account":"user:u_ada:given","amount":-10},{"account":"user:u_ada:given_held","amount":10},{"account":"user:u_ada:available","amount":-2},{"account":"user:u_ada:held","amount":2}],"available":28,"held":12,"given":0,"given_held":10}`},
		{completed("p_1", 12), `{"user_id":"u_ada","prediction_id":"p_1","price":12,"movies":[],"model_version":"m1","catalogue_version":"c1","processing_time":0.25,"confidence":0,"postings":[{"account":"user:u_ada:given_held","amount":-10},{"account":"house:given_spent","amount":10},{"account":"user:u_ada:held","amount":-2},{"account":"house:revenue","amount":2}],"available":28,"held":0,"given":0,"given_held":0}`},
		{refunded("p_1", 12, 1), `{"user_id":"u_ada","prediction_id":"p_1","price":12,"reason":"none_of_these","number":1,"per_month":3,"account_days":0,"postings":[{"account":"house:given_spent","amount":-10},{"account":"user:u_ada:given","amount":10},{"account":"house:revenue","amount":-2},{"account":"user:u_ada:available","amount":2}],"available":40,"held":0,"given":10,"given_held":0}`},
		{requested("p_1", 12), `{"user_id":"u_ada","prediction_id":"p_1","text_sealed":"dW5yZWFkYWJsZQ==","price":12,"limit":10,"expires_at":"2026-03-01T12:00:00Z","postings":[{"account":"user:u_ada:given","amount":-10},{"account":"user:u_ada:given_held","amount":10},{"account":"user:u_ada:available","amount":-2},{"account":"user:u_ada:held","amount":2}],"available":28,"held":12,"given":0,"given_held":10}`},
		{completed("p_1", 12), `{"user_id":"u_ada","prediction_id":"p_1","price":12,"movies":[],"model_version":"m1","catalogue_version":"c1","processing_time":0.25,"confidence":0,"postings":[{"account":"user:u_ada:given_held","amount":-10},{"account":"house:given_spent","amount":10},{"account":"user:u_ada:held","amount":-2},{"account":"house:revenue","amount":2}],"available":28,"held":0,"given":0,"given_held":0}`},
		{refined("p_2", "p_1", 1, "m_1"), `{"user_id":"u_ada","prediction_id":"p_2","text_sealed":"dW5yZWFkYWJsZQ==","price":0,"limit":10,"expires_at":"2026-03-01T12:00:00Z","follow_up":{"of":"p_1","number":1,"excluded":["m_1"],"refinements":3,"within_seconds":3600},"postings":[],"available":28,"held":0,"given":0,"given_held":0}`},
		{failed("p_2", 0), `{"user_id":"u_ada","prediction_id":"p_2","price":0,"reason":"worker_failed","postings":[],"available":28,"held":0,"given":0,"given_held":0}`},
		{confirmed("p_1"), `{"user_id":"u_ada","prediction_id":"p_1","movie_id":"m_1"}`},
		{adjusted(-5, "r", ""), `{"user_id":"u_ada","admin_id":"u_root","amount":-5,"given_amount":0,"reason":"r","postings":[{"account":"house:adjustments","amount":5},{"account":"user:u_ada:available","amount":-5}],"available":23,"held":0,"given":0,"given_held":0}`},
	} {
		e := tt.fact(&b)[0]
		got, err := domain.Encode(e)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s is stored as\n%s (%v), want\n%s", e.Type(), got, err, tt.want)
		}
	}
}

// storedAsVersionOne is one life in payloads as they were written before there were two
// books.
var storedAsVersionOne = []struct {
	of      domain.EventType
	payload string
}{
	{domain.TypeSignedUp, `{"user_id":"u_ada","email_sealed":"dW5yZWFkYWJsZQ=="}`},
	{domain.TypeBonusGranted, `{"user_id":"u_ada","amount":10,"postings":[{"account":"house:bonus","amount":-10},{"account":"user:u_ada:available","amount":10}],"available":10,"held":0}`},
	{domain.TypeDeposited, `{"user_id":"u_ada","amount":30,"provider":"sandbox","payment":"pay_1","postings":[{"account":"house:cash","amount":-30},{"account":"user:u_ada:available","amount":30}],"available":40,"held":0}`},
	{domain.TypeWithdrawn, `{"user_id":"u_ada","amount":1,"provider":"sandbox","payment":"pay_2","postings":[{"account":"user:u_ada:available","amount":-1},{"account":"house:cash","amount":1}],"available":39,"held":0}`},
	{domain.TypeBalanceAdjusted, `{"user_id":"u_ada","admin_id":"u_root","amount":-5,"reason":"r","postings":[{"account":"house:adjustments","amount":5},{"account":"user:u_ada:available","amount":-5}],"available":34,"held":0}`},
	{domain.TypePredictionRequested, `{"user_id":"u_ada","prediction_id":"p_1","text_sealed":"dW5yZWFkYWJsZQ==","price":5,"limit":10,"expires_at":"2026-03-01T12:00:00Z","postings":[{"account":"user:u_ada:available","amount":-5},{"account":"user:u_ada:held","amount":5}],"available":29,"held":5}`},
	{domain.TypePredictionRequested, `{"user_id":"u_ada","prediction_id":"p_2","text_sealed":"dW5yZWFkYWJsZQ==","price":5,"limit":10,"expires_at":"2026-03-01T12:00:00Z","postings":[{"account":"user:u_ada:available","amount":-5},{"account":"user:u_ada:held","amount":5}],"available":24,"held":10}`},
	{domain.TypePredictionRequested, `{"user_id":"u_ada","prediction_id":"p_3","text_sealed":"dW5yZWFkYWJsZQ==","price":5,"limit":10,"expires_at":"2026-03-01T12:00:00Z","postings":[{"account":"user:u_ada:available","amount":-5},{"account":"user:u_ada:held","amount":5}],"available":19,"held":15}`},
	{domain.TypePredictionCompleted, `{"user_id":"u_ada","prediction_id":"p_1","price":5,"movies":[],"model_version":"m1","catalogue_version":"c1","processing_time":0.25,"postings":[{"account":"user:u_ada:held","amount":-5},{"account":"house:revenue","amount":5}],"available":19,"held":10}`},
	{domain.TypePredictionFailed, `{"user_id":"u_ada","prediction_id":"p_2","price":5,"reason":"worker_failed","postings":[{"account":"user:u_ada:held","amount":-5},{"account":"user:u_ada:available","amount":5}],"available":24,"held":5}`},
	{domain.TypePredictionExpired, `{"user_id":"u_ada","prediction_id":"p_3","price":5,"postings":[{"account":"user:u_ada:held","amount":-5},{"account":"user:u_ada:available","amount":5}],"available":29,"held":0}`},
}

// A log from before given credits keeps its meaning: credits given then can be
// withdrawn, and holds of then end as they were held.
func TestVersionOne(t *testing.T) {
	var account, held domain.Account
	for _, s := range storedAsVersionOne {
		e, err := domain.Decode(s.of, 1, []byte(s.payload))
		if err != nil {
			t.Fatal(err)
		}
		if m, moves := e.(domain.MoneyEvent); moves && !m.Money().Undivided {
			t.Errorf("%s is not marked as of version 1", s.of)
		}
		if err := account.Apply(e, noon); err != nil {
			t.Fatal(err)
		}
		if account.Held == 15 {
			held = account.Clone()
		}
	}
	if account.Available != 29 || account.Withdrawable() != 29 || account.Given != 0 {
		t.Errorf("folds to %+v", account)
	}
	for _, end := range []request{complete("p_1"), fail("p_1"), expire("p_1", noon)} {
		events, err := end(held)
		if err != nil || len(events) != 1 {
			t.Fatalf("decides %v, %v", events, err)
		}
		m := events[0].(domain.MoneyEvent).Money()
		if m.Amount(domain.HeldOf(ada)) != -5 || m.Undivided || m.Given != 0 || m.GivenHeld != 0 {
			t.Errorf("an old hold ends with %+v", events[0])
		}
	}
}

// An answer from before its confidence was stored has none, also if its payload names one.
func TestConfidenceIsUpcast(t *testing.T) {
	payload := []byte(`{"user_id":"u_ada","prediction_id":"p_1","price":5,"movies":[{"movie_id":"m_1","score":0.5}],"model_version":"m1","catalogue_version":"c1","processing_time":0.25,"confidence":950,"postings":[{"account":"user:u_ada:held","amount":-5},{"account":"house:revenue","amount":5}],"available":5,"held":0,"given":0,"given_held":0}`)
	for version, want := range map[int]int{1: 0, 2: 0, 3: 950} {
		e, err := domain.Decode(domain.TypePredictionCompleted, version, payload)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.(domain.PredictionCompleted); got.Confidence != want || got.Undivided != (version == 1) {
			t.Errorf("version %d: %+v", version, got)
		}
	}
}

func TestDecodeRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, name := range eventTypes(t) {
		for _, version := range []int{math.MinInt, -1, 0, name.Version() + 1, math.MaxInt} {
			if e, err := domain.Decode(name, version, []byte(`{}`)); err == nil {
				t.Errorf("%s of version %d gives %v", name, version, e)
			}
		}
		for _, payload := range []string{``, `{`, `[]`, `"u_ada"`, `{"user_id":7,"by":7,"price":"5","zone":1,"four_eyes_above":"7","program":7,"films":"7"}`, `{"user_id":"u_ada"}{}`} {
			for version := 1; version <= name.Version(); version++ {
				if e, err := domain.Decode(name, version, []byte(payload)); err == nil {
					t.Errorf("version %d of %s gives %v for %q", version, name, e, payload)
				}
			}
		}
	}
	for _, name := range []domain.EventType{"", "Other", "deposited", "Deposited "} {
		if e, err := domain.Decode(name, 1, []byte(`{}`)); err == nil {
			t.Errorf("type %q gives %v", name, e)
		}
	}
}

func TestEncodeRefusesWhatJSONCannotSay(t *testing.T) {
	for _, score := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		e := domain.PredictionCompleted{User: ada, Movies: []domain.Match{{MovieID: "m_1", Score: score}}}
		if payload, err := domain.Encode(e); err == nil || !strings.Contains(err.Error(), "PredictionCompleted") {
			t.Errorf("score %v gives %s and %v", score, payload, err)
		}
	}
}

// eventTypes are the declared types, sorted.
func eventTypes(t testing.TB) []domain.EventType {
	t.Helper()
	var types []domain.EventType
	for _, name := range constants(t, "EventType") {
		types = append(types, domain.EventType(name))
	}
	return types
}

// constants reads the values of the constants of a type from event.go, sorted, so
// that a new one cannot be forgotten in a table.
func constants(t testing.TB, of string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != of {
			return true
		}
		for _, v := range spec.Values {
			value, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, value)
		}
		return true
	})
	slices.Sort(list)
	if len(list) == 0 || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Fatalf("event.go declares %v of type %s", list, of)
	}
	return list
}
