package question

import (
	"strings"

	"kassa/catalog/words"
)

// The tables map words by their stems: before the bar is the value, after it are words
// for it, in both languages.

// filmNouns are general words for a film.
var filmNouns = stems("film films movie movies picture pictures flick flicks motion фильм кино картина кинофильм лента киношка киношку фильмец кинолента кинокартина")

// genreNouns are words for a film of a genre.
var genreNouns = table(`
action|боевик actioner экшен экшн
adventure|
animation|cartoon cartoons animation мультфильм мультик мульт анимация аниме anime мультяшка
biography|biopic байопик biography биография
comedy|comedy comedies romcom комедия ромком rom-com
crime|
documentary|documentary documentaries документалка documental
drama|drama dramas драма melodrama
fantasy|фэнтези fantasy
film-noir|noir нуар
horror|horror horrors ужастик хоррор ужасы слэшер slasher
music|
musical|musical musicals мюзикл
mystery|детектив whodunit
romance|мелодрама
science-fiction|фантастика scifi sci-fi
short|короткометражка
thriller|thriller thrillers триллер
war|
western|western westerns вестерн
`)

// genreAdjectives give the genre beside a word for a film.
var genreAdjectives = table(`
action|action
adventure|adventure приключенческий
animation|animated анимационный мультипликационный кукольный рисованный пластилиновый
biography|biographical биографический
comedy|comedic комедийный
crime|crime gangster mafia криминальный гангстерский
documentary|документальный
drama|dramatic драматический
family|family семейный
fantasy|фэнтезийный
film-noir|noir нуарный
history|historical history исторический
horror|horror
music|music
musical|musical музыкальный
mystery|mystery detective детективный
romance|romantic romance любовный романтический
science-fiction|sci-fi scifi фантастический
short|short короткометражный
sport|sports sport спортивный
thriller|
war|war военный
western|western
`)

// countryAdjectives give a film's country: codes, any of which matches.
var countryAdjectives = table(`
AR|argentine argentinian аргентинский
AM,SU|armenian армянский
AT|austrian австрийский
AU|australian aussie австралийский
BE|belgian бельгийский
BR|brazilian бразильский
BY|belarusian белорусский
CA|canadian канадский
CL|chilean чилийский
CN,HK|chinese китайский
HK|гонконгский cantonese
TW|taiwanese тайваньский
CO|colombian колумбийский
CU|cuban кубинский
CZ,CS|czech чешский
CS|czechoslovak чехословацкий
DK|danish датский
NL|dutch голландский нидерландский
EG|egyptian египетский
EE|estonian эстонский
FI|finnish финский
FR|french французский
GE,SU|georgian грузинский
DE,DD|german немецкий германский
DD|гдровский
GR|greek греческий
HU|hungarian венгерский
IS|icelandic исландский
IN|indian bollywood индийский болливудский
ID|indonesian индонезийский
IR|iranian persian иранский
IE|irish ирландский
IL|israeli израильский
IT|italian итальянский
JP|japanese японский
KZ|kazakh казахский казахстанский
KR|korean корейский южнокорейский
LV|latvian латвийский латышский
LT|lithuanian литовский
MX|mexican мексиканский
NZ|zealand новозеландский
NO|norwegian норвежский
PL|polish польский
PT|portuguese португальский
RO|romanian румынский
RU,SU|russian русский отечественный
RU|российский
RS,YU|serbian сербский
YU|yugoslav yugoslavian югославский
SU|soviet ussr советский
ES|spanish испанский
SE|swedish шведский
CH|swiss швейцарский
TH|thai тайский
TR|turkish турецкий
UA|ukrainian украинский
GB|british english британский английский
US|american hollywood американский голливудский
VN|vietnamese вьетнамский
DK,NO,SE,FI,IS|scandinavian nordic скандинавский
JP,KR,CN,HK,TW,TH,IN,VN|asian азиатский
`)

