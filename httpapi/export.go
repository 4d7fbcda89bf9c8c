package httpapi

import (
	"archive/zip"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/download"
	"kassa/httpapi/identity"
	"kassa/projections"
)

// exportTime limits how long the answer with a person's data is made and sent.
const exportTime = 5 * time.Minute

// exportFormat names the form of the JSON document. A member may be added without another
// name.
const exportFormat = "kassa-export-1"

// export answers with all that is stored about the user, as one JSON document.
func (s *Server) export(w http.ResponseWriter, r *http.Request) error {
	return s.sendExport(w, r, "json", "application/json", writeExport)
}

// ExportZip answers with the data of the request's user as a zip file: data.json, which is
// the JSON document, and the transactions and questions as CSV tables. An error is returned
// only if nothing of the answer was sent.
func (s *Server) ExportZip(w http.ResponseWriter, r *http.Request) error {
	return s.sendExport(w, r, "zip", "application/zip", writeExportZip)
}

// personalData reads what is stored about one person, page by page: memory does not grow
// with the history. The pages are read one after the other, so what the person does
// meanwhile may be in a later one only.
type personalData struct {
	server  *Server
	ctx     context.Context
	user    domain.UserID
	least   eventstore.Position
	at      eventstore.Position
	made    time.Time
	account userJSON
	erasure domain.Erasure
	session []sessionJSON
	token   []tokenJSON
	passkey []passkeyJSON
}

func (s *Server) sendExport(w http.ResponseWriter, r *http.Request, ending, media string, write func(io.Writer, *personalData) error) error {
	if err := download.Wanted(r); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	ctx, cancel := download.Within(w, r, exportTime, s.Identity.WhileValid)
	defer cancel()
	data, err := s.allowedExport(ctx, r, who)
	err = download.Why(ctx, err)
	s.Identity.RecordExport(ctx, who.User, err)
	if err != nil {
		return err
	}
	setPosition(w, data.at)
	err = download.Send(ctx, w, r, s.Problems, download.File{Name: fmt.Sprintf("kassa-data-%s.%s", data.made.Format(time.DateOnly), ending), Media: media,
		Write: func(out io.Writer) error { return write(out, data) }})
	if err != nil {
		w.Header().Del(PositionHeader)
	}
	return err
}

// allowedExport reads the first part of the data within the limit of exports. A person with a
// second factor has given a code a short time ago: all of their data leaves with the answer.
func (s *Server) allowedExport(ctx context.Context, r *http.Request, who identity.Person) (*personalData, error) {
	if err := who.Fresh(); err != nil {
		return nil, err
	}
	if err := s.Identity.AllowExport(ctx, who.User); err != nil {
		return nil, err
	}
	d := &personalData{server: s, ctx: ctx, user: who.User, least: minPosition(r), made: s.Identity.Now().UTC()}
	user, at, err := s.Views.User(ctx, d.user, d.least)
	if err != nil {
		return nil, refused(err, domain.AccountNotFound, noAccount)
	}
	if d.account, err = s.userOf(ctx, user); err != nil {
		return nil, err
	}
	account, err := s.Commands.Account(ctx, d.user)
	if err != nil {
		return nil, err
	}
	d.at, d.erasure = at, account.Erasure
	if d.session, err = s.sessionsOf(ctx, who); err != nil {
		return nil, err
	}
	if d.token, err = s.tokensOf(ctx, d.user); err != nil {
		return nil, err
	}
	d.passkey, err = s.passkeysOf(ctx, d.user)
	return d, err
}

// writeExport writes the JSON document.
func writeExport(w io.Writer, d *personalData) error {
	head := struct {
		Format   string              `json:"format"`
		MadeAt   time.Time           `json:"made_at"`
		Position eventstore.Position `json:"position"`
		Account  userJSON            `json:"account"`
		Erasure  erasureJSON         `json:"erasure"`
		Sessions []sessionJSON       `json:"sessions"`
		Tokens   []tokenJSON         `json:"tokens"`
		Passkeys []passkeyJSON       `json:"passkeys"`
	}{exportFormat, d.made, d.at, d.account, erasureOf(d.erasure), d.session, d.token, d.passkey}
	start, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if _, err := w.Write(start[:len(start)-1]); err != nil {
		return err
	}
	if err := writeList(w, "transactions", d.transactions); err != nil {
		return err
	}
	if err := writeList(w, "predictions", d.predictions); err != nil {
		return err
	}
	_, err = io.WriteString(w, "}\n")
	return err
}

