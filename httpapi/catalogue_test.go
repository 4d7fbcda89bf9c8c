package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kassa/httpapi/identity"
)

// keeper is a fixture with an admin who keeps the films by the API.
type keeper struct {
	*fixture
	h http.Handler
}

func newKeeper(t *testing.T) keeper {
	t.Helper()
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("root")
	w.setAdmin("root", true)
	w.addUser("ada")
	return keeper{w, w.server.Handler()}
}

// post sends a body as the admin, and reads the answer of this status.
func (k keeper) post(path, body string, status int) (said map[string]any) {
	k.t.Helper()
	answer := k.send(k.h, "POST", "/api/admin/"+path, "root", body)
	if answer.Code != status {
		k.t.Fatalf("%s answers %d, want %d: %s", path, answer.Code, status, answer.Body)
	}
	decodeJSON(k.t, answer.Body.Bytes(), &said)
	return said
}

const lampFilm = `{"id":"the-keeper-of-the-lamp-2021","title":"The Keeper of the Lamp","title_ru":"Хранитель лампы","year":2021,"description":"A widow and a heron."}`

// A film comes in, is found, is changed by one of two admins who have it, and the change is
// undone.
func TestFilmsByTheAPI(t *testing.T) {
	k := newKeeper(t)
	if said := k.post("films", `{"film":`+lampFilm+`}`, 200); fmt.Sprintf("%v %v", said["edition"], said["films"]) != "1 1" {
		t.Errorf("saved: %v", said)
	}
	if said := k.post("films", `{"film":`+lampFilm+`}`, 200); fmt.Sprint(said["edition"]) != "0" { // the same once more
		t.Errorf("saved again: %v", said)
	}
	if said := k.post("catalogue/try", `{"text":"widow heron","movie_id":"the-keeper-of-the-lamp-2021"}`, 200); fmt.Sprint(said["place"]) != "1" {
		t.Errorf("tried: %v", said)
	}
	var stored struct {
		Film    json.RawMessage
		Version string
		Own     bool
	}
	decodeJSON(t, k.send(k.h, "GET", "/api/admin/films/the-keeper-of-the-lamp-2021", "root", "").Body.Bytes(), &stored)
	later := strings.Replace(lampFilm, "2021,", "2021,\"runtime\":90,", 1)
	if !stored.Own {
		t.Error("it is not the operator's")
	}
	k.post("films", `{"film":`+later+`,"version":"`+stored.Version+`"}`, 200)
	other := strings.Replace(later, "90", "91", 1)
	if said := k.post("films", `{"film":`+other+`,"version":"`+stored.Version+`"}`, 409); said["code"] != "film_changed" {
		t.Errorf("the second admin: %v", said)
	}
	if said := k.post("films", `{"film":{"id":"x","title":"X","year":1}}`, 422); said["code"] != "invalid_film" || !strings.Contains(said["detail"].(string), "year") {
		t.Errorf("no film: %v", said)
	}
	if said := k.post("films", `{"film":{"id":"x","title":"X","year":2000,"colour":1}}`, 422); said["code"] != "invalid_film" {
		t.Errorf("an unknown field: %v", said)
	}
	k.post("catalogue/undo", `{"edition":1}`, 409)
	k.post("catalogue/undo", `{"edition":2}`, 200)
	answer := k.send(k.h, "GET", "/api/admin/films?q=хранитель&own=true", "root", "")
	if !strings.Contains(answer.Body.String(), `"total":1`) {
		t.Errorf("listed: %s", answer.Body)
	}
	k.post("films/inception-2010/remove", `{"version":"x"}`, 409)
	k.post("films/no-such-film/remove", `{"version":"x"}`, 404)
	for _, path := range []string{"films", "catalogue/check", "catalogue/preview", "catalogue/apply", "catalogue/undo", "catalogue/try", "films/x/remove"} {
		if answer := k.send(k.h, "POST", "/api/admin/"+path, "ada", "{}"); answer.Code != http.StatusForbidden {
			t.Errorf("Ada gets %d of %s", answer.Code, path)
		}
	}
	for _, query := range []string{"lack=colour", "page=0", "own=perhaps"} {
		if answer := k.send(k.h, "GET", "/api/admin/films?"+query, "root", ""); answer.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s answers %d", query, answer.Code)
		}
	}
}

// Films are stored as their preview has shown them, and not otherwise.
func TestFilmFilesByTheAPI(t *testing.T) {
	k := newKeeper(t)
	films := `{"films":[` + lampFilm + `,{"id":"x","title":"X","year":1}]`
	check := k.post("catalogue/check", films+"}", 200)
	if fmt.Sprint(check["valid"]) != "1" || len(check["faults"].([]any)) != 1 {
		t.Errorf("checked: %v", check)
	}
	shown := k.post("catalogue/preview", films+"}", 200)
	if len(shown["changes"].([]any)) != 1 || len(shown["faults"].([]any)) != 1 {
		t.Errorf("shown: %v", shown)
	}
	digest := `,"digest":"` + shown["digest"].(string) + `"}`
	k.post("films", `{"film":`+strings.Replace(lampFilm, "heron", "gull", 1)+`}`, 200)
	k.post("catalogue/apply", films+digest, 409)
	shown = k.post("catalogue/preview", films+"}", 200)
	k.post("catalogue/apply", films+`,"digest":"`+shown["digest"].(string)+`"}`, 200)
	for _, body := range []string{`{}`, `{"films":1}`, `{"films":[]}`, `{"films":[1]}`, films + `}`, films + `,"digest":"` + strings.Repeat("f", 33) + `"}`} {
		if said := k.post("catalogue/apply", body, 422); said["code"] != "invalid_field" {
			t.Errorf("%s is refused with %v", body, said)
		}
	}
	large := `{"films":[` + strings.Repeat(" ", 4<<20+maxBody) + `]}`
	if answer := k.send(k.h, "POST", "/api/admin/catalogue/check", "root", large); answer.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body is answered %d", answer.Code)
	}
}

// readCount counts how many bytes are read of a body.
type readCount struct {
	io.Reader
	read int
}

func (c *readCount) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

// Large bodies are read of admins only: anybody else is refused first.
func TestLargeBodiesOfOthers(t *testing.T) {
	k := newKeeper(t)
	k.server.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := readBody(r, fields{}); err != nil {
			k.server.Problems.Refuse(w, r, err)
		}
	})
	h := k.server.Handler()
	for _, tt := range []struct {
		path, name string
		status     int
	}{
		{"/api/admin/films", "", http.StatusUnauthorized},
		{"/api/admin/films", "ada", http.StatusForbidden},
		{"/api/admin/catalogue/apply", "", http.StatusUnauthorized},
		{"/api/admin/catalogue/apply", "ada", http.StatusForbidden},
		{"/web/admin/film/upload", "", http.StatusRequestEntityTooLarge},
		{"/web/admin/films/upload", "root", http.StatusRequestEntityTooLarge}, // the pages allow more where they read it
	} {
		body := &readCount{Reader: strings.NewReader(strings.Repeat(" ", 1<<20))}
		r := httptest.NewRequest(http.MethodPost, tt.path, body)
		r.Header.Set("Content-Type", "application/json")
		if tt.name != "" {
			basic(r, tt.name)
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if answer.Code != tt.status {
			t.Errorf("%s of %q answers %d, want %d", tt.path, tt.name, answer.Code, tt.status)
		}
		if body.read > maxBody+1 {
			t.Errorf("%s of %q: %d bytes are read", tt.path, tt.name, body.read)
		}
	}
}
