// Package conditional answers reads whose answer the client may have already (RFC 9110,
// 13.1.2): each carries an ETag, and a client that sends it in If-None-Match gets 304
// without a body.
package conditional

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// Write answers 200 with the body, or 304 where the client has it.
func Write(w http.ResponseWriter, r *http.Request, media string, body []byte) {
	write(w, r, media, body, tagOf(body))
}

// WriteWeak is Write for a body that changes where its content does not: the tag is that of
// the content, and weak.
func WriteWeak(w http.ResponseWriter, r *http.Request, media string, body, content []byte) {
	write(w, r, media, body, "W/"+tagOf(content))
}

func write(w http.ResponseWriter, r *http.Request, media string, body []byte, tag string) {
	w.Header().Set("ETag", tag)
	if names(r.Header.Values("If-None-Match"), strings.TrimPrefix(tag, "W/")) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", media)
	_, _ = w.Write(body) // a failed write means that the client has left
}

// tagOf is a strong ETag of the bytes. A proxy that compresses them makes it weak.
func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// names reports whether the list contains the tag, weak or strong, or is "*". An
// invalid list contains none, and the answer is sent. Our tags have no commas.
func names(lists []string, tag string) bool {
	for one := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		one = strings.TrimSpace(one)
		if strings.TrimPrefix(one, "W/") == tag || one == "*" {
			return true
		}
	}
	return false
}
