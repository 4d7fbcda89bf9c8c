package formats

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// literal parses a value in Python or JSON notation: columns of TMDB's tables contain
// lists of dictionaries in single quotation marks, with None, True and False.
func literal(text string) (any, error) {
	p := literalParser{text: strings.TrimSpace(text)}
	v, err := p.value(0)
	if err == nil && p.skip() != "" {
		err = errLiteral
	}
	return v, err
}

var errLiteral = errors.New("is neither a list of Python nor one of JSON")

const literalDepth = 20

type literalParser struct{ text string }

// skip returns the rest after spaces.
func (p *literalParser) skip() string {
	p.text = strings.TrimLeft(p.text, " \t\r\n")
	return p.text
}

func (p *literalParser) value(depth int) (any, error) {
	rest := p.skip()
	switch {
	case rest == "" || depth > literalDepth:
		return nil, errLiteral
	case rest[0] == '[':
		return p.list(depth)
	case rest[0] == '{':
		return p.dictionary(depth)
	case rest[0] == '\'' || rest[0] == '"':
		return p.quoted()
	}
	end := strings.IndexAny(rest, ",]}: \t\r\n")
	if end < 0 {
		end = len(rest)
	}
	word := rest[:end]
	p.text = rest[end:]
	switch word {
	case "None", "null":
		return nil, nil
	case "True", "true":
		return true, nil
	case "False", "false":
		return false, nil
	}
	number, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return nil, errLiteral
	}
	return number, nil
}

// follow reads one of two characters.
func (p *literalParser) follow(next, end byte) (ended bool, err error) {
	rest := p.skip()
	if rest == "" || rest[0] != next && rest[0] != end {
		return false, errLiteral
	}
	p.text = rest[1:]
	return rest[0] == end, nil
}

// ends reads an end that follows at once, as in an empty list.
func (p *literalParser) ends(end byte) bool {
	p.text = p.text[1:] // the opening bracket
	if rest := p.skip(); rest != "" && rest[0] == end {
		p.text = rest[1:]
		return true
	}
	return false
}

func (p *literalParser) list(depth int) (any, error) {
	var list []any
	for ended := p.ends(']'); !ended; {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if ended, err = p.follow(',', ']'); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (p *literalParser) dictionary(depth int) (any, error) {
	all := make(map[string]any)
	for ended := p.ends('}'); !ended; {
		key, err := p.value(depth + 1)
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, errLiteral
		}
		if _, err := p.follow(':', ':'); err != nil {
			return nil, err
		}
		if all[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		if ended, err = p.follow(',', '}'); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// quoted reads a text in single or double quotation marks, with the escapes that Python
// and JSON share and Python's \x and \'.
func (p *literalParser) quoted() (any, error) {
	mark, rest := p.text[0], p.text[1:]
	var out strings.Builder
	for rest != "" {
		switch {
		case rest[0] == mark:
			p.text = rest[1:]
			return out.String(), nil
		case rest[0] != '\\':
			r, size := utf8.DecodeRuneInString(rest)
			out.WriteRune(r)
			rest = rest[size:]
		case len(rest) > 1 && (rest[1] == '/' || rest[1] == mark):
			out.WriteByte(rest[1])
			rest = rest[2:]
		default:
			r, _, tail, err := strconv.UnquoteChar(rest, mark)
			if err != nil {
				return nil, errLiteral
			}
			out.WriteRune(r)
			rest = tail
		}
	}
	return nil, errLiteral
}

// names are the names in a list of dictionaries, such as [{'id': 18, 'name': 'Drama'}];
// key is the name's key.
func names(v any, key string) []string {
	var list []string
	entries, _ := v.([]any)
	for _, e := range entries {
		if d, ok := e.(map[string]any); ok {
			if name, ok := d[key].(string); ok {
				list = append(list, name)
			}
		}
	}
	return list
}
