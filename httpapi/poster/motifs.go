package poster

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

//go:embed motifs.txt
var motifsFile string

// motif is an object that a poster shows.
type motif struct {
	name   string
	weight float64 // what one of its words counts
	shapes string
}

// motifs are all objects by name, and their names by the words that ask for them.
var motifs, motifsByWord = readMotifs(motifsFile)

func readMotifs(file string) (map[string]motif, map[string][]string) {
	byName, byWord := map[string]motif{}, map[string][]string{}
	for block := range strings.SplitSeq(file, "\n\n") {
		head, shapes, _ := strings.Cut(strings.TrimSpace(block), "\n")
		words := strings.Fields(head)
		if len(words) < 3 || strings.HasPrefix(head, "#") {
			continue
		}
		weight, err := strconv.ParseFloat(words[1], 64)
		if err != nil {
			panic(fmt.Sprintf("poster: the motif %s has no weight: %v", words[0], err)) // the file is embedded
		}
		byName[words[0]] = motif{words[0], weight, shapes}
		for _, w := range words[2:] {
			byWord[w] = append(byWord[w], words[0])
		}
	}
	return byName, byWord
}

// genreMotifs are for films whose keywords name no object that is drawn.
var genreMotifs = map[string][]string{
	"action": {"plane", "car", "fire"}, "adventure": {"mountain", "ship", "balloon"}, "animation": {"bird", "balloon", "cat"}, "biography": {"book", "window", "star"},
	"comedy": {"bottle", "glasses", "suitcase"}, "crime": {"revolver", "hat", "key"}, "documentary": {"camera", "city"}, "drama": {"window", "tree", "stairs"},
	"family": {"doll", "balloon", "dog"}, "fantasy": {"castle", "crescent"}, "film-noir": {"hat", "lamp"}, "history": {"crown", "sword", "dome"}, "horror": {"ghost", "bat", "candle"},
	"music": {"guitar", "piano"}, "musical": {"dancer", "curtain"}, "mystery": {"key", "eye", "lamp"}, "romance": {"heart", "flower", "letter"}, "science-fiction": {"planet", "rocket", "atom"},
	"short": {"reel"}, "sport": {"ball", "glove"}, "thriller": {"eye", "stairs", "knife"}, "war": {"tank", "star", "boot"}, "western": {"horse", "revolver", "dunes"},
}

var anyMotif = []string{"window", "reel", "tree", "road", "eye", "umbrella", "suitcase", "clock"}

// titleWeight is what a word of the title counts, relative to one of a keyword.
const titleWeight = 2.5

// motifs are the two objects of a film's poster, the more telling first.
func (f Film) motifs() [2]motif {
	scores := map[string]float64{}
	add := func(text string, weight float64) {
		for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
			for _, name := range motifsByWord[word] {
				scores[name] += weight * motifs[name].weight
			}
		}
	}
	add(f.Title, titleWeight)
	for i, k := range f.Keywords {
		add(k, 1-0.5*float64(i)/float64(len(f.Keywords))) // the most telling come first
	}
	for _, t := range f.Themes {
		add(strings.ReplaceAll(t, "-", " "), 0.6)
	}
	for _, g := range f.Genres {
		if names := genreMotifs[g]; len(names) > 0 {
			scores[names[f.pick("motif "+g, len(names))]] += 0.25
		}
	}
	names := make([]string, 0, len(scores)+2)
	for name := range scores {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if scores[a] != scores[b] {
			if scores[a] > scores[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, more := range []string{anyMotif[f.pick("first", len(anyMotif))], "crescent", "star"} {
		if !slices.Contains(names, more) {
			names = append(names, more)
		}
	}
	return [2]motif{motifs[names[0]], motifs[names[1]]}
}

// in are the shapes in these colours.
func (m motif) in(main, accent, deep, ground string) string {
	return strings.NewReplacer(`"A"`, `"`+main+`"`, `"B"`, `"`+accent+`"`, `"C"`, `"`+deep+`"`, `"D"`, `"`+ground+`"`).Replace(m.shapes)
}
