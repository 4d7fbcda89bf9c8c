package poster

import (
	"math"
	"slices"
	"strconv"
)

// palette is the colours of a poster. Its letters have a contrast of at least 4.5 : 1 with
// the ground, which is also the ground of the title.
type palette struct{ ground, deep, main, accent string }

// temper is what moods have in common, by which the palettes are chosen.
type temper int

const (
	grim temper = iota
	sad
	merry
	warm
	grand
	dreamy
	tempers
)

var temperOf = map[string]temper{
	"dark": grim, "bleak": grim, "scary": grim, "tense": grim, "violent": grim, "angry": grim,
	"melancholic": sad, "sad": sad, "lonely": sad, "tragic": sad, "nostalgic": sad,
	"funny": merry, "playful": merry, "absurd": merry, "ironic": merry, "whimsical": merry,
	"romantic": warm, "tender": warm, "heartwarming": warm, "cosy": warm, "festive": warm,
	"epic": grand, "exciting": grand, "uplifting": grand, "hopeful": grand,
	"dreamy": dreamy, "surreal": dreamy, "mysterious": dreamy, "thoughtful": dreamy, "calm": dreamy,
}

// temperOfGenre is for films without moods, by the first genre that has one.
var temperOfGenre = map[string]temper{
	"horror": grim, "thriller": grim, "film-noir": grim, "crime": grim, "drama": sad, "war": sad, "history": grand, "comedy": merry,
	"family": merry, "animation": merry, "romance": warm, "musical": warm, "music": warm, "action": grand, "adventure": grand, "sport": grand,
	"western": grand, "biography": dreamy, "documentary": dreamy, "fantasy": dreamy, "mystery": dreamy, "science-fiction": dreamy,
}

var palettes = [tempers][]palette{
	grim: {
		{"#15171f", "#2d3247", "#eae3d2", "#dc2f43"},
		{"#1c1a1b", "#41302d", "#f2e8cf", "#e65c2f"},
		{"#0f202c", "#214456", "#e8e4d4", "#f2b134"},
		{"#211b33", "#41356a", "#f0e8da", "#ff6f61"},
		{"#eadfce", "#d3bfa4", "#1d1a1a", "#b3202a"},
		{"#7d1420", "#5c0d18", "#f7e7d3", "#f0a04b"},
	},
	sad: {
		{"#2c4554", "#45687a", "#f4eadd", "#f3a962"},
		{"#c8d5dd", "#a3b9c7", "#20313b", "#b9482f"},
		{"#4c4f42", "#686b58", "#f5efe3", "#eaa45a"},
		{"#54394e", "#75536c", "#f7eadb", "#f0b684"},
		{"#dcd3c3", "#c0b29b", "#2b2f3a", "#8f3d2e"},
		{"#33414f", "#52667a", "#efe9dd", "#d9805f"},
	},
	merry: {
		{"#f4c342", "#e99a2b", "#1b3352", "#cf2b3a"},
		{"#f3ecdd", "#f2b5a2", "#24405f", "#e0492b"},
		{"#14666a", "#1f8285", "#fdf3dc", "#f9c74f"},
		{"#f08a5d", "#dd6b3f", "#1c2238", "#fdf0d5"},
		{"#bfe0d2", "#8cc5b0", "#1f3a45", "#e4572e"},
		{"#f6d6b8", "#f0b27f", "#3a2350", "#d8344a"},
		{"#244c8f", "#3b67ae", "#fdf3e0", "#fbc540"},
	},
	warm: {
		{"#f4d5c7", "#e9ab9e", "#571d31", "#b3273a"},
		{"#842935", "#a13e49", "#fceada", "#f3b391"},
		{"#f7e7d2", "#efc9a0", "#2b4638", "#c5523a"},
		{"#efc1b8", "#e0958f", "#2f2a4a", "#a8324a"},
		{"#27463c", "#3b6355", "#fbeedb", "#f08a6a"},
		{"#f9e2a6", "#f1c56b", "#4a2a3a", "#c94a3d"},
	},
	grand: {
		{"#e9c46a", "#dda648", "#1c3748", "#c0402b"},
		{"#1b4a68", "#2b6c90", "#fdf0d5", "#f4a33a"},
		{"#244a3b", "#376b53", "#f6edd8", "#f0a83c"},
		{"#b23a24", "#8f2a19", "#fdf0d5", "#f6c65b"},
		{"#e8d8b4", "#d0b57e", "#23303d", "#b4472b"},
		{"#23264a", "#3b4080", "#f8eed9", "#ff8552"},
	},
	dreamy: {
		{"#392c58", "#55437f", "#f8ead9", "#f59f8b"},
		{"#d2dbc9", "#abbba3", "#223636", "#b8502d"},
		{"#0e3b43", "#1d5f69", "#f3ebd5", "#ee8a4a"},
		{"#e8ddc9", "#cfbb9c", "#2e2939", "#7a3e65"},
		{"#c6d3ea", "#9fb3d6", "#27264f", "#b23a6b"},
		{"#1f2f4f", "#36507f", "#f3ecdc", "#e7b75f"},
	},
}

// silver are the palettes of black-and-white films: greys, and one red.
var silver = []palette{
	{"#e7e4de", "#bdb8ae", "#1b1b1c", "#b0241d"},
	{"#1b1b1c", "#3d3b39", "#efebe2", "#d8392c"},
	{"#47464a", "#5f5d62", "#f3f0e9", "#f0705c"},
	{"#d4cfc6", "#a9a298", "#221f20", "#8e1f1a"},
}

// paletteOf chooses a film's palette.
func (f Film) palette() palette {
	if f.BlackAndWhite {
		return silver[f.pick("palette", len(silver))]
	}
	list := palettes[f.temper()]
	return list[f.pick("palette", len(list))]
}

func (f Film) temper() temper {
	for _, mood := range f.Moods {
		if t, ok := temperOf[mood]; ok {
			return t
		}
	}
	for _, genre := range f.Genres {
		if t, ok := temperOfGenre[genre]; ok {
			return t
		}
	}
	return temper(f.pick("temper", int(tempers)))
}

func (f Film) hasGenre(genres ...string) bool {
	return slices.ContainsFunc(genres, func(g string) bool { return slices.Contains(f.Genres, g) })
}

// luminance is the relative luminance of a colour such as #14202d, from 0 to 1.
func luminance(colour string) float64 {
	n, err := strconv.ParseUint(colour[1:], 16, 32)
	if err != nil {
		panic("poster: " + colour + " is no colour") // they are constants
	}
	channel := func(shift uint) float64 {
		v := float64(n>>shift&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}
