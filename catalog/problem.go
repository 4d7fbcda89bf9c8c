package catalog

import (
	"fmt"
	"strings"
)

// problemsMax bounds how many problems of one load are told.
const problemsMax = 50

// A Problem is one thing wrong with the films of a load.
type Problem struct {
	File  string // as it was named; "" for a film that came from no file
	Line  int    // from 1; 0 if it belongs to no line
	Movie string // id, where it is known
	Field string // such as cast[2].name_ru; "" for the whole film or file
	What  string // what is wrong, to read after the field
}

func (p Problem) Error() string {
	var s strings.Builder
	switch {
	case p.Line > 0:
		fmt.Fprintf(&s, "%s:%d: ", p.File, p.Line)
	case p.File != "":
		s.WriteString(p.File + ": ")
	}
	if p.Movie != "" {
		s.WriteString(p.Movie + ": ")
	}
	if p.Field != "" {
		s.WriteString(p.Field + " ")
	}
	return s.String() + p.What
}

// Problems is all that is wrong with the films of a load, in the order of
// files and lines.
type Problems struct {
	List []Problem // the first 50
	More int       // how many others there are
}

func (p *Problems) Error() string {
	lines := make([]string, 0, len(p.List)+1)
	for _, problem := range p.List {
		lines = append(lines, problem.Error())
	}
	if p.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more problems", p.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the problems to errors.As.
func (p *Problems) Unwrap() []error {
	list := make([]error, len(p.List))
	for i, problem := range p.List {
		list[i] = problem
	}
	return list
}

func (p *Problems) add(problem Problem) {
	if len(p.List) == problemsMax {
		p.More++
		return
	}
	p.List = append(p.List, problem)
}

// err is p, or nil if nothing is wrong.
func (p *Problems) err() error {
	if len(p.List) == 0 {
		return nil
	}
	return p
}
