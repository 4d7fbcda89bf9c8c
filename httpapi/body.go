package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"kassa/catalog/question"
	"kassa/domain"
	"kassa/httpapi/problem"
)

// fields maps the members of a JSON body to their targets: *string, *[]string, *int, *days,
// *domain.Credits, *bool, *jsontext.Value or *[]question.Filter.
type fields map[string]any

// days is the life of a personal token.
type days int

// readBody reads a JSON object whose members are all among the fields, each at most
// once and of its type. It returns the names that were present. encoding/json would
// accept other spellings of a name, keep the last of two members, and write U+FFFD for
// invalid UTF-8 and for half of a surrogate pair, so that two passwords would be equal.
func readBody(r *http.Request, into fields) (given map[string]bool, err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return nil, domain.Reject(problem.UnsupportedMedia, "the body must be application/json")
	}
	body, err := io.ReadAll(r.Body)
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, large
	}
	if err != nil {
		return nil, domain.Reject(problem.InvalidJSON, "the body did not arrive whole")
	}
	object, err := readObject(body)
	if err != nil {
		return nil, err
	}
	// The body is a valid JSON object from here on, so reading its parts cannot fail.
	dec := jsontext.NewDecoder(bytes.NewReader(object))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	given = map[string]bool{}
	for dec.PeekKind() != '}' {
		if err := readMember(dec, into, given); err != nil {
			return nil, err
		}
	}
	return given, nil
}

// readNoBody accepts no body, and an object without members.
func readNoBody(r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	_, err := readBody(r, fields{})
	return err
}

// readObject returns the single JSON object of a body.
func readObject(body []byte) (jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	object, err := dec.ReadValue()
	if err == nil {
		object = object.Clone() // the value belongs to the decoder, which reads on
		if _, err = dec.ReadToken(); err == nil {
			return nil, domain.Reject(problem.InvalidJSON, "the body goes on after its JSON object")
		}
		if err == io.EOF {
			err = nil
		}
	}
	broken, syntax := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, domain.Reject(problem.InvalidJSON, "a field is given twice, before byte %d", broken.ByteOffset)
	case syntax:
		return nil, domain.Reject(problem.InvalidJSON, "the body is not JSON in UTF-8: it breaks at byte %d", broken.ByteOffset)
	case err != nil, object.Kind() != '{':
		return nil, domain.Reject(problem.InvalidJSON, "the body must be a JSON object")
	}
	return object, nil
}

func readMember(dec *jsontext.Decoder, into fields, given map[string]bool) error {
	key, err := dec.ReadToken()
	if err != nil {
		return err
	}
	name := key.String()
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	target, known := into[name]
	if !known {
		return domain.Reject(problem.UnknownField, "the field %s is not known here", quoteName(name))
	}
	given[name] = true
	return setField(name, target, raw)
}

// maxQuotedName is how many characters of a name sent by the client are repeated.
const maxQuotedName = 40

// quoteName quotes the beginning of such a name.
func quoteName(name string) string { return strconv.Quote(truncate(name, maxQuotedName)) }

// truncate returns the beginning of a string of any length.
func truncate(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func setField(name string, target any, raw jsontext.Value) error {
	switch target := target.(type) {
	case *string:
		if raw.Kind() != '"' {
			return domain.Reject(problem.InvalidField, "%s must be a string", name)
		}
		plain, err := jsontext.AppendUnquote(nil, raw)
		*target = string(plain)
		return err
	case *[]string:
		return setList(name, target, raw)
	case *bool:
		if raw.Kind() != 't' && raw.Kind() != 'f' {
			return domain.Reject(problem.InvalidField, "%s must be true or false", name)
		}
		*target = raw.Kind() == 't'
		return nil
	case *jsontext.Value: // read by its own rules
		*target = raw.Clone()
		return nil
	case *int:
		n, err := wholeNumber(domain.InvalidLimit, name, raw)
		*target = int(n)
		return err
	case *days:
		n, err := wholeNumber(problem.InvalidExpiry, name, raw)
		*target = days(n)
		return err
	case *domain.Credits:
		n, err := wholeNumber(domain.InvalidAmount, name, raw)
		*target = domain.Credits(n)
		return err
	case *[]question.Filter:
		if raw.Kind() != '[' || jsonv2.Unmarshal(raw, target) != nil { // members that it does not know are passed over: answers may have more
			return domain.Reject(problem.InvalidField, "%s must be a list of conditions, each as an answer has it", name)
		}
		return nil
	}
	panic("a field of a type that bodies do not have")
}

// setList reads a list of strings.
func setList(name string, target *[]string, raw jsontext.Value) error {
	if raw.Kind() != '[' {
		return domain.Reject(problem.InvalidField, "%s must be a list of strings", name)
	}
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != ']' {
		item, err := dec.ReadValue()
		if err != nil {
			return err
		}
		var text string
		if err := setField("each of "+name, &text, item); err != nil {
			return err
		}
		*target = append(*target, text)
	}
	return nil
}

// wholeNumber reads an integer in plain decimal form. 1.0 and 1e3 are integers too, but
// a client that sends them computes with fractions: they are refused with the reason.
func wholeNumber(code domain.Code, name string, raw jsontext.Value) (int64, error) {
	s := string(raw)
	if s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return 0, domain.Reject(code, "%s must be a whole number", name)
	}
	if strings.ContainsAny(s, ".eE") {
		return 0, domain.Reject(code, "%s must be a whole number, without fraction or exponent", name)
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, domain.Reject(code, "%s is out of range", name)
	}
	return n, nil
}

// encode returns v as a line of JSON. The values passed to it always encode.
func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	return append(body, '\n'), err
}

// writeJSON writes v as the answer.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a failed write means that the client has left
	return nil
}
