package main

import "math"

// Numbers of BM25, the usual ones.
const (
	saturation = 1.2
	lengthPart = 0.75
)

// keywordPart is the weight of shared stems beside the cosine. For films that
// the model was trained with, it hardly matters (0 to 1 were tried); those that
// came later are found far better with it.
const keywordPart = 0.5

// hybrid is the score that films are ranked by: the cosine of query and film,
// from -1 to 1, and the share of the query's stems that the film has, from 0
// to 1, as a keywordIndex counts it.
func hybrid(cosine, keywords float64) float64 {
	return cosine + keywordPart*keywords
}

// A keywordIndex counts the stems that a query shares with documents, by BM25.
type keywordIndex struct {
	counts  []map[string]float64
	lengths []float64 // by the mean length
	idf     map[string]float64
	rare    float64 // idf of a stem in no document
}

// newKeywordIndex indexes documents given as lists of stems.
func newKeywordIndex(documents [][]string) *keywordIndex {
	k := &keywordIndex{idf: make(map[string]float64)}
	var total float64
	for _, d := range documents {
		count := make(map[string]float64)
		for _, stem := range d {
			count[stem]++
		}
		for stem := range count {
			k.idf[stem]++
		}
		k.counts = append(k.counts, count)
		k.lengths = append(k.lengths, float64(len(d)))
		total += float64(len(d))
	}
	for i := range k.lengths {
		k.lengths[i] *= float64(len(documents)) / max(total, 1)
	}
	idf := func(df float64) float64 { return math.Log(1 + (float64(len(documents))-df+0.5)/(df+0.5)) }
	for stem, df := range k.idf {
		k.idf[stem] = idf(df)
	}
	k.rare = idf(0)
	return k
}

// scores returns the part of the query that each document has, from 0 to 1:
// its BM25 by the highest that a document could have for this query. Stems
// that no document has count, so that a query of unknown words scores low.
func (k *keywordIndex) scores(query []string) []float64 {
	scores := make([]float64, len(k.counts))
	var most float64
	for _, stem := range query {
		idf, ok := k.idf[stem]
		if !ok {
			most += k.rare
			continue
		}
		most += idf
		for i, count := range k.counts {
			n := count[stem]
			scores[i] += idf * n / (n + saturation*(1-lengthPart+lengthPart*k.lengths[i]))
		}
	}
	for i := range scores {
		scores[i] /= max(most, 1e-9)
	}
	return scores
}
