package web

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gorilla/mux"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/problem"
)

// Receipts give proofs that movements of a user's credits are in the signed log.
type Receipts interface {
	Gives(ctx context.Context) (bool, error) // false where no head of the log is signed
	Receipt(ctx context.Context, u domain.UserID, at eventstore.Position) ([]byte, error)
}

// givesReceipts reports whether a page can link to receipts.
func (pc *pageContext) givesReceipts() (bool, error) {
	if pc.pages.Receipts == nil {
		return false, nil
	}
	return pc.pages.Receipts.Gives(pc.r.Context())
}

// receipt sends the proof of the entry at a position as a file.
func (p *Pages) receipt(pc *pageContext) error {
	plain, err := url.PathUnescape(mux.Vars(pc.r)["position"])
	n, bad := strconv.ParseInt(plain, 10, 64)
	if err != nil || bad != nil || n < 1 || strconv.FormatInt(n, 10) != plain || p.Receipts == nil {
		return domain.Reject(problem.NotFound, "there is no such entry")
	}
	proof, err := p.Receipts.Receipt(pc.r.Context(), pc.Person.User, eventstore.Position(n))
	if err != nil {
		return err
	}
	return pc.sendFile(fmt.Sprintf("kassa-%d.tlog-proof", n), "text/plain; charset=utf-8", proof)
}

// sendFile sends a file that the browser saves.
func (pc *pageContext) sendFile(name, media string, content []byte) error {
	h := pc.w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	h.Set("Cache-Control", "no-store")
	_, _ = pc.w.Write(content) // a failed write means that the browser has left
	return nil
}

type receiptPage struct {
	layout
	Script template.JS // of the page that is saved; it is none of the user's
	Style  template.CSS
}

// receiptCheck shows the page on which a receipt is verified in the browser.
func (p *Pages) receiptCheck(pc *pageContext) error {
	pc.Title = pc.T("receipt.title")
	return pc.show(http.StatusOK, "receipt", receiptPage{layout: pc.layout})
}

// receiptPageFile sends that page as one file, which works from a disk.
func (p *Pages) receiptPageFile(pc *pageContext) error {
	script, err := staticFiles.ReadFile("static/receipt.js")
	if err != nil {
		return err
	}
	style, err := staticFiles.ReadFile("static/base.css")
	if err != nil {
		return err
	}
	pc.Title = pc.T("receipt.title")
	var file bytes.Buffer
	if err := templates["receipt"].ExecuteTemplate(&file, "saved", receiptPage{pc.layout, template.JS(script), template.CSS(style)}); err != nil {
		return err
	}
	return pc.sendFile("kassa-receipt.html", "text/html; charset=utf-8", file.Bytes())
}
