// Package poster draws a picture for a film that has none: an SVG of 400 by 600 that is the
// same for the same film on every machine. Its colours follow the film's mood, its object
// follows the keywords, and its composition and letters follow the genre. The letters are
// outlines, so that nothing depends on the fonts of the browser.
package poster

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"html"
	"slices"
	"strings"

	"kassa/catalog"
)

// edition changes whenever the drawing does, so that browsers load it again.
const edition = "1"

// Film is what is drawn of a film.
type Film struct {
	catalog.Movie
	Language string // of the title: "ru", and English for all others
}

// Version is a hash of everything that the poster depends on: the same version is the same
// picture.
func (f Film) Version() string {
	sum := sha256.New()
	for _, part := range slices.Concat([]string{edition, f.ID, f.Language, f.title(), f.Movie.Title, f.credit(), fmt.Sprint(f.Year, f.BlackAndWhite)}, []string{"moods"}, f.Moods, []string{"genres"}, f.Genres, []string{"themes"}, f.Themes, []string{"keywords"}, f.Keywords) {
		fmt.Fprintf(sum, "%d %s\n", len(part), part)
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:9])
}

// pick is a number below n, by chance for the film, and always the same for one purpose.
func (f Film) pick(purpose string, n int) int {
	sum := sha256.Sum256([]byte(purpose + "\n" + f.ID))
	return int(binary.BigEndian.Uint32(sum[:]) % uint32(n))
}

func (f Film) title() string { return f.TitleIn(f.Language) }

// credit is the line above the title.
func (f Film) credit() string {
	if len(f.Directors) == 0 {
		return fmt.Sprint(f.Year)
	}
	return fmt.Sprintf("%s · %d", f.Directors[0].In(f.Language), f.Year)
}

// face is the letters of the title, by the genre.
func (f Film) face() string {
	switch {
	case f.hasGenre("science-fiction"):
		return "wide"
	case f.hasGenre("animation", "family"):
		return "round"
	case f.hasGenre("action", "crime", "thriller", "war", "western", "sport", "documentary"):
		return "condensed"
	case f.hasGenre("comedy"):
		return []string{"condensed", "round", "serif"}[f.pick("face", 3)]
	}
	return []string{"serif", "serif", "condensed"}[f.pick("face", 3)]
}

// Draw returns the poster.
func Draw(f Film) []byte {
	p, m := f.palette(), f.motifs()
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-label="%s">`,
		posterWidth, posterHeight, html.EscapeString(fmt.Sprintf("%s (%d)", f.title(), f.Year)))
	fmt.Fprintf(&out, `<path fill="%s" d="M0 0h%dv%dH0z"/>`, p.ground, posterWidth, posterHeight)
	fmt.Fprintf(&out, `<svg width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">%s</svg>`, posterWidth, pictureHeight, f.composition()(f, p, m))
	f.drawTitle(&out, p)
	out.WriteString("</svg>\n")
	return []byte(out.String())
}

// The title's place: left and right edges, the baseline of the credit, and the first and
// last line of the title.
const (
	margin       = 26
	textWidth    = posterWidth - 2*margin
	creditAt     = pictureHeight + 30
	titleTop     = pictureHeight + 46
	titleHeight  = posterHeight - titleTop - margin
	titleLargest = 62
)

func (f Film) drawTitle(out *strings.Builder, p palette) {
	fmt.Fprintf(out, `<path fill="%s" d="M0 %dh%dv%dH0z"/>`, p.ground, pictureHeight, posterWidth, posterHeight-pictureHeight)
	f.line(out, "small", f.credit(), creditAt, 17, p.accentOnGround())
	name, title := f.face(), f.title()
	chosen := faces()[name]
	if !chosen.has(title) {
		f.plain(out, title, p.main)
		return
	}
	set := chosen.fit(title, textWidth, titleHeight, titleLargest)
	y := titleTop + chosen.rise*set.size + (titleHeight-chosen.height(len(set.lines), set.size))*0.35
	var d strings.Builder
	for _, l := range set.lines {
		d.WriteString(chosen.outline(l, margin, y, set.size))
		y += set.size * chosen.lead
	}
	out.WriteString(path(d.String(), p.main))
}

// line draws one line in a face, smaller where it would be too wide.
func (f Film) line(out *strings.Builder, name, text string, y, size float64, fill string) {
	chosen := faces()[name]
	if !chosen.has(text) {
		text = fmt.Sprint(f.Year)
	}
	size = min(size, textWidth/chosen.width(text))
	out.WriteString(path(chosen.outline(text, margin, y, size), fill))
}

// plain sets a title whose script our fonts lack in a font of the browser, pressed to the
// width where it would be wider.
func (f Film) plain(out *strings.Builder, title, fill string) {
	const size, letters = 40, 8 // of the widest script, as many fit
	fit := ""
	if len([]rune(title)) > letters {
		fit = fmt.Sprintf(` textLength="%d" lengthAdjust="spacingAndGlyphs"`, textWidth)
	}
	fmt.Fprintf(out, `<text x="%d" y="%d" font-family="sans-serif" font-weight="700" font-size="%d" fill="%s"%s>%s</text>`,
		margin, titleTop+size+10, size, fill, fit, html.EscapeString(title))
}

// accentOnGround is the accent where small letters in it can be read, else the letters' colour.
func (p palette) accentOnGround() string {
	if contrast(p.accent, p.ground) >= 4.5 {
		return p.accent
	}
	return p.main
}

// contrast is that of two colours as WCAG 2 defines it, from 1 to 21.
func contrast(a, b string) float64 {
	light, dark := luminance(a), luminance(b)
	if light < dark {
		light, dark = dark, light
	}
	return (light + 0.05) / (dark + 0.05)
}

// Address is the path of a film's poster, which changes with the picture.
func Address(f Film) string {
	return fmt.Sprintf("/posters/%s.svg?lang=%s&v=%s", f.ID, cmp.Or(f.Language, "en"), f.Version())
}
