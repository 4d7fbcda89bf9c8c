package web

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gorilla/mux"

	"kassa/httpapi/conditional"
)

// sitemapPart is how many pages a part of the sitemap names. Each is there in two
// languages, and sitemaps.org allows 50,000 addresses in a file.
const sitemapPart = 10_000

// publicPages are the addresses of all pages that search engines may read.
func (p *Pages) publicPages() []string {
	s := p.Films.Shelves()
	all := []string{"/web", filmsPath}
	for _, g := range s.Genres {
		all = append(all, shelfAddress("genre", g.Key))
	}
	for _, d := range s.Decades {
		all = append(all, shelfAddress("decade", d.Key))
	}
	for _, c := range s.Countries {
		all = append(all, shelfAddress("country", c.Key))
	}
	for _, m := range s.All {
		all = append(all, filmAddress(m.ID))
	}
	for _, slug := range s.People() {
		all = append(all, personAddress(slug))
	}
	return all
}

// Elements of https://www.sitemaps.org/protocol.html, with the addresses in each language
// as search engines read them.
type (
	sitemapPages struct {
		XMLName xml.Name      `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
		XHTML   string        `xml:"xmlns:xhtml,attr"`
		Pages   []sitemapPage `xml:"url"`
	}
	sitemapPage struct {
		Address    string             `xml:"loc"`
		Alternates []sitemapAlternate `xml:"xhtml:link"`
	}
	sitemapAlternate struct {
		Rel      string `xml:"rel,attr"`
		Language string `xml:"hreflang,attr"`
		Address  string `xml:"href,attr"`
	}
)

// sitemap lists the parts of the sitemap.
func (p *Pages) sitemap(w http.ResponseWriter, r *http.Request) {
	parts := (len(p.publicPages()) + sitemapPart - 1) / sitemapPart
	var out bytes.Buffer
	out.WriteString(xml.Header + `<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">`)
	for n := range parts {
		out.WriteString("<sitemap><loc>")
		_ = xml.EscapeText(&out, fmt.Appendf(nil, "%s/sitemap/%d.xml", originOf(r, p.Secure), n+1)) // a buffer takes everything
		out.WriteString("</loc></sitemap>")
	}
	out.WriteString("</sitemapindex>\n")
	writePublic(w, r, "application/xml", out.Bytes())
}

// sitemapPart serves one part, each page in both languages.
func (p *Pages) sitemapPart(w http.ResponseWriter, r *http.Request) {
	all := p.publicPages()
	n, err := strconv.Atoi(mux.Vars(r)["part"])
	if err != nil || n < 1 || (n-1)*sitemapPart >= len(all) {
		p.Refusal(http.StatusNotFound).ServeHTTP(w, r)
		return
	}
	set := sitemapPages{XHTML: "http://www.w3.org/1999/xhtml"}
	for _, path := range all[(n-1)*sitemapPart : min(n*sitemapPart, len(all))] {
		var alternates []sitemapAlternate
		address := originOf(r, p.Secure) + path
		for _, l := range languages {
			alternates = append(alternates, sitemapAlternate{"alternate", l.Code, inLanguage(address, l)})
		}
		for _, a := range alternates {
			set.Pages = append(set.Pages, sitemapPage{a.Address, alternates})
		}
	}
	body, err := xml.Marshal(set)
	if err != nil {
		p.Problems.Refuse(w, r, fmt.Errorf("write the sitemap: %w", err))
		return
	}
	writePublic(w, r, "application/xml", append([]byte(xml.Header), body...))
}

// robots lets search engines read the public pages only.
func (p *Pages) robots(w http.ResponseWriter, r *http.Request) {
	writePublic(w, r, "text/plain; charset=utf-8", fmt.Appendf(nil, `User-agent: *
Allow: /$
Allow: /web$
Allow: /web?lang=
Allow: /web/films
Allow: /web/people/
Allow: /web/static/
Allow: /posters/
Allow: /sitemap
Disallow: /
Sitemap: %s/sitemap.xml
`, originOf(r, p.Secure)))
}

// writePublic answers with what everybody may keep for an hour.
func writePublic(w http.ResponseWriter, r *http.Request, media string, body []byte) {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	conditional.Write(w, r, media, body)
}
