package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/gorilla/mux"
)

//go:embed static
var staticFiles embed.FS

//go:embed templates
var templateFiles embed.FS

// staticVersion names the content of all static files. It stands in their
// addresses, so browsers may keep them for ever and still see a new program's.
var staticVersion = func() string {
	sum := sha256.New()
	names, err := fs.Glob(staticFiles, "static/*")
	for _, name := range names {
		var content []byte
		if content, err = staticFiles.ReadFile(name); err != nil {
			break
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
	}
	if err != nil {
		panic(fmt.Sprintf("web: the embedded files cannot be read: %v", err))
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}()

func serveStatic(w http.ResponseWriter, r *http.Request) {
	if mux.Vars(r)["version"] == staticVersion {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	http.ServeFileFS(w, r, staticFiles, path.Join("static", mux.Vars(r)["file"]))
}

// serveIcon is for browsers that ask for the icon where it always was.
func serveIcon(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	http.ServeFileFS(w, r, staticFiles, "static/icon.png")
}

// templates are the pages by name, each with the layout and the parts that it shares.
var templates = func() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(template.FuncMap{
		"asset": func(name string) string { return "/web/static/" + staticVersion + "/" + name },
	}).ParseFS(templateFiles, "templates/parts/*.html"))
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	all := map[string]*template.Template{}
	for _, name := range names {
		page := template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, name))
		all[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return all
}()

// render gives the whole page, so that a failure in its middle is a failure of all.
func render(name string, data any) ([]byte, error) {
	var out bytes.Buffer
	if err := templates[name].ExecuteTemplate(&out, "layout", data); err != nil {
		return nil, fmt.Errorf("render the page %s: %w", name, err)
	}
	return out.Bytes(), nil
}
