package catalog

import (
	"slices"
	"strings"
)

// Mood returns the label of a mood, by its code.
func Mood(code string) (Label, bool) { return find(moods, code) }

// Theme returns the label of a theme, by its code.
func Theme(code string) (Label, bool) { return find(themes, code) }

// Award returns the label of an award, by its code.
func Award(code string) (Label, bool) { return find(awards, code) }

// SpokenLanguage returns the label of a language, by its ISO 639-1 code, or by one of
// cn (Cantonese) and sh (Serbo-Croatian), which film lists have.
func SpokenLanguage(code string) (Label, bool) { return find(languages, code) }

// Moods lists all moods, by code.
func Moods() []Label { return slices.Clone(moods) }

// Themes lists all themes, by code.
func Themes() []Label { return slices.Clone(themes) }

// Awards lists all awards, by code.
func Awards() []Label { return slices.Clone(awards) }

// SpokenLanguages lists all languages, by code.
func SpokenLanguages() []Label { return slices.Clone(languages) }

// Flag returns the label of a yes/no property, by its code in a question's conditions.
func Flag(code string) (Label, bool) {
	for _, l := range []Label{blackAndWhite, silent, forChildren} {
		if strings.ReplaceAll(l.Code, "_", "-") == code {
			return l, true
		}
	}
	return Label{}, false
}

// Labels of yes/no properties.
var (
	blackAndWhite = Label{"black_and_white", "Black and white", "чёрно-белый"}
	silent        = Label{"silent", "Silent", "немой"}
	forChildren   = Label{"for_children", "For children", "для детей"}
)

