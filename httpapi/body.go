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

	"github.com/go-json-experiment/json/jsontext"

	"kassa/domain"
	"kassa/httpapi/problem"
)

// fields names the members of a JSON body and where they go: *string, *int or
// *domain.Credits.
type fields map[string]any

// readBody reads a JSON object whose members are all among the fields, each at most
// once and of its type, and says which were there. encoding/json would take other
// spellings of a name, the last of two members, and write U+FFFD for broken UTF-8
// and for half of a surrogate pair: two passwords would be one.
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
	// From here the body is known to be a JSON object, so reading its parts cannot fail.
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

// readObject gives the one JSON object of a body.
func readObject(body []byte) (jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	object, err := dec.ReadValue()
	if err == nil {
		object = object.Clone() // it is the decoder's, which goes on
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
	return set(name, target, raw)
}

// nameMost is how much of a name that a client made up is repeated, in characters.
const nameMost = 40

// quoteName gives the beginning of such a name.
func quoteName(name string) string { return strconv.Quote(bounded(name, nameMost)) }

// bounded gives the beginning of a string that may be of any length.
func bounded(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func set(name string, target any, raw jsontext.Value) error {
	switch target := target.(type) {
	case *string:
		if raw.Kind() != '"' {
			return domain.Reject(problem.InvalidField, "%s must be a string", name)
		}
		plain, err := jsontext.AppendUnquote(nil, raw)
		*target = string(plain)
		return err
	case *int:
		n, err := whole(domain.InvalidLimit, name, raw)
		*target = int(n)
		return err
	case *domain.Credits:
		n, err := whole(domain.InvalidAmount, name, raw)
		*target = domain.Credits(n)
		return err
	}
	panic("a field of a type that bodies do not have")
}

// whole reads a whole number as people write it. 1.0 and 1e3 are whole too, yet
// whoever sends them computes with fractions, and is told so.
func whole(code domain.Code, name string, raw jsontext.Value) (int64, error) {
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

// writeJSON answers with v. What it is given always encodes.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client has gone, or has not
	return nil
}
