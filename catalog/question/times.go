package question

import (
	"slices"
	"strconv"
	"strings"
)

// year reads a year in which films can have been made.
func year(form string) (int, bool) {
	n, err := strconv.Atoi(form)
	return n, err == nil && len(form) == 4 && n >= 1880 && n <= 2100
}

// decade reads "90s", "the 1960s", "sixties", «90-х годов», «шестидесятых», and
// "early" or "late" before them.
func decade(tokens []token) (from, to, n int) {
	i, half := 0, 0
	switch tokens[0].Form {
	case "early", "начала", "начало":
		i, half = 1, 1
	case "late", "конца", "конец":
		i, half = 1, 2
	}
	if i >= len(tokens) {
		return 0, 0, 0
	}
	form := tokens[i].Form
	tens := -1
	if digits := strings.TrimRight(strings.TrimRight(form, "s"), "хе"); digits != form && isNumber(digits) {
		tens, _ = strconv.Atoi(digits)
	} else if isNumber(form) && i+1 < len(tokens) && slices.Contains([]string{"х", "е", "ые", "ых", "s"}, tokens[i+1].Form) && !tokens[i+1].breaks {
		tens, _ = strconv.Atoi(form)
		i++
	} else if value, ok := decadeWords[tokens[i].Stem]; ok && (form != "двадцатыи" && form != "десятыи") {
		tens, _ = strconv.Atoi(value)
		if strings.HasPrefix(form, "двухтысячн") || form == "нулевых" {
			tens = 2000
		}
	}
	switch {
	case tens == 20: // users write 2020s in full
		tens = 1920
	case tens == 0 || tens == 10:
		tens += 2000
	case tens >= 30 && tens < 100 && tens%10 == 0:
		tens += 1900
	case tens >= 1880 && tens <= 2100 && tens%10 == 0:
	default:
		return 0, 0, 0
	}
	i++
	if i < len(tokens) && strings.HasPrefix(tokens[i].Form, "год") {
		i++
	}
	from, to = tens, tens+9
	switch half {
	case 1:
		to = tens + 4
	case 2:
		from = tens + 5
	}
	return from, to, i
}

// bounds are words before a year or a length, and their meaning: -1 at most, +1 at
// least, without the bound itself.
var bounds = map[string]int{
	"before": -1, "until": -1, "till": -1, "до": -1, "раньше": -1, "ранее": -1, "старше": -1,
	"after": 1, "since": 1, "после": 1, "позже": 1, "новее": 1, "младше": 1,
	"under": -1, "below": -1, "shorter": -1, "less": -1, "короче": -1, "меньше": -1, "менее": -1, "максимум": -1,
	"over": 1, "longer": 1, "more": 1, "above": 1, "длиннее": 1, "больше": 1, "более": 1, "дольше": 1, "минимум": 1, "свыше": 1,
	"older": -1, "newer": 1,
}

// years reads when the film was made.
func (c *conditions) years(i, end int) int {
	at := i
	for at < end && (isMade(c.tokens[at]) || c.tokens[at].Form == "was") {
		at++
	}
	if at >= end {
		return i
	}
	form := c.tokens[at].Form
	if sign, ok := bounds[form]; ok && at+1 < end {
		n := at + 1
		if slices.Contains([]string{"than", "чем", "the", "года", "of"}, c.tokens[n].Form) && n+1 < end {
			n++
		}
		from, to, used := c.yearsAt(n, end)
		if used == 0 {
			return i
		}
		f := Filter{Field: Years}
		switch {
		case sign < 0:
			f.To = from - 1
		case form == "since":
			f.From = from
		default:
			f.From = to + 1
		}
		c.add(i, n+used, f)
		return n + used
	}
	if form == "between" || form == "с" || form == "from" || form == "между" {
		first, _, used := c.yearsAt(at+1, end)
		if used > 0 {
			n := at + 1 + used
			if n+1 < end && slices.Contains([]string{"and", "to", "till", "until", "по", "до", "и"}, c.tokens[n].Form) {
				if _, last, used2 := c.yearsAt(n+1, end); used2 > 0 {
					c.add(i, n+1+used2, Filter{Field: Years, From: first, To: last})
					return n + 1 + used2
				}
			}
			if form == "с" && used > 0 {
				c.add(i, n, Filter{Field: Years, From: first})
				return n
			}
		}
	}
	n := at
	for n < end && slices.Contains([]string{"from", "of", "in", "the", "в", "из", "around"}, c.tokens[n].Form) {
		n++
	}
	from, to, used := c.yearsAt(n, end)
	if used == 0 || c.tokens[n].quoted {
		return i
	}
	c.add(i, n+used, Filter{Field: Years, From: from, To: to})
	return n + used
}

