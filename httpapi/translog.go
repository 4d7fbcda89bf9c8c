package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"strings"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/conditional"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/transparency"
	"kassa/vault"
)

// Transparency is the log as it is published under /log/.
type Transparency struct {
	Log           *eventstore.Store
	Heads         transparency.Heads
	PublicEntries bool // anybody may read entries; else admins only
}

// logPrefix is where the transparency log is. Its files have the names of C2SP tlog-tiles.
const logPrefix = "/log/"

// How long an answer may be kept. What a tile holds never changes; the checkpoint does.
const (
	immutable       = "max-age=31536000, immutable"
	publicImmutable = "public, " + immutable
)

// serveLog answers everything under /log/: the checkpoint, tiles of hashes, and bundles
// of entries.
func (s *Server) serveLog() http.Handler {
	get := resource{}
	get.add(http.MethodGet, s.edge().handler(func(w http.ResponseWriter, r *http.Request) error {
		if err := checkQuery(r, nil); err != nil {
			return err
		}
		path := strings.TrimPrefix(r.URL.Path, logPrefix)
		if path == "checkpoint" {
			return s.checkpoint(w, r)
		}
		path, ok := strings.CutPrefix(path, "tile/")
		tile, err := transparency.ParseTile(path)
		if !ok || err != nil {
			return notFound(w, r)
		}
		if tile.Entries() && !s.Transparency.PublicEntries {
			s.Identity.Middleware(vault.ScopeAudit, s.edge().handler(s.forAuditors(func(w http.ResponseWriter, r *http.Request) error { return s.tile(w, r, tile) }))).ServeHTTP(w, r)
			return nil
		}
		return s.tile(w, r, tile)
	}))
	return s.edge().dispatch(get)
}

// forAuditors refuses everybody but auditors and admins.
func (s *Server) forAuditors(serve func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		switch who, signedIn := identity.From(r.Context()); {
		case !signedIn:
			return domain.Reject(problem.AuthenticationRequired, "entries are for auditors and admins only: sign in, or send Basic credentials or a token")
		case !who.MayAudit():
			return domain.Reject(problem.AuditorRequired, "entries are for auditors and admins only")
		default:
			if err := s.Identity.RequireFactor(r.Context(), who); err != nil {
				return err
			}
		}
		return serve(w, r)
	}
}

// signedHead reads the last signed head, with what witnesses have cosigned, or refuses where
// there is none.
func (s *Server) signedHead(ctx context.Context) (transparency.Checkpoint, transparency.Cosigned, error) {
	if s.Transparency == nil {
		return transparency.Checkpoint{}, transparency.Cosigned{}, domain.Reject(problem.NotFound, "this ledger publishes no log")
	}
	signed, cosigned, err := s.Transparency.Heads.Published(ctx)
	if err == nil && signed.Note == nil {
		err = domain.Reject(problem.NotFound, "no head of the log was signed yet")
	}
	return signed, cosigned, err
}

func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) error {
	signed, _, err := s.signedHead(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-cache")
	conditional.Write(w, r, "text/plain; charset=utf-8", signed.Note)
	return nil
}

// tile serves only what the last signed head covers.
func (s *Server) tile(w http.ResponseWriter, r *http.Request, tile transparency.Tile) error {
	signed, _, err := s.signedHead(r.Context())
	if err != nil {
		return err
	}
	body, err := tile.Read(r.Context(), s.Transparency.Log, signed.Head)
	switch {
	case errors.Is(err, transparency.ErrNoTile):
		return notFound(w, r)
	case errors.Is(err, eventstore.ErrArchived):
		return domain.Reject(problem.NotFound, "these entries are archived")
	case err != nil:
		return err
	}
	kept := publicImmutable
	if tile.Entries() {
		if !s.Transparency.PublicEntries {
			kept = "private, " + immutable
		}
		w.Header().Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			w.Header().Set("Content-Encoding", "gzip")
			body = compressed(body)
		}
	}
	w.Header().Set("Cache-Control", kept)
	conditional.Write(w, r, "application/octet-stream", body)
	return nil
}

// acceptsGzip reports whether the client names gzip without a weight of zero.
func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.Trim(strings.ReplaceAll(weight, " ", ""), "0.") != "q="
		}
	}
	return false
}

func compressed(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// logHead answers with the last signed head as JSON.
func (s *Server) logHead(w http.ResponseWriter, r *http.Request) error {
	signed, cosigned, err := s.signedHead(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Origin     string                        `json:"origin"`
		Size       eventstore.Position           `json:"size"`
		Root       eventstore.Hash               `json:"root"`
		Checkpoint string                        `json:"checkpoint"`
		Cosigned   *transparency.CosignedSummary `json:"cosigned,omitempty"`
	}{signed.Origin, signed.Head.Size, signed.Head.Root, string(signed.Note), cosigned.Summary()})
}
