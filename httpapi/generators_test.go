package httpapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/schema"
)

// The contract suits code generators: errors have one form for all statuses, and each
// operation lists its codes.
func TestContractNamesItsErrors(t *testing.T) {
	for path, item := range theContract(t).doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Responses.Value("default") != nil {
				t.Errorf("%s %s has a default answer", method, path)
			}
			for class, status := range map[string]int{"4XX": 499, "5XX": 599} {
				answer, codes := op.Responses.Value(class), codesOf(op, status)
				if answer == nil || answer.Value.Content["application/problem+json"].Schema.Ref != "#/components/schemas/Problem" || len(codes) == 0 {
					t.Errorf("%s %s: %s is not a problem with codes", method, path, class)
				}
				for _, code := range codes {
					if got := problem.Status(domain.Code(code)); fmt.Sprint(got)[:1] != class[:1] {
						t.Errorf("%s %s: %s is among its %s, and comes with %d", method, path, code, class, got)
					}
				}
			}
			for status, answer := range op.Responses.Map() {
				if answer.Value.Headers[problem.RequestID] == nil {
					t.Errorf("%s %s: %s has no name of the request", method, path, status)
				}
			}
		}
	}
}

// Schemas have names, from which generators name their types. Each command has an
// example key of its own: with a shared one the second command is refused.
func TestContractNamesItsParts(t *testing.T) {
	if strings.ContainsAny(string(schema.OpenAPI), "&") || !json.Valid(schema.OpenAPIJSON()) {
		t.Error("the YAML has anchors, or its JSON is none")
	}
	keys := map[any]string{}
	for path, item := range theContract(t).doc.Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			for status, answer := range op.Responses.Map() {
				for media, content := range answer.Value.Content {
					if strings.HasSuffix(media, "json") && path != "/api/openapi.json" && content.Schema.Ref == "" {
						t.Errorf("%s: the schema of %s has no name", name, status)
					}
				}
			}
			if op.RequestBody != nil && op.RequestBody.Value.Content["application/json"].Schema.Ref == "" {
				t.Errorf("%s: the schema of its body has no name", name)
			}
			for _, p := range op.Parameters {
				if !slices.Contains([]string{"Prefer", "Last-Event-ID", "If-None-Match"}, p.Value.Name) { // unknown values of these headers are ignored
					checkBounds(t, name+" "+p.Value.Name, p.Value.Schema.Value)
				}
				if p.Value.Name != "Idempotency-Key" {
					continue
				}
				if before, taken := keys[p.Value.Example]; taken || p.Value.Example == nil {
					t.Errorf("%s has the example key %v, as %q has", name, p.Value.Example, before)
				}
				keys[p.Value.Example] = name
			}
		}
	}
}

// Answers are open for new fields, requests are not, and every value has bounds.
func TestContractIsOpenAndBounded(t *testing.T) {
	sent := []string{"NewAccount", "Credentials", "NewPassword", "ForgottenPassword", "ResetPassword", "NewToken", "Password", "FactorCode", "NewPasskey", "PasskeyAnswer", "NewErasure", "NewErasureOrder", "RoleOrder", "LockOrder", "NewDecision", "Move", "Correction", "Question", "Refinement", "Feedback",
		"SavedFilm", "FilmVersion", "FilmFile", "FilmsPreview", "TakenFilms", "UndoneEdition", "TriedQuestion", "NewSynonyms", "TriedSynonyms"}
	for name, s := range theContract(t).doc.Components.Schemas {
		checkBounds(t, name, s.Value)
		closed := s.Value.AdditionalProperties.Has != nil && !*s.Value.AdditionalProperties.Has
		if s.Value.Type.Is("object") && closed != slices.Contains(sent, name) {
			t.Errorf("%s is closed for new fields: %v", name, closed)
		}
	}
}

func checkBounds(t *testing.T, name string, s *openapi3.Schema) {
	t.Helper()
	switch {
	case s.Type.Is("string"):
		if s.MaxLength == nil && s.Enum == nil {
			t.Errorf("%s has no greatest length", name)
		}
	case s.Type.Is("integer"), s.Type.Is("number"):
		sum := strings.HasPrefix(name, "TrialBalance.") // a sum over all users has no bound
		if s.Format == "" || (s.Min == nil || s.Max == nil) && !sum {
			t.Errorf("%s has no bounds or no format", name)
		}
	case s.Type.Is("array"):
		if s.MaxItems == nil {
			t.Errorf("%s has no greatest number of items", name)
		}
		checkNested(t, name+"[]", s.Items)
	}
	for field, property := range s.Properties {
		checkNested(t, name+"."+field, property)
	}
}

// checkNested passes over schemas with a name, which are checked by it: a prediction has
// follow-ups, which are predictions.
func checkNested(t *testing.T, name string, s *openapi3.SchemaRef) {
	t.Helper()
	if s.Ref == "" {
		checkBounds(t, name, s.Value)
	}
}
