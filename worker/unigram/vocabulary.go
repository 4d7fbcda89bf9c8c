package unigram

import (
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"
)

// vocabulary is the pieces by id, with their scores, and sorted.
type vocabulary struct {
	pieces []string
	scores []float64
	sorted []int // ids, by piece
}

func newVocabulary(pieces []string, scores []float64) (vocabulary, error) {
	v := vocabulary{pieces, scores, make([]int, len(pieces))}
	for id := range v.sorted {
		v.sorted[id] = id
	}
	slices.SortFunc(v.sorted, func(a, b int) int { return strings.Compare(pieces[a], pieces[b]) })
	for i := 1; i < len(v.sorted); i++ {
		if piece := pieces[v.sorted[i]]; piece == pieces[v.sorted[i-1]] {
			return vocabulary{}, fmt.Errorf("the piece %q is there twice", piece)
		}
	}
	return v, nil
}

// id is that of a piece.
func (v vocabulary) id(piece string) (int, bool) {
	i, ok := slices.BinarySearchFunc(v.sorted, piece, func(id int, piece string) int { return strings.Compare(v.pieces[id], piece) })
	if !ok {
		return 0, false
	}
	return v.sorted[i], true
}

// prefixes yields length and id of each piece that a text begins with, the shortest
// first. The pieces that share what was read so far are a range of the sorted ones, in
// which the one that ends there is the first.
func (v vocabulary) prefixes(text string) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		within := v.sorted
		for n := 0; n < len(text) && len(within) > 0; n++ {
			c := text[n]
			from := sort.Search(len(within), func(i int) bool {
				p := v.pieces[within[i]]
				return len(p) > n && p[n] >= c
			})
			within = within[from:]
			to := sort.Search(len(within), func(i int) bool { return v.pieces[within[i]][n] > c })
			within = within[:to]
			if len(within) > 0 && len(v.pieces[within[0]]) == n+1 && !yield(n+1, within[0]) {
				return
			}
		}
	}
}
