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
	events := []domain.Event{domain.EmailClaimed{User: ada}}
	for _, tt := range every {
		var b book
		b.write(tt.given)
		events = append(events, tt.fact(&b)...)
	}
	var b book
	b.write(facts(signedUp, deposited(30), requested("p_1", 5)))
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

// roundTrip encodes the event, and decodes it as what it says it is.
func roundTrip(t testing.TB, e domain.Event) domain.Event {
	t.Helper()
	payload, err := domain.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := domain.Decode(e.Type(), domain.SchemaVersion, payload)
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
	if domain.SchemaVersion != 1 {
		t.Fatal("the forms below are those of schema version 1")
	}
	var b book
	b.write(facts(signedUp, deposited(30)))
	for _, tt := range []struct {
		fact step
		want string
	}{
		{once(domain.EmailClaimed{User: ada}), `{"user_id":"u_ada"}`},
		{signedUp, `{"user_id":"u_ada","email_sealed":"dW5yZWFkYWJsZQ=="}`},
		{bonus(10), `{"user_id":"u_ada","amount":10,"postings":[{"account":"house:bonus","amount":-10},{"account":"user:u_ada:available","amount":10}],"available":40,"held":0}`},
		{requested("p_1", 5), `{"user_id":"u_ada","prediction_id":"p_1","text_sealed":"dW5yZWFkYWJsZQ==","price":5,"limit":10,"expires_at":"2026-03-01T12:00:00Z","postings":[{"account":"user:u_ada:available","amount":-5},{"account":"user:u_ada:held","amount":5}],"available":35,"held":5}`},
		{completed("p_1", 5), `{"user_id":"u_ada","prediction_id":"p_1","price":5,"movies":[],"model_version":"m1","catalogue_version":"c1","processing_time":0.25,"postings":[{"account":"user:u_ada:held","amount":-5},{"account":"house:revenue","amount":5}],"available":35,"held":0}`},
		{adjusted(-5, "r", ""), `{"user_id":"u_ada","admin_id":"u_root","amount":-5,"reason":"r","postings":[{"account":"house:adjustments","amount":5},{"account":"user:u_ada:available","amount":-5}],"available":30,"held":0}`},
	} {
		e := tt.fact(&b)[0]
		got, err := domain.Encode(e)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s is stored as\n%s (%v), want\n%s", e.Type(), got, err, tt.want)
		}
	}
}

func TestDecodeRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, name := range eventTypes(t) {
		for _, version := range []int{math.MinInt, -1, 0, domain.SchemaVersion + 1, math.MaxInt} {
			if e, err := domain.Decode(name, version, []byte(`{}`)); err == nil {
				t.Errorf("%s of version %d gives %v", name, version, e)
			}
		}
		for _, payload := range []string{``, `{`, `[]`, `"u_ada"`, `{"user_id":7}`, `{"user_id":"u_ada"}{}`} {
			if e, err := domain.Decode(name, domain.SchemaVersion, []byte(payload)); err == nil {
				t.Errorf("%s gives %v for %q", name, e, payload)
			}
		}
	}
	for _, name := range []domain.EventType{"", "Other", "deposited", "Deposited "} {
		if e, err := domain.Decode(name, domain.SchemaVersion, []byte(`{}`)); err == nil {
			t.Errorf("type %q gives %v", name, e)
		}
	}
}

func TestEncodeRefusesWhatJSONCannotSay(t *testing.T) {
	for _, score := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		e := domain.PredictionCompleted{User: ada, Movies: []domain.Match{{Movie: "m_1", Score: score}}}
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
