package domain_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"kassa/domain"
)

const schemaDir = "../schema/events"

func TestEveryEventTypeHasItsSchemasAndNoOtherIsThere(t *testing.T) {
	var want, got []string
	for _, name := range eventTypes(t) {
		for version := 1; version <= name.Version(); version++ {
			want = append(want, schemaFile(name, version))
		}
	}
	entries, err := os.ReadDir(schemaDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("schema/events has\n%v, want\n%v", got, want)
	}
}

func schemaFile(name domain.EventType, version int) string {
	return fmt.Sprintf("%s.v%d.json", name, version)
}

// Payloads stored as version 1 are valid under its schema.
func TestSchemasOfVersionOne(t *testing.T) {
	for _, s := range storedAsVersionOne {
		payload, err := jsonschema.UnmarshalJSON(strings.NewReader(s.payload))
		if err != nil {
			t.Fatal(err)
		}
		if err := compileVersion(t, s.of, 1).Validate(payload); err != nil {
			t.Errorf("%s: %v", s.of, err)
		}
	}
}

// The schemas and the Go types agree: what is encoded validates, what is written
// without omitempty is required, and additional properties are refused.
func TestSchemasDescribeWhatIsEncoded(t *testing.T) {
	for _, e := range samples() {
		t.Run(string(e.Type()), func(t *testing.T) {
			schema := compile(t, e.Type())
			payload := object(t, e)
			if err := schema.Validate(payload); err != nil {
				t.Fatalf("%v does not validate: %v", payload, err)
			}
			always := slices.Sorted(maps.Keys(object(t, reflect.Zero(reflect.TypeOf(e)).Interface().(domain.Event))))
			if required := slices.Sorted(slices.Values(schema.Required)); !slices.Equal(required, always) {
				t.Errorf("requires %v, always written are %v", required, always)
			}
			if known := slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(known, fieldNames(reflect.TypeOf(e))) {
				t.Errorf("knows %v, the type has %v", known, fieldNames(reflect.TypeOf(e)))
			}
			checkClosed(t, schema, payload, payload, reflect.TypeOf(e))
		})
	}
}

// checkClosed changes one part of the payload at a time, also in its lists, and expects
// each change to be refused: a missing required property, an unknown one, one of
// another type.
func checkClosed(t *testing.T, schema *jsonschema.Schema, payload, part map[string]any, of reflect.Type) {
	t.Helper()
	refused := func(what string) {
		t.Helper()
		if err := schema.Validate(payload); err == nil {
			t.Errorf("%s validates: %v", what, payload)
		}
	}
	part["unknown"] = true
	refused("an unknown property")
	delete(part, "unknown")
	for _, f := range reflect.VisibleFields(of) {
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		was, there := part[name]
		if !there {
			continue
		}
		if rest != "omitempty" {
			delete(part, name)
			refused("without " + name)
		}
		for _, other := range wrong(f.Type) {
			part[name] = other
			refused(fmt.Sprintf("%s as %#v", name, other))
		}
		part[name] = was
		if list, ok := was.([]any); ok && len(list) > 0 && f.Type.Elem().Kind() == reflect.Struct {
			checkClosed(t, schema, payload, list[0].(map[string]any), f.Type.Elem())
		}
	}
}

// wrong is what a property of the Go type must not be in JSON.
func wrong(of reflect.Type) []any {
	list := []any{nil, true, map[string]any{}}
	switch {
	case of.Kind() == reflect.Bool:
		return []any{nil, "true", 1, map[string]any{}}
	case of == reflect.TypeFor[time.Time]():
		return append(list, 7, "yesterday", "2026-03-01", "2026-03-01T15:00:00+03:00")
	case of == reflect.TypeFor[domain.Sealed]():
		return append(list, 7, "", "no base64!", []any{})
	case of.Kind() == reflect.Slice:
		return append(list, 7, "", []any{7})
	case of.Kind() == reflect.String:
		return append(list, 7, []any{})
	case of.Kind() == reflect.Float64:
		return append(list, "7", []any{})
	}
	return append(list, "7", 7.5, []any{}) // whole numbers
}

// What the sign and the words of a value promise.
func TestSchemasRefuseWrongValues(t *testing.T) {
	for _, tt := range []struct {
		of    domain.EventType
		name  string
		value any
	}{
		{domain.TypeSignedUp, "user_id", ""},
		{domain.TypeSignedUp, "user_id", "ada"},
		{domain.TypeDeposited, "amount", 0},
		{domain.TypeDeposited, "amount", -1},
		{domain.TypeDeposited, "available", -1},
		{domain.TypeDeposited, "held", -1},
		{domain.TypeDeposited, "postings", []any{}},
		{domain.TypeDeposited, "postings", []any{map[string]any{"account": "house:cash", "amount": -1}}},
		{domain.TypePredictionRequested, "price", -1},
		{domain.TypePredictionRequested, "follow_up", map[string]any{"of": "p_1"}},
		{domain.TypePredictionRequested, "limit", 0},
		{domain.TypePredictionRequested, "prediction_id", "u_1"},
		{domain.TypePredictionFailed, "reason", "other"},
		{domain.TypePredictionCompleted, "processing_time", -0.1},
		{domain.TypePredictionCompleted, "confidence", -1},
		{domain.TypePredictionCompleted, "confidence", 1001},
		{domain.TypeBalanceAdjusted, "amount", 0},
		{domain.TypeBalanceAdjusted, "reason", ""},
		{domain.TypeBalanceAdjusted, "reference", ""},
	} {
		payload := object(t, sample(t, tt.of))
		payload[tt.name] = tt.value
		if err := compile(t, tt.of).Validate(payload); err == nil {
			t.Errorf("%s with %s %#v validates", tt.of, tt.name, tt.value)
		}
	}
}

func TestSchemaKnowsEveryFailureReason(t *testing.T) {
	for _, reason := range constants(t, "FailureReason") {
		payload := object(t, sample(t, domain.TypePredictionFailed))
		payload["reason"] = reason
		if err := compile(t, domain.TypePredictionFailed).Validate(payload); err != nil {
			t.Errorf("%s does not validate: %v", reason, err)
		}
	}
}

// Every property and every schema has a description.
func TestSchemasAreDescribed(t *testing.T) {
	for _, name := range eventTypes(t) {
		schema := compile(t, name)
		if schema.Title != string(name) || schema.Description == "" {
			t.Errorf("%s is titled %q and described by %q", name, schema.Title, schema.Description)
		}
		for property, p := range schema.Properties {
			if p.Description == "" {
				t.Errorf("%s: %s has no description", name, property)
			}
		}
	}
}

func sample(t *testing.T, of domain.EventType) domain.Event {
	t.Helper()
	events := samples()
	i := slices.IndexFunc(events, func(e domain.Event) bool { return e.Type() == of })
	if i < 0 {
		t.Fatalf("no sample of %s", of)
	}
	return events[i]
}

// compile reads the document of what is written today.
func compile(t *testing.T, name domain.EventType) *jsonschema.Schema {
	t.Helper()
	return compileVersion(t, name, name.Version())
}

func compileVersion(t *testing.T, name domain.EventType, version int) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	schema, err := c.Compile(filepath.Join(schemaDir, schemaFile(name, version)))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// object is the event's payload as JSON sees it.
func object(t *testing.T, e domain.Event) map[string]any {
	t.Helper()
	payload, err := domain.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

// fieldNames are the JSON names of a struct's fields, those of embedded structs
// included.
func fieldNames(of reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(of) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
