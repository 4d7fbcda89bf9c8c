package question

import (
	_ "embed"
	"strings"

	"kassa/catalog/words"
)

//go:embed common.txt
var commonWords string

// common are the most frequent words of both languages, with their stems. They are
// never corrected, whether a film has them or not.
var common, commonStems = func() (map[string]string, map[string]bool) {
	forms, stems := make(map[string]string), make(map[string]bool)
	for line := range strings.Lines(commonWords) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, w := range words.Split(line) {
			forms[w.Form] = w.Stem
			stems[w.Stem] = true
		}
	}
	return forms, stems
}()