var (
	moods = labels(`
absurd|Absurd|абсурдный
angry|Angry|злой
bleak|Bleak|беспросветный
calm|Calm|спокойный
cosy|Cosy|уютный
dark|Dark|мрачный
dreamy|Dreamy|мечтательный
epic|Epic|эпический
exciting|Exciting|захватывающий
festive|Festive|праздничный
funny|Funny|смешной
heartwarming|Heartwarming|душевный
hopeful|Hopeful|обнадёживающий
ironic|Ironic|ироничный
lonely|Lonely|одинокий
melancholic|Melancholic|меланхоличный
mysterious|Mysterious|загадочный
nostalgic|Nostalgic|ностальгический
playful|Playful|игривый
romantic|Romantic|романтичный
sad|Sad|грустный
scary|Scary|страшный
surreal|Surreal|сюрреалистичный
tender|Tender|нежный
tense|Tense|напряжённый
thoughtful|Thoughtful|заставляет задуматься
tragic|Tragic|трагический
uplifting|Uplifting|жизнеутверждающий
violent|Violent|жестокий
whimsical|Whimsical|причудливый
`)
	themes = labels(`
addiction|Addiction|зависимость
ageing|Ageing|старость
animals|Animals|животные
apocalypse|Apocalypse|конец света
art|Art|искусство
betrayal|Betrayal|предательство
childhood|Childhood|детство
cinema|Cinema|кинематограф
city-life|City life|жизнь в городе
class|Social class|классовое неравенство
coming-of-age|Coming of age|взросление
conspiracy|Conspiracy|заговор
courage|Courage|мужество
crime|Crime|преступление
death|Death|смерть
disability|Disability|инвалидность
disaster|Disaster|катастрофа
dreams|Dreams|сны
escape|Escape|побег
espionage|Espionage|шпионаж
faith|Faith|вера
family|Family|семья
fate|Fate|судьба
food|Food|еда
friendship|Friendship|дружба
ghosts|Ghosts|призраки
grief|Grief|горе
growing-old-together|Growing old together|старость вдвоём
heist|Heist|ограбление
identity|Identity|поиски себя
illness|Illness|болезнь
immigration|Immigration|эмиграция
infidelity|Infidelity|измена
investigation|Investigation|расследование
journalism|Journalism|журналистика
justice|Justice|справедливость
law|Law|закон
loneliness|Loneliness|одиночество
love|Love|любовь
madness|Madness|безумие
magic|Magic|магия
marriage|Marriage|брак
masculinity|Masculinity|мужественность
medicine|Medicine|медицина
memory|Memory|память
money|Money|деньги
monsters|Monsters|чудовища
music|Music|музыка
nature|Nature|природа
parenthood|Parenthood|родители и дети
police|Police|полиция
politics|Politics|политика
poverty|Poverty|бедность
power|Power|власть
prison|Prison|тюрьма
racism|Racism|расизм
revenge|Revenge|месть
robots|Robots|роботы
rural-life|Rural life|жизнь в деревне
sacrifice|Sacrifice|самопожертвование
school|School|школа
sea|Sea|море
siblings|Siblings|братья и сёстры
small-town|Small town|маленький город
space|Space|космос
sport|Sport|спорт
superheroes|Superheroes|супергерои
survival|Survival|выживание
technology|Technology|технологии
theatre|Theatre|театр
time|Time|время
totalitarianism|Totalitarianism|тоталитаризм
travel|Travel|путешествие
vampires|Vampires|вампиры
war|War|война
winter|Winter|зима
women|Women|женщины
work|Work|работа
zombies|Zombies|зомби
`)
	awards = labels(`
bafta-best-film|BAFTA for best film|премия BAFTA за лучший фильм
cesar-best-film|César for best film|«Сезар» за лучший фильм
golden-bear|Golden Bear|«Золотой медведь»
golden-lion|Golden Lion|«Золотой лев»
nika-best-film|Nika for best film|«Ника» за лучший фильм
oscar-animated|Oscar for best animated film|«Оскар» за лучший мультфильм
oscar-best-picture|Oscar for best picture|«Оскар» за лучший фильм
oscar-documentary|Oscar for best documentary|«Оскар» за лучший документальный фильм
oscar-international|Oscar for best international film|«Оскар» за лучший фильм на иностранном языке
palme-dor|Palme d'Or|«Золотая пальмовая ветвь»
`)
	languages = labels(`
ab|Abkhaz|абхазский
af|Afrikaans|африкаанс
am|Amharic|амхарский
ar|Arabic|арабский
as|Assamese|ассамский
av|Avar|аварский
ay|Aymara|аймара
az|Azerbaijani|азербайджанский
ba|Bashkir|башкирский
be|Belarusian|белорусский
bg|Bulgarian|болгарский
bm|Bambara|бамбара
bn|Bengali|бенгальский
bo|Tibetan|тибетский
br|Breton|бретонский
bs|Bosnian|боснийский
ca|Catalan|каталанский
ce|Chechen|чеченский
cn|Cantonese|кантонский
co|Corsican|корсиканский
cr|Cree|кри
cs|Czech|чешский
cv|Chuvash|чувашский
cy|Welsh|валлийский
da|Danish|датский
de|German|немецкий
dv|Maldivian|мальдивский
dz|Dzongkha|дзонг-кэ
ee|Ewe|эве
el|Greek|греческий
en|English|английский
eo|Esperanto|эсперанто
es|Spanish|испанский
et|Estonian|эстонский
eu|Basque|баскский
fa|Persian|персидский
ff|Fula|фула
fi|Finnish|финский
fj|Fijian|фиджийский
fo|Faroese|фарерский
fr|French|французский
fy|Frisian|фризский
ga|Irish|ирландский
gd|Scottish Gaelic|шотландский гэльский
gl|Galician|галисийский
gn|Guarani|гуарани
gu|Gujarati|гуджарати
ha|Hausa|хауса
he|Hebrew|иврит
hi|Hindi|хинди
hr|Croatian|хорватский
ht|Haitian Creole|гаитянский
hu|Hungarian|венгерский
hy|Armenian|армянский
id|Indonesian|индонезийский
ig|Igbo|игбо
is|Icelandic|исландский
it|Italian|итальянский
iu|Inuktitut|инуктитут
ja|Japanese|японский
jv|Javanese|яванский
ka|Georgian|грузинский
ki|Kikuyu|кикуйю
kk|Kazakh|казахский
kl|Greenlandic|гренландский
km|Khmer|кхмерский
kn|Kannada|каннада
ko|Korean|корейский
ku|Kurdish|курдский
kv|Komi|коми
ky|Kyrgyz|киргизский
la|Latin|латынь
lb|Luxembourgish|люксембургский
lg|Luganda|луганда
ln|Lingala|лингала
lo|Lao|лаосский
lt|Lithuanian|литовский
lv|Latvian|латышский
mg|Malagasy|малагасийский
mi|Maori|маори
mk|Macedonian|македонский
ml|Malayalam|малаялам
mn|Mongolian|монгольский
mo|Moldovan|молдавский
mr|Marathi|маратхи
ms|Malay|малайский
mt|Maltese|мальтийский
my|Burmese|бирманский
nb|Norwegian Bokmål|норвежский букмол
ne|Nepali|непальский
nl|Dutch|нидерландский
nn|Norwegian Nynorsk|норвежский нюнорск
no|Norwegian|норвежский
nv|Navajo|навахо
ny|Chichewa|чичева
oc|Occitan|окситанский
om|Oromo|оромо
or|Odia|ория
os|Ossetian|осетинский
pa|Punjabi|панджаби
pl|Polish|польский
ps|Pashto|пушту
pt|Portuguese|португальский
qu|Quechua|кечуа
rm|Romansh|романшский
rn|Kirundi|кирунди
ro|Romanian|румынский
ru|Russian|русский
rw|Kinyarwanda|киньяруанда
sa|Sanskrit|санскрит
sc|Sardinian|сардинский
sd|Sindhi|синдхи
se|Northern Sami|северносаамский
sh|Serbo-Croatian|сербохорватский
si|Sinhala|сингальский
sk|Slovak|словацкий
sl|Slovene|словенский
sm|Samoan|самоанский
sn|Shona|шона
so|Somali|сомалийский
sq|Albanian|албанский
sr|Serbian|сербский
st|Sesotho|сесото
su|Sundanese|сунданский
sv|Swedish|шведский
sw|Swahili|суахили
ta|Tamil|тамильский
te|Telugu|телугу
tg|Tajik|таджикский
th|Thai|тайский
tk|Turkmen|туркменский
tl|Tagalog|тагальский
tn|Tswana|тсвана
to|Tongan|тонганский
tr|Turkish|турецкий
tt|Tatar|татарский
ty|Tahitian|таитянский
ug|Uyghur|уйгурский
uk|Ukrainian|украинский
ur|Urdu|урду
uz|Uzbek|узбекский
vi|Vietnamese|вьетнамский
wa|Walloon|валлонский
wo|Wolof|волоф
xh|Xhosa|коса
yi|Yiddish|идиш
yo|Yoruba|йоруба
zh|Chinese|китайский
zu|Zulu|зулу
`)
)
