package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/gorilla/mux"

	"kassa/httpapi/conditional"
)

//go:embed static
var staticFiles embed.FS

//go:embed static/icon.png
var icon []byte

//go:embed templates
var templateFiles embed.FS

// staticVersion is a hash of all static files. It is part of their paths, so browsers
// may cache them for ever and still load those of a new version.
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
	content, err := staticFiles.ReadFile(path.Join("static", mux.Vars(r)["file"]))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if mux.Vars(r)["version"] == staticVersion {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	conditional.Write(w, r, mime.TypeByExtension(path.Ext(mux.Vars(r)["file"])), content)
}

// serveIcon serves the icon's well-known path.
func serveIcon(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	conditional.Write(w, r, "image/png", icon)
}

// templates are the pages by name, each with the layout and its shared parts.
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

// render returns the whole page, so that an error in the middle sends no part of it.
func render(name string, data any) ([]byte, error) {
	var out bytes.Buffer
	if err := templates[name].ExecuteTemplate(&out, "layout", data); err != nil {
		return nil, fmt.Errorf("render the page %s: %w", name, err)
	}
	return out.Bytes(), nil
}