// writeList writes one more member of a JSON object, an array with an item a line.
func writeList[T any](w io.Writer, name string, each func(func(T) error) error) error {
	if _, err := fmt.Fprintf(w, ",\n%q:[", name); err != nil {
		return err
	}
	between := "\n"
	err := each(func(item T) error {
		text, err := json.Marshal(item)
		if err == nil {
			_, err = io.WriteString(w, between+string(text))
		}
		between = ",\n"
		return err
	})
	if err == nil {
		_, err = io.WriteString(w, "]")
	}
	return err
}

func (d *personalData) transactions(show func(transactionJSON) error) error {
	return eachItem(func(q projections.PageQuery) (projections.Page[projections.Transaction], error) {
		page, _, err := d.server.Views.Transactions(d.ctx, d.user, projections.TransactionQuery{PageQuery: q}, d.least)
		return page, err
	}, func(t projections.Transaction) error { return show(transactionOf(t)) })
}

func (d *personalData) predictions(show func(predictionJSON) error) error {
	return eachItem(func(q projections.PageQuery) (projections.Page[projections.Prediction], error) {
		page, _, err := d.server.Views.Predictions(d.ctx, d.user, projections.PredictionQuery{PageQuery: q}, d.least)
		return page, err
	}, func(p projections.Prediction) error {
		shown, err := d.server.conversations(d.ctx, d.user, []projections.Prediction{p}, d.least)
		if err != nil {
			return err
		}
		out, err := shown(p)
		if err != nil {
			return err
		}
		return show(out)
	})
}

// eachItem calls show with every item of a list, newest first.
func eachItem[T any](read func(projections.PageQuery) (projections.Page[T], error), show func(T) error) error {
	for cursor := ""; ; {
		page, err := read(projections.PageQuery{Cursor: cursor, Limit: projections.MaxPage})
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := show(item); err != nil {
				return err
			}
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// writeExportZip writes the document, and the two lists as tables.
func writeExportZip(w io.Writer, d *personalData) error {
	z := zip.NewWriter(w)
	for _, file := range []struct {
		name  string
		write func(io.Writer, *personalData) error
	}{{"data.json", writeExport}, {"transactions.csv", writeTransactions}, {"questions.csv", writeQuestions}} {
		out, err := z.CreateHeader(&zip.FileHeader{Name: file.name, Method: zip.Deflate, Modified: d.made})
		if err != nil {
			return err
		}
		if err := file.write(out, d); err != nil {
			return err
		}
	}
	return z.Close()
}

// byteOrderMark lets spreadsheets read a table as UTF-8.
const byteOrderMark = "\ufeff"

func writeTransactions(w io.Writer, d *personalData) error {
	return writeTable(w, []string{"transaction_id", "created_at", "type", "status", "amount", "given", "balance_after", "prediction_id", "reason", "reference"},
		func(row func(...string) error) error {
			return d.transactions(func(t transactionJSON) error {
				return row(t.ID, t.CreatedAt.Format(time.RFC3339), string(t.Type), t.Status, figure(t.Amount), figure(t.Given), figure(t.BalanceAfter),
					string(t.Prediction), cell(t.Reason), cell(t.Reference))
			})
		})
}

func writeQuestions(w io.Writer, d *personalData) error {
	return writeTable(w, []string{"prediction_id", "created_at", "status", "cost", "text", "films", "confidence", "follow_up_of", "confirmed_movie_id"}, func(row func(...string) error) error {
		return d.predictions(func(p predictionJSON) error {
			for _, p := range append([]predictionJSON{p}, p.FollowUps...) {
				films := make([]string, len(p.Movies))
				for i, m := range p.Movies {
					films[i] = cmp.Or(m.Title, m.ID)
				}
				err := row(string(p.ID), p.CreatedAt.Format(time.RFC3339), p.Status, figure(p.Cost), cell(p.Text), cell(strings.Join(films, "; ")), string(p.Confidence), string(p.FollowUpOf), p.Confirmed)
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func writeTable(w io.Writer, columns []string, rows func(row func(...string) error) error) error {
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return err
	}
	table := csv.NewWriter(w)
	table.UseCRLF = true // RFC 4180
	if err := table.Write(columns); err != nil {
		return err
	}
	if err := rows(func(fields ...string) error { return table.Write(fields) }); err != nil {
		return err
	}
	table.Flush()
	return table.Error()
}

func figure(c domain.Credits) string { return strconv.FormatInt(int64(c), 10) }

// cell is a text that a spreadsheet does not read as a formula.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
