package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// Label is a code in the films' JSON and its displayed names.
type Label struct {
	Code   string
	Name   string
	NameRU string
}

// In returns the name in a language: "ru", and English for all others.
func (l Label) In(language string) string {
	if language == "ru" {
		return l.NameRU
	}
	return l.Name
}

// Genre returns the label of a genre, by its code.
func Genre(code string) (Label, bool) { return find(genres, code) }

// Genres lists all genres, by code.
func Genres() []Label { return slices.Clone(genres) }

// Country returns the label of a country, by its ISO 3166-1 alpha-2 code, or by that of
// a former state (SU, YU, CS, DD).
func Country(code string) (Label, bool) { return find(countries, code) }

// Region returns the label of several countries that a question asks for by one word, by
// their codes as the question has them.
func Region(codes string) (Label, bool) { return find(regions, codes) }

// Countries lists all countries, by code.
func Countries() []Label { return slices.Clone(countries) }

func find(list []Label, code string) (Label, bool) {
	i, ok := slices.BinarySearchFunc(list, code, func(l Label, code string) int { return strings.Compare(l.Code, code) })
	if !ok {
		return Label{}, false
	}
	return list[i], true
}

var (
	genres = labels(`
action|Action|боевик
adventure|Adventure|приключения
animation|Animation|мультфильм
biography|Biography|биография
comedy|Comedy|комедия
crime|Crime|криминал
documentary|Documentary|документальный
drama|Drama|драма
family|Family|семейный
fantasy|Fantasy|фэнтези
film-noir|Film noir|нуар
history|History|история
horror|Horror|ужасы
music|Music|музыка
musical|Musical|мюзикл
mystery|Mystery|детектив
romance|Romance|мелодрама
science-fiction|Science fiction|фантастика
short|Short|короткометражка
sport|Sport|спорт
thriller|Thriller|триллер
war|War|военный
western|Western|вестерн
`)
	regions = labels(`
CN,HK|China|Китай
CZ,CS|Czechia|Чехия
DE,DD|Germany|Германия
DK,NO,SE,FI,IS|Scandinavia|Скандинавия
JP,KR,CN,HK,TW,TH,IN,VN|Asia|Азия
RS,YU|Serbia|Сербия
`)
	countries = labels(`
AE|United Arab Emirates|ОАЭ
AL|Albania|Албания
AM|Armenia|Армения
AR|Argentina|Аргентина
AT|Austria|Австрия
AU|Australia|Австралия
AZ|Azerbaijan|Азербайджан
BA|Bosnia and Herzegovina|Босния и Герцеговина
BD|Bangladesh|Бангладеш
BE|Belgium|Бельгия
BG|Bulgaria|Болгария
BO|Bolivia|Боливия
BR|Brazil|Бразилия
BY|Belarus|Беларусь
CA|Canada|Канада
CH|Switzerland|Швейцария
CL|Chile|Чили
CN|China|Китай
CO|Colombia|Колумбия
CS|Czechoslovakia|Чехословакия
CU|Cuba|Куба
CY|Cyprus|Кипр
CZ|Czechia|Чехия
DD|East Germany|ГДР
DE|Germany|Германия
DK|Denmark|Дания
DZ|Algeria|Алжир
EC|Ecuador|Эквадор
EE|Estonia|Эстония
EG|Egypt|Египет
ES|Spain|Испания
ET|Ethiopia|Эфиопия
FI|Finland|Финляндия
FR|France|Франция
GB|United Kingdom|Великобритания
GE|Georgia|Грузия
GH|Ghana|Гана
GR|Greece|Греция
HK|Hong Kong|Гонконг
HR|Croatia|Хорватия
HU|Hungary|Венгрия
ID|Indonesia|Индонезия
IE|Ireland|Ирландия
IL|Israel|Израиль
IN|India|Индия
IQ|Iraq|Ирак
IR|Iran|Иран
IS|Iceland|Исландия
IT|Italy|Италия
JM|Jamaica|Ямайка
JO|Jordan|Иордания
JP|Japan|Япония
KE|Kenya|Кения
KG|Kyrgyzstan|Киргизия
KH|Cambodia|Камбоджа
KP|North Korea|КНДР
KR|South Korea|Южная Корея
KZ|Kazakhstan|Казахстан
LB|Lebanon|Ливан
LK|Sri Lanka|Шри-Ланка
LT|Lithuania|Литва
LU|Luxembourg|Люксембург
LV|Latvia|Латвия
MA|Morocco|Марокко
MD|Moldova|Молдавия
ME|Montenegro|Черногория
MK|North Macedonia|Северная Македония
ML|Mali|Мали
MN|Mongolia|Монголия
MT|Malta|Мальта
MX|Mexico|Мексика
MY|Malaysia|Малайзия
NG|Nigeria|Нигерия
NL|Netherlands|Нидерланды
NO|Norway|Норвегия
NP|Nepal|Непал
NZ|New Zealand|Новая Зеландия
PE|Peru|Перу
PH|Philippines|Филиппины
PK|Pakistan|Пакистан
PL|Poland|Польша
PS|Palestine|Палестина
PT|Portugal|Португалия
PY|Paraguay|Парагвай
QA|Qatar|Катар
RO|Romania|Румыния
RS|Serbia|Сербия
RU|Russia|Россия
SA|Saudi Arabia|Саудовская Аравия
SE|Sweden|Швеция
SG|Singapore|Сингапур
SI|Slovenia|Словения
SK|Slovakia|Словакия
SN|Senegal|Сенегал
SU|Soviet Union|СССР
SY|Syria|Сирия
TH|Thailand|Таиланд
TJ|Tajikistan|Таджикистан
TM|Turkmenistan|Туркмения
TN|Tunisia|Тунис
TR|Türkiye|Турция
TW|Taiwan|Тайвань
UA|Ukraine|Украина
US|United States|США
UY|Uruguay|Уругвай
UZ|Uzbekistan|Узбекистан
VE|Venezuela|Венесуэла
VN|Vietnam|Вьетнам
YU|Yugoslavia|Югославия
ZA|South Africa|ЮАР
`)
)

// labels reads an embedded table; it panics if the table is invalid.
func labels(table string) []Label {
	var list []Label
	for line := range strings.Lines(strings.TrimSpace(table)) {
		part := strings.Split(strings.TrimSpace(line), "|")
		if len(part) != 3 || len(list) > 0 && list[len(list)-1].Code >= part[0] {
			panic(fmt.Sprintf("catalog: the table of labels is out of order or malformed at %q", line))
		}
		list = append(list, Label{part[0], part[1], part[2]})
	}
	return list
}
