package editing

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"kassa/catalog"
	"kassa/catalog/formats"
	"kassa/domain"
	"kassa/httpapi/problem"
)

const (
	// MaxFile is how large a file of films can be that is sent to a page, in bytes.
	MaxFile = 4 << 20
	// problemsKept is of how many rows it is shown why they were left out.
	problemsKept = 200
	nameMax      = 200 // bytes of a file's name: a file system takes 255
)

// Read reads a file of films in any format that kassa catalog import has in one file. Rows
// that are no films are left out, and named.
func Read(name string, content []byte) (catalog.Upload, error) {
	u := catalog.Upload{ID: rand.Text(), Name: fileName(name)}
	if strings.HasSuffix(strings.ToLower(u.Name), ".gz") { // small here could be large in memory
		return u, domain.Reject(problem.InvalidFile, "compressed files are read by kassa catalog import only")
	}
	folder, err := os.MkdirTemp("", "kassa-upload")
	if err != nil {
		return u, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, u.Name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return u, err
	}
	source, err := formats.Open(path, formats.Options{Format: formats.Auto})
	if err != nil {
		return u, domain.Reject(problem.InvalidFile, "the file is none of the formats of films: %s", strings.ReplaceAll(err.Error(), folder+string(filepath.Separator), ""))
	}
	defer source.Close()
	u.Merge = source.Merges()
	if err := collect(&u, source); err != nil {
		return u, err
	}
	u.LeftOut += source.LeftOut()
	return u, nil
}

func collect(u *catalog.Upload, source *formats.Source) error {
	for film, err := range source.Films() {
		p, isRow := errors.AsType[catalog.Problem](err)
		switch {
		case isRow && len(u.Problems) < problemsKept:
			p.File = u.Name
			u.Problems = append(u.Problems, p)
		case isRow:
			u.LeftOut++
		case err != nil:
			return err
		case len(u.Films) == catalog.EditMax:
			return refusal(catalog.ErrTooMany)
		default:
			u.Films = append(u.Films, film)
		}
	}
	return nil
}

// fileName is the name of a file without its folders, in letters that a name may have.
func fileName(name string) string {
	name = filepath.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/:*?"<>|`, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	end := name[max(0, len(name)-nameMax):] // the end has the format; its first letter can be cut
	if name = strings.TrimLeft(strings.ToValidUTF8(end, ""), "."); name == "" {
		return "films.json"
	}
	return name
}

// Upload reads a file and keeps it for its admin, until it is taken over or a day is over.
func (e *Editor) Upload(ctx context.Context, by domain.UserID, name string, content []byte) (catalog.Upload, error) {
	u, err := Read(name, content)
	if err != nil {
		return u, err
	}
	u.By = string(by)
	return u, e.Catalogue.KeepUpload(ctx, u)
}

// Kept is an upload that its admin has sent.
func (e *Editor) Kept(ctx context.Context, by domain.UserID, id string) (catalog.Upload, error) {
	u, err := e.Catalogue.Upload(ctx, id, string(by))
	return u, refusal(err)
}
