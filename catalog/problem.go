package catalog

import (
	"cmp"
	"fmt"
	"strings"
)

// problemsMax is how many problems of a load are reported.
const problemsMax = 50

// A Problem is one thing wrong with the films of a load.
type Problem struct {
	File  string // as given; "" for a film that is not from a file
	Line  int    // from 1; 0 for none
	Movie string // id, if known
	Field string // such as cast[2].name_ru; "" for the whole film or file
	What  string // what is wrong, worded to follow the field
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

// Problems are all problems of a load, in the order of files and lines.
type Problems struct {
	List []Problem // the first 50
	More int       // number of the others
	most int       // maximum length of List; 0: 50
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

// Unwrap returns the problems to errors.As.
func (p *Problems) Unwrap() []error {
	list := make([]error, len(p.List))
	for i, problem := range p.List {
		list[i] = problem
	}
	return list
}

func (p *Problems) add(problem Problem) {
	if len(p.List) == cmp.Or(p.most, problemsMax) {
		p.More++
		return
	}
	p.List = append(p.List, problem)
}

// count is how many there are.
func (p *Problems) count() int { return len(p.List) + p.More }

// err is p, or nil if nothing is wrong.
func (p *Problems) err() error {
	if len(p.List) == 0 {
		return nil
	}
	return p
}