// countryNames follow "from", «из» and similar words.
var countryNames = table(`
AR|argentina аргентина
AU|australia австралия
AT|austria австрия
BE|belgium бельгия
BR|brazil бразилия
CA|canada канада
CN,HK|china китай
CZ,CS|czechia чехия
CS|czechoslovakia чехословакия
DK|denmark дания
FI|finland финляндия
FR|france франция
GE,SU|georgia грузия
DE,DD|germany германия
DD|гдр
GR|greece греция
HU|hungary венгрия
IS|iceland исландия
IN|india индия
IR|iran иран
IE|ireland ирландия
IL|israel израиль
IT|italy италия
JP|japan япония
KZ|kazakhstan казахстан
KR|korea корея
MX|mexico мексика
NL|netherlands holland голландия нидерланды
NO|norway норвегия
PL|poland польша
RO|romania румыния
RU,SU|russia россия
SU|ussr ссср союз
ES|spain испания
SE|sweden швеция
TR|turkey турция
TW|taiwan тайвань
UA|ukraine украина
GB|britain england uk британия англия великобритания
US|america usa states hollywood америка сша штаты голливуд
`)

// languageNames follow "in" and «на».
var languageNames = table(`
en|english английский
ru|russian русский
fr|french французский
de|german немецкий
it|italian итальянский
es|spanish испанский
ja|japanese японский
ko|korean корейский
zh|chinese mandarin cantonese китайский
pl|polish польский
sv|swedish шведский
da|danish датский
pt|portuguese португальский
fa|persian farsi персидский
hi|hindi хинди
uk|ukrainian украинский
ka|georgian грузинский
`)

// awardNames are found by one of their words.
var awardNames = table(`
oscar|oscar oscars оскар оскароносный academy
golden-lion|
palme-dor|cannes palme канны каннский
bafta-best-film|bafta бафта
cesar-best-film|cesar césar сезар
`)

// decadeWords name a decade by its tens.
var decadeWords = table(`
20|twenties двадцатый
30|thirties тридцатый
40|forties сороковой
50|fifties пятидесятый
60|sixties шестидесятый
70|seventies семидесятый
80|eighties восьмидесятый
90|nineties девяностый
0|noughties нулевой двухтысячный
10|десятый
`)

// numbers are the number words of lengths and parts.
var numbers = map[string]float64{
	"one": 1, "two": 2, "three": 3, "four": 4, "an": 1, "a": 1, "half": 0.5,
	"один": 1, "одного": 1, "два": 2, "двух": 2, "три": 3, "трех": 3, "четыре": 4, "четырех": 4, "полутора": 1.5, "полтора": 1.5, "пол": 0.5, "получаса": 0.5,
}

// ordinals are the parts of a series.
var ordinals = table(`
1|first первый
2|second sequel второй сиквел
3|third третий
4|fourth четвёртый
5|fifth пятый
6|sixth шестой
7|seventh седьмой
8|eighth восьмой
`)

// avoidable is what users want a film to be without. Other words after "without" belong
// to a story: "a man without memory".
var avoidable = stems(`violence gore blood murder murders killing killings death deaths sex nudity romance love kissing zombie zombies vampire vampires ghost ghosts
alien aliens monster monsters robot robots superhero superheroes magic war shooting guns singing songs music swearing drugs politics animals cruelty jumpscares cliches subtitles
насилие кровь кровища убийство убийства смерть смерти секс эротика романтика любовь поцелуй зомби вампир призрак инопланетянин монстр чудовище робот супергерой магия волшебство война стрельба оружие
песня песни музыка мат наркотики политика жестокость погоня драка мистика ужасы`)

func table(lines string) map[string]string {
	m := make(map[string]string)
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		value, list, _ := strings.Cut(strings.TrimSpace(line), "|")
		for word := range strings.FieldsSeq(list) {
			for _, w := range words.Split(word) {
				if _, ok := m[w.Stem]; !ok && len([]rune(w.Stem)) > 1 {
					m[w.Stem] = value
				}
			}
		}
	}
	return m
}

func stems(list string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range words.Split(list) {
		m[w.Stem] = true
	}
	return m
}

// isCondition reports whether a word may be part of a condition.
func isCondition(w words.Word) bool {
	for _, m := range []map[string]string{genreNouns, genreAdjectives, countryAdjectives, countryNames, languageNames, awardNames, decadeWords, ordinals} {
		if _, ok := m[w.Stem]; ok {
			return true
		}
	}
	_, bound := bounds[w.Form]
	_, number := numbers[w.Form]
	return bound || number || filmNouns[w.Stem] || avoidable[w.Stem]
}
