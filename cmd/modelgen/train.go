package main

import (
	"kassa/catalog/lexicon"
	"kassa/catalog/words"
	"kassa/worker/modelfile"
)

const (
	dimensions   = 384
	sequenceMax  = 256 // a film's longest text is some 200 pieces; queries are far shorter
	wordBytesMax = 200 // 100 Cyrillic letters
)

// train makes the model: the words of the films' texts and of the lexicon in the
// feature space, projected to the dimensions in which films and groups of words differ
// most. So the lexicon also helps with films that were not in this catalogue.
func train(w weights, texts [][]string, groups []lexicon.Group) modelfile.Model {
	s := newSpace(w, groups, texts)
	var documents []map[int]float64
	var all []words.Word
	for _, film := range texts {
		sum := make(map[int]float64)
		for _, text := range film {
			for _, t := range unit(s.text(text)) {
				sum[t.feature] += t.weight
			}
			all = append(all, words.Split(text)...)
		}
		documents = append(documents, sum)
	}
	for _, g := range groups {
		sum := make(map[int]float64)
		for _, phrase := range g.Phrases {
			for feature, weight := range s.text(phrase) {
				sum[feature] += weight
			}
			all = append(all, words.Split(phrase)...)
		}
		documents = append(documents, sum)
	}
	return tabulate(s, newProjection(documents, dimensions), all)
}

// tabulate computes the row of every piece.
func tabulate(s *space, p *projection, all []words.Word) modelfile.Model {
	m := modelfile.Model{SequenceMax: sequenceMax, WordBytesMax: wordBytesMax}
	for _, special := range modelfile.Special() {
		m.Pieces = append(m.Pieces, special)
		m.Rows = append(m.Rows, make([]float32, dimensions))
	}
	folded := make(map[string][]float64) // all forms of a word have the vector of its stem
	for _, piece := range vocabulary(s, all) {
		row := make([]float32, dimensions)
		if piece.stem != "" {
			if folded[piece.stem] == nil {
				folded[piece.stem] = p.fold(s.word(piece.stem))
			}
			for i, x := range folded[piece.stem] {
				row[i] = float32(piece.factor * x)
			}
		}
		m.Pieces = append(m.Pieces, piece.text)
		m.Rows = append(m.Rows, row)
	}
	return m
}
