package poster

import (
	"fmt"
	"math"
	"strings"
)

// A composition draws the picture above the title: 400 wide and pictureHeight high.
type composition func(f Film, p palette, m [2]motif) string

const (
	posterWidth   = 400
	posterHeight  = 600
	pictureHeight = 430
)

// place puts a motif with its middle at x and its foot at y, in a size relative to its
// field of 200.
func (m motif) place(x, y, size float64, main, accent, deep, ground string) string {
	return fmt.Sprintf(`<g transform="translate(%s %s) scale(%s)">%s</g>`, short(x-100*size), short(y-180*size), fine(size), m.in(main, accent, deep, ground))
}

func fine(v float64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
}

func circle(x, y, r float64, fill string) string {
	return fmt.Sprintf(`<circle cx="%s" cy="%s" r="%s" fill="%s"/>`, short(x), short(y), short(r), fill)
}

func path(d, fill string) string { return fmt.Sprintf(`<path d="%s" fill="%s"/>`, d, fill) }

// compositions by what they are called, and those of a genre.
var (
	compositions = map[string]composition{
		"sun": sun, "pattern": pattern, "horizon": horizon, "rays": rays, "arch": arch,
		"diagonal": diagonal, "rings": rings, "bands": bands, "spot": spot, "huge": huge, "shelf": shelf,
	}
	stages = map[string][]string{
		"horror": {"spot", "huge", "arch"}, "thriller": {"spot", "rings", "diagonal", "huge"}, "film-noir": {"spot", "bands"}, "crime": {"diagonal", "spot", "rings", "shelf"},
		"mystery": {"rings", "arch", "spot"}, "science-fiction": {"rings", "sun", "bands", "arch", "horizon"}, "western": {"sun", "horizon", "bands"}, "war": {"rays", "bands", "horizon", "huge", "arch"},
		"adventure": {"horizon", "sun", "bands", "arch"}, "animation": {"pattern", "rays", "horizon", "sun"}, "family": {"pattern", "rays", "horizon"}, "comedy": {"pattern", "rays", "diagonal", "sun", "shelf"},
		"musical": {"rays", "pattern", "spot", "arch"}, "music": {"rays", "rings"}, "romance": {"sun", "arch", "diagonal"}, "fantasy": {"arch", "horizon", "rings"},
		"history": {"arch", "rays", "horizon"}, "sport": {"rays", "diagonal"}, "action": {"diagonal", "rays", "rings", "huge"}, "documentary": {"huge", "rings"},
		"drama": {"sun", "horizon", "arch", "huge", "shelf", "diagonal", "rings"}, "biography": {"arch", "sun", "huge"},
	}
	anyStage = []string{"sun", "horizon", "arch", "rings", "shelf"}
)

func (f Film) composition() composition {
	names := anyStage
	if f.hasGenre("short") && len(f.Genres) == 1 {
		names = []string{"pattern", "rays"}
	}
	for _, g := range f.Genres {
		if s := stages[g]; len(s) > 0 {
			names = s
			break
		}
	}
	return compositions[names[f.pick("composition", len(names))]]
}

// sun: the object before a large disc.
func sun(f Film, p palette, m [2]motif) string {
	y := 215 + 12*float64(f.pick("height", 3))
	return circle(200, y, 158, p.deep) + m[0].place(200, y+108, 1.2, p.main, p.accent, p.deep, p.deep)
}

// pattern: the object again and again, once in another colour.
func pattern(f Film, p palette, m [2]motif) string {
	var out strings.Builder
	odd := 1 + 3*f.pick("odd row", 3) + f.pick("odd column", 2)
	n := 0
	for row := range 4 {
		for column := range 3 {
			x, y := 76+124*float64(column), 106+102*float64(row)
			back, main, accent := p.deep, p.main, p.accent
			if n == odd {
				back, main, accent = p.accent, p.ground, p.main
			}
			out.WriteString(circle(x, y-38, 47, back) + m[0].place(x, y-8, 0.36, main, accent, p.ground, back))
			n++
		}
	}
	return out.String()
}

// horizon: the object on hills, with a sun.
func horizon(f Film, p palette, m [2]motif) string {
	x := 110 + 90*float64(f.pick("sun", 3))
	return circle(x, 140, 62, p.accent) +
		path(fmt.Sprintf("M0 330Q%d 270 200 312T400 290V%dH0z", 80+20*f.pick("hill", 4), pictureHeight), p.deep) +
		m[0].place(400-x*0.9, 352, 1.12, p.main, p.accent, p.ground, p.deep) +
		path(fmt.Sprintf("M0 352Q120 330 240 352T400 346V%dH0z", pictureHeight), p.main)
}

