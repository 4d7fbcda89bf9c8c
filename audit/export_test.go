package audit

import "kassa/eventstore"

// In tests even short logs have names in the temporary file.
func init() { usesAtOnce = 100 }

// StopAfter makes a run end with the error after a step, as a crash would.
func (a *Archiving) StopAfter(step int, err error) {
	a.reached = func(n int) error {
		if n == step {
			return err
		}
		return nil
	}
}

// SumsWith are Sums whose marks are as near to each other as a test wants.
func SumsWith(first eventstore.Position, most int) *Sums {
	s := NewSums()
	s.first, s.most = first, most
	return s
}

// Kept is how many marks there are, and how many entries between two.
func (s *Sums) Kept() (marks int, step eventstore.Position) {
	list, step := s.kept()
	return len(list), step
}

// LastTrue is lastTrue.
var LastTrue = lastTrue

// Plus, Times and Minus are the arithmetic of those who add up.
var (
	Plus  = plus[int64]
	Times = times
	Minus = minus[int64]
)
