package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/projections"
)

// halfViews fail from the second page of transactions on.
type halfViews struct {
	projections.Views
	from string // the cursor at which they fail
}

var errBroken = errors.New("the disk is away")

func (v halfViews) Transactions(ctx context.Context, u domain.UserID, q projections.TransactionQuery, least eventstore.Position) (projections.Page[projections.Transaction], eventstore.Position, error) {
	if v.from == "" || q.Cursor != "" {
		return projections.Page[projections.Transaction]{}, 0, errBroken
	}
	return v.Views.Transactions(ctx, u, q, least)
}

// An export has every page of the history. One that fails on its way does not look whole, and
// one that fails at its start is an error.
func TestExportOfALongHistory(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	u := w.addUser("ada")
	const deposits = projections.MaxPage + 1
	reason := "r" + fmt.Sprintf("%0299d", 7)
	w.addUser("bob")
	w.setAdmin("bob", true)
	var last commands.Result
	for n := range deposits {
		var err error
		if last, err = w.server.Commands.Adjust(t.Context(), commands.Adjust{Admin: w.env.User(email("bob")), User: u, Correction: domain.Correction{Amount: domain.Credits(n + 1), Reason: reason}}); err != nil {
			t.Fatal(err)
		}
	}
	w.env.WaitFor(last.Position)
	get := func() (*http.Response, []byte, error) {
		t.Helper()
		server := httptest.NewServer(w.server.Handler())
		defer server.Close()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/users/export", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(basic(r, "ada"))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return answer, body, err
	}
	answer, body, err := get()
	var data struct {
		Transactions []struct {
			Amount domain.Credits `json:"amount"`
		} `json:"transactions"`
	}
	if err != nil || answer.StatusCode != http.StatusOK || json.Unmarshal(body, &data) != nil || len(data.Transactions) != deposits+1 {
		t.Fatalf("answers %d with %d transactions, %v", answer.StatusCode, len(data.Transactions), err)
	}
	for i, tr := range data.Transactions[:deposits] {
		if tr.Amount != domain.Credits(deposits-i) {
			t.Fatalf("transaction %d is of %d", i, tr.Amount)
		}
	}
	views := w.server.Views
	w.server.Views = halfViews{views, "the second page"}
	if answer, body, err := get(); answer.StatusCode != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) || bytes.HasSuffix(body, []byte("}\n")) {
		t.Errorf("half an export ends with %v, status %d", err, answer.StatusCode)
	}
	w.server.Views = halfViews{views, ""}
	if answer, _, err := get(); err != nil || answer.StatusCode != http.StatusInternalServerError || answer.Header.Get("Content-Disposition") != "" {
		t.Errorf("no export is answered with %d, %v, %v", answer.StatusCode, answer.Header, err)
	}
}