// yearsAt reads a year or a decade.
func (c *conditions) yearsAt(i, end int) (from, to, n int) {
	if i >= end {
		return 0, 0, 0
	}
	if from, to, n = decade(c.tokens[i:end]); n > 0 {
		return from, to, n
	}
	y, ok := year(c.tokens[i].Form)
	if !ok {
		return 0, 0, 0
	}
	n = 1
	if i+1 < end && (strings.HasPrefix(c.tokens[i+1].Form, "год") || c.tokens[i+1].Form == "г") {
		n = 2
	}
	return y, y, n
}

// runtime reads how long the film may be: "under two hours", «короче полутора часов».
func (c *conditions) runtime(i, end int) int {
	at, sign, deny := i, 0, false
	for at < end && slices.Contains([]string{"not", "no", "не", "at", "than", "чем", "lasts", "длится", "длиной", "идет"}, c.tokens[at].Form) {
		deny = deny || slices.Contains([]string{"not", "no", "не"}, c.tokens[at].Form)
		at++
	}
	if at >= end {
		return i
	}
	switch form := c.tokens[at].Form; form {
	case "most", "up":
		sign = -1
	case "least":
		sign = 1
	default:
		sign = bounds[form]
	}
	if sign == 0 {
		return i
	}
	at++
	for at < end && slices.Contains([]string{"than", "чем", "to"}, c.tokens[at].Form) {
		at++
	}
	minutes, n := duration(c.tokens[min(at, end):end])
	if n == 0 {
		return i
	}
	if deny {
		sign = -sign
	}
	f := Filter{Field: Runtime, To: minutes}
	if sign > 0 {
		f = Filter{Field: Runtime, From: minutes}
	}
	at += n
	if at < end && slices.Contains([]string{"long", "length"}, c.tokens[at].Form) {
		at++
	}
	c.add(i, at, f)
	return at
}

// durationMax limits a number of minutes or hours: too large a number, or "inf", cannot
// be an int.
const durationMax = 1000

// duration reads a number and its unit, and returns minutes.
func duration(tokens []token) (minutes, n int) {
	if len(tokens) == 0 {
		return 0, 0
	}
	count, known := numbers[tokens[0].Form]
	if !known {
		v, err := strconv.ParseFloat(tokens[0].Form, 64)
		if err != nil {
			if strings.HasPrefix(tokens[0].Form, "час") || tokens[0].Form == "hour" {
				return 60, 1
			}
			return 0, 0
		}
		count = v
	}
	if !(count > 0 && count <= durationMax) {
		return 0, 0
	}
	n = 1
	if n+2 < len(tokens) && tokens[n].Form == "and" && tokens[n+1].Form == "a" && tokens[n+2].Form == "half" {
		count, n = count+0.5, n+3
	} else if n+1 < len(tokens) && tokens[n].Form == "с" && tokens[n+1].Form == "половинои" {
		count, n = count+0.5, n+2
	}
	if n >= len(tokens) {
		return 0, 0
	}
	switch form := tokens[n].Form; {
	case form == "hour" || form == "hours" || form == "h" || form == "ч" || strings.HasPrefix(form, "час"):
		minutes = int(count * 60)
		n++
		if n+2 < len(tokens) && tokens[n].Form == "and" && tokens[n+1].Form == "a" && tokens[n+2].Form == "half" {
			minutes, n = minutes+30, n+3
		}
		return minutes, n
	case form == "minutes" || form == "min" || form == "мин" || strings.HasPrefix(form, "минут"):
		return int(count), n + 1
	}
	return 0, 0
}
