package catalog

import (
	"reflect"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonFields are the fields of the parts of a film, by their names in JSON.
var jsonFields = fieldsOf(Movie{}, Person{}, Character{}, Line{}, Setting{}, Series{}, IDs{})

func fieldsOf(structs ...any) map[reflect.Type]map[string]int {
	all := make(map[reflect.Type]map[string]int, len(structs))
	for _, s := range structs {
		typ := reflect.TypeOf(s)
		fields := make(map[string]int, typ.NumField())
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			fields[name] = i
		}
		all[typ] = fields
	}
	return all
}

// jsonKinds are the kinds of values in JSON that a field may have; of those of others, an
// object or an array is read before.
var jsonKinds = map[reflect.Kind]map[jsontext.Kind]bool{
	reflect.String: {'"': true},
	reflect.Int:    {'0': true},
	reflect.Bool:   {'t': true, 'f': true},
}

// describedAs has how values of a type are described.
var describedAs = map[reflect.Type]string{
	reflect.TypeFor[string]():      "a text",
	reflect.TypeFor[int]():         "a whole number",
	reflect.TypeFor[bool]():        "true or false",
	reflect.TypeFor[[]string]():    "an array of texts",
	reflect.TypeFor[[]Person]():    "an array of people",
	reflect.TypeFor[[]Character](): "an array of characters",
	reflect.TypeFor[[]Line]():      "an array of lines",
	reflect.TypeFor[[]Setting]():   "an array of settings",
	reflect.TypeFor[Person]():      "a person with name and name_ru",
	reflect.TypeFor[Character]():   "a character with name and name_ru",
	reflect.TypeFor[Line]():        "a line with text and text_ru",
	reflect.TypeFor[Setting]():     "a setting with name and name_ru",
	reflect.TypeFor[*Series]():     "an object with name, name_ru and part",
	reflect.TypeFor[*IDs]():        "an object with imdb, kinopoisk or wikidata",
}
