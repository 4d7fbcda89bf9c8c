package words

import (
	"strings"

	"github.com/kljensen/snowball/english"
	"github.com/kljensen/snowball/russian"
)

// talk are words of the request itself, which carry no meaning for a film, and the
// words with й in snowball's Russian list, because normalisation changes them.
var talk = set(`
film films movie movies picture pictures cinema flick show watch watched see saw seen remember recall forgot
forget name called title find looking search something someone somewhere somehow anything thing things stuff
story plot scene scenes maybe really kind sort one guy please help want like similar also get gets got still
even ever many much lot lots make makes made go goes going come comes end ending begin beginning start starts
фильм фильма фильмы фильме фильмов фильмом кино киношка кинофильм лента картина смотрел смотрела смотрели
видел видела видели посмотреть помню помнишь забыл забыла название называется найти ищу найдите подскажите
вспомнить вспомни могу можешь можете помогите кажется наверное типа похоже похожий хочу хочется история сюжет сцена сцены начале конце конец очень
вроде пожалуйста это эта эти этот та те такая такое такие который которая которое которые которого которой
которых своя свои своего своей своих своим своими ими нею ней ему кому чему кем каждый самый мой твой свой
какой такой другой этой той моей твоей сейчас никакой какой-то который-то чей
`)

// IsStop reports whether a normalised word is a stop word.
func IsStop(form string) bool {
	return talk[form] || english.IsStopWord(form) || russian.IsStopWord(form)
}

// set normalises a list of words.
func set(list string) map[string]bool {
	out := make(map[string]bool)
	for w := range strings.FieldsSeq(list) {
		out[normalize(w)] = true
	}
	return out
}
