package worker

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// What this package says of itself it reads back; nothing else passes, and no error
// repeats what was in the message.
func TestParseAnswer(t *testing.T) {
	e, err := Open(t.Context(), Options{ModelDir: tiny(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	want, err := e.Embed(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseAnswer(text); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v is read back as %+v, %v", want, got, err)
	}
	const rest = `,"processing_time":0.1,"model_version":"m-1"}`
	for _, message := range []string{
		"", "null", "[]", "eve@example.com", `{"request_embedding":"eve@example.com"}`,
		`{"request_embedding":[]` + rest, `{"request_embedding":null` + rest, `{"request_embedding":[NaN]` + rest,
		`{"request_embedding":[1e39]` + rest, `{"request_embedding":[-1e999]` + rest,
		`{"request_embedding":[1],"processing_time":-0.1,"model_version":"m"}`,
		`{"request_embedding":[1],"processing_time":86401,"model_version":"m"}`,
		`{"request_embedding":[1],"processing_time":0,"model_version":""}`,
		`{"request_embedding":[1],"processing_time":0,"model_version":"eve@example.com"}`,
		`{"request_embedding":[1],"processing_time":0,"model_version":"a\u001b[31m"}`,
		`{"request_embedding":[1],"processing_time":0,"model_version":"a\u202eb"}`,
		`{"request_embedding":[1],"processing_time":0,"model_version":"` + strings.Repeat("m", nameBytesMax+1) + `"}`,
		strings.Repeat(" ", answerBytesMax) + string(text),
	} {
		if _, err := ParseAnswer([]byte(message)); !errors.Is(err, ErrBadAnswer) || strings.Contains(err.Error(), "eve@") {
			t.Errorf("%.80q gives %v", message, err)
		}
	}
}
