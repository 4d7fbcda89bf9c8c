package poster

import (
	"embed"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

//go:embed fonts/*.ttf
var fontFiles embed.FS

// face is a font whose letters are drawn as outlines: a poster looks the same on every
// machine, and its words are as wide as measured.
type face struct {
	font  *sfnt.Font
	upper bool    // set in capitals
	lead  float64 // distance of lines, relative to the size
	rise  float64 // height of a capital, relative to the size
}

var faces = sync.OnceValue(func() map[string]*face {
	all := map[string]*face{
		"condensed": {upper: true, lead: 1.12, rise: 0.81},
		"serif":     {lead: 1.08, rise: 0.71},
		"wide":      {upper: true, lead: 1.12, rise: 0.71},
		"round":     {lead: 1.14, rise: 0.72},
		"small":     {upper: true, lead: 1.2, rise: 0.81},
	}
	for name, f := range all {
		data, err := fontFiles.ReadFile("fonts/" + name + ".ttf")
		if err == nil {
			f.font, err = sfnt.Parse(data)
		}
		if err != nil {
			panic(fmt.Sprintf("poster: the embedded font %s cannot be read: %v", name, err))
		}
	}
	return all
})

// unitsPerEm is the resolution at which glyphs are read: they are scaled when drawn.
const unitsPerEm = 1000

// set is the text as it is set: in capitals where the face is.
func (f *face) set(text string) string {
	if f.upper {
		return strings.ToUpper(text)
	}
	return text
}

// has reports whether the face can draw the text.
func (f *face) has(text string) bool {
	var buffer sfnt.Buffer
	for _, r := range f.set(text) {
		if i, err := f.font.GlyphIndex(&buffer, r); err != nil || i == 0 {
			return false
		}
	}
	return true
}

// width is how wide the text is at size 1.
func (f *face) width(text string) float64 {
	var buffer sfnt.Buffer
	total := fixed.Int26_6(0)
	for _, r := range f.set(text) {
		i, err := f.font.GlyphIndex(&buffer, r)
		if err != nil {
			continue
		}
		if advance, err := f.font.GlyphAdvance(&buffer, i, fixed.I(unitsPerEm), font.HintingNone); err == nil {
			total += advance
		}
	}
	return float64(total) / 64 / unitsPerEm
}

// outline is the path of a line of text whose baseline begins at x, y.
func (f *face) outline(text string, x, y, size float64) string {
	var buffer sfnt.Buffer
	var out strings.Builder
	scale := size / unitsPerEm / 64
	for _, r := range f.set(text) {
		i, err := f.font.GlyphIndex(&buffer, r)
		if err != nil {
			continue
		}
		segments, err := f.font.LoadGlyph(&buffer, i, fixed.I(unitsPerEm), nil)
		if err == nil {
			for n, s := range segments {
				if s.Op == sfnt.SegmentOpMoveTo && n > 0 {
					out.WriteByte('z')
				}
				writeSegment(&out, s, x, y, scale)
			}
			if len(segments) > 0 {
				out.WriteByte('z')
			}
		}
		if advance, err := f.font.GlyphAdvance(&buffer, i, fixed.I(unitsPerEm), font.HintingNone); err == nil {
			x += float64(advance) * scale
		}
	}
	return out.String()
}

// segmentLetters are the commands of a path and how many points each has.
var segmentLetters = map[sfnt.SegmentOp]struct {
	letter byte
	points int
}{sfnt.SegmentOpMoveTo: {'M', 1}, sfnt.SegmentOpLineTo: {'L', 1}, sfnt.SegmentOpQuadTo: {'Q', 2}, sfnt.SegmentOpCubeTo: {'C', 3}}

func writeSegment(out *strings.Builder, s sfnt.Segment, x, y, scale float64) {
	command := segmentLetters[s.Op]
	out.WriteByte(command.letter)
	for i, p := range s.Args[:command.points] {
		if i > 0 {
			out.WriteByte(' ')
		}
		fmt.Fprintf(out, "%s %s", short(x+float64(p.X)*scale), short(y+float64(p.Y)*scale))
	}
}

// short is a coordinate with one decimal at most.
func short(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") }

// block is a title in lines that fit.
type block struct {
	lines []string
	size  float64
}

// fit sets a title as large as it can be within a width and a height, and breaks lines
// between words. A word that is too wide at the least size makes the whole smaller.
func (f *face) fit(title string, width, height, most float64) block {
	words := strings.Fields(title)
	const least = 15
	for size := most; ; size -= 1 {
		lines, ok := f.broken(words, width/size)
		if size <= least && !ok { // one long word
			for _, l := range lines {
				size = min(size, width/f.width(l))
			}
			ok = true
		}
		if ok && (f.height(len(lines), size) <= height || size <= least) {
			for f.height(len(lines), size) > height {
				size *= 0.95
			}
			return block{f.even(words, lines, width/size), size}
		}
	}
}

// height is that of n lines.
func (f *face) height(n int, size float64) float64 {
	return size * (f.rise + f.lead*float64(n-1))
}

// broken breaks words into lines of a width relative to the size; ok is false where a word
// is wider.
func (f *face) broken(words []string, width float64) (lines []string, ok bool) {
	ok = true
	for _, w := range words {
		ok = ok && f.width(w) <= width
		if n := len(lines); n > 0 && f.width(lines[n-1]+" "+w) <= width {
			lines[n-1] += " " + w
			continue
		}
		lines = append(lines, w)
	}
	return lines, ok
}

// even breaks the words into as many lines, none wider than it needs to be.
func (f *face) even(words, lines []string, width float64) []string {
	for narrower := width * 0.97; narrower > width*0.3; narrower *= 0.97 {
		again, ok := f.broken(words, narrower)
		if !ok || len(again) > len(lines) {
			break
		}
		lines = again
	}
	return lines
}