// rays: beams from below the object.
func rays(f Film, p palette, m [2]motif) string {
	var d strings.Builder
	const beams = 18
	turn := float64(f.pick("turn", 6)) * math.Pi / 60
	for i := 0; i < beams; i++ {
		from, to := turn+2*math.Pi*float64(i)/beams, turn+2*math.Pi*(float64(i)+0.5)/beams
		fmt.Fprintf(&d, "M200 240L%s %sL%s %sz", short(200+600*math.Cos(from)), short(240+600*math.Sin(from)), short(200+600*math.Cos(to)), short(240+600*math.Sin(to)))
	}
	return path(d.String(), p.deep) + circle(200, 240, 132, p.accent) + circle(200, 240, 120, p.ground) + m[0].place(200, 318, 0.98, p.main, p.accent, p.deep, p.ground)
}

// arch: the object in a gate, and the second one above.
func arch(f Film, p palette, m [2]motif) string {
	gate := "M62 430V200a138 138 0 0 1 276 0v230z"
	inner := "M86 430V202a114 114 0 0 1 228 0v228z"
	return path(gate, p.accent) + path(inner, p.deep) + m[0].place(200, 392, 1.08, p.main, p.accent, p.ground, p.deep) +
		m[1].place(200, 184, 0.36, p.main, p.accent, p.ground, p.deep)
}

// diagonal: two objects that face each other.
func diagonal(f Film, p palette, m [2]motif) string {
	if f.pick("direction", 2) == 0 {
		return path("M400 0V430H0V400z", p.deep) + m[0].place(138, 214, 0.98, p.main, p.accent, p.deep, p.ground) + m[1].place(284, 400, 0.72, p.main, p.accent, p.ground, p.deep)
	}
	return path("M0 0L400 400V430H0z", p.deep) + m[0].place(264, 214, 0.98, p.main, p.accent, p.deep, p.ground) + m[1].place(116, 400, 0.72, p.main, p.accent, p.ground, p.deep)
}

// rings: the object in the middle of rings.
func rings(f Film, p palette, m [2]motif) string {
	var out strings.Builder
	y := 220.0
	for i, r := range []float64{250, 206, 162, 118} {
		fill := p.deep
		if i%2 == 1 {
			fill = p.ground
		}
		out.WriteString(circle(200, y, r, fill))
	}
	back := p.ground
	return out.String() + circle(200, y, 118, back) + m[0].place(200, y+72, 0.92, p.main, p.accent, p.deep, back)
}

// bands: stripes that grow towards the ground.
func bands(f Film, p palette, m [2]motif) string {
	var out strings.Builder
	out.WriteString(circle(200, 190, 128, p.accent))
	y, gap := 170.0, 4.0
	for y < 330 {
		fmt.Fprintf(&out, `<path d="M0 %sh400v%sH0z" fill="%s"/>`, short(y), short(gap), p.ground)
		y, gap = y+26, gap+3
	}
	return out.String() + path("M0 352h400v78H0z", p.deep) + m[0].place(200, 376, 1.16, p.main, p.accent, p.ground, p.ground)
}

// spot: a cone of light on the object.
func spot(f Film, p palette, m [2]motif) string {
	x := 60 + 280*f.pick("lamp", 2)
	return path(fmt.Sprintf("M%d -20L40 372h320z", x), p.deep) + fmt.Sprintf(`<ellipse cx="200" cy="372" rx="160" ry="34" fill="%s"/>`, p.accent) +
		m[0].place(200, 374, 1.26, p.main, p.accent, p.ground, p.deep)
}

// huge: the object too large for the picture.
func huge(f Film, p palette, m [2]motif) string {
	x := 150 + 100*float64(f.pick("side", 2))
	return path(fmt.Sprintf("M0 0h400v%dH0z", pictureHeight), p.deep) + m[0].place(x, 418, 2.05, p.main, p.accent, p.ground, p.deep)
}

// shelf: the object in a frame, and a row of the second one below.
func shelf(f Film, p palette, m [2]motif) string {
	var out strings.Builder
	out.WriteString(path("M60 40h280v262H60z", p.deep) + m[0].place(200, 282, 1.16, p.main, p.accent, p.ground, p.deep))
	for i := range 5 {
		main, accent := p.main, p.accent
		if i == f.pick("odd", 5) {
			main, accent = p.accent, p.main
		}
		out.WriteString(m[1].place(92+54*float64(i), 392, 0.24, main, accent, p.deep, p.ground))
	}
	return out.String()
}
