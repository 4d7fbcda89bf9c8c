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
	"unicode/utf8"

	"kassa/domain"
	"kassa/httpapi/problem"
)

// fields names the members of a JSON body and where they go: *string, *int or
// *domain.Credits.
type fields map[string]any

// readBody reads a JSON object whose members are all among the fields, each at
// most once and of its type, and says which were there. encoding/json alone would
// take other spellings of a name, the last of two members, and broken UTF-8.
func readBody(r *http.Request, into fields) (given map[string]bool, err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return nil, domain.Reject(problem.UnsupportedMedia, "the body must be application/json")
	}
	body, err := io.ReadAll(r.Body)
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, large
	}
	if err != nil || !utf8.Valid(body) {
		return nil, domain.Reject(problem.InvalidJSON, "the body is not a JSON object in UTF-8")
	}
	var whole json.RawMessage
	if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(body, &whole)); ok {
		return nil, domain.Reject(problem.InvalidJSON, "the body is not JSON: it breaks at byte %d", syntax.Offset)
	}
	// From here the body is known to be JSON, so reading its parts cannot fail.
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, domain.Reject(problem.InvalidJSON, "the body must be a JSON object")
	}
	given = map[string]bool{}
	for dec.More() {
		if err := readMember(dec, into, given); err != nil {
			return nil, err
		}
	}
	return given, nil
}

func readMember(dec *json.Decoder, into fields, given map[string]bool) error {
	key, err := dec.Token()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	name, _ := key.(string)
	target, known := into[name]
	if !known {
		return domain.Reject(problem.UnknownField, "the field %s is not known here", quoteName(name))
	}
	if given[name] {
		return domain.Reject(problem.InvalidJSON, "the field %q is given twice", name)
	}
	given[name] = true
	return set(name, target, raw)
}

// quoteName gives the beginning of a name that somebody made up.
func quoteName(name string) string {
	const most = 40
	if r := []rune(name); len(r) > most {
		name = string(r[:most]) + "…"
	}
	return strconv.Quote(name)
}

func set(name string, target any, raw json.RawMessage) error {
	switch target := target.(type) {
	case *string:
		if raw[0] != '"' {
			return domain.Reject(problem.InvalidField, "%s must be a string", name)
		}
		return json.Unmarshal(raw, target)
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
func whole(code domain.Code, name string, raw json.RawMessage) (int64, error) {
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
