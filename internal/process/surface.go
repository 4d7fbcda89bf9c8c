package process

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"

	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi"
	"kassa/httpapi/auditing"
	"kassa/httpapi/editing"
	"kassa/httpapi/identity"
	"kassa/httpapi/overview"
	"kassa/httpapi/problem"
	"kassa/httpapi/statement"
	"kassa/httpapi/web"
	"kassa/internal/app"
	"kassa/worker"
)

// serve answers the whole surface, or, without the role api, only whether the process is
// alive and ready.
func (p *process) serve(ctx context.Context, listener net.Listener) error {
	if p.service.Has(app.API) {
		return p.server().Serve(ctx, listener)
	}
	return watch(p.log, p.ready, p.failing).Serve(ctx, listener)
}

// server wires the HTTP surface. A broken invariant that a request meets stops the
// process.
func (p *process) server() *httpapi.Server {
	s, h, set := p.service, p.service.Commands, p.Surface
	problems := &problem.Writer{Log: p.log, Broken: s.Stop}
	door := &identity.Authenticator{Users: h, Vault: s.Vault, Accounts: s.Store, Views: s.Views, Problems: problems, Now: time.Now,
		Secure: set.Secure, Proxies: set.Proxies, Limits: identity.Limits{Off: set.NoLimits},
		Security: p.Security.Hashing(s.Vault.LogHash)}
	door.PublicURL, door.Hosts = set.PublicURL, set.Hosts
	door.Mails, door.AdminFactor = p.App.Mail != nil, set.AdminFactor
	if s.Tries != nil {
		door.Tries = s.Tries
	}
	log := &httpapi.Transparency{Log: s.Store, Heads: s.SignedHeads(), PublicEntries: set.PublicEntries}
	reader := auditing.New(s.Store, s.SignedHeads(), s.ViewPositions, time.Now)
	course := &overview.Reader{Views: s.Views, Log: s.Store, Now: time.Now, Missing: p.missing, Failing: p.failing, Shown: s.ViewPositions}
	server := &httpapi.Server{Commands: h, Views: s.Views, Head: s.Store.Head, Films: s.Catalogue, Vault: s.Vault, Identity: door, Audit: reader, Overview: course,
		Statements: &statement.Books{Log: s.Store, Zone: set.Zone, Issuer: set.Issuer}, FilmLinks: set.FilmLinks, Transparency: log, Problems: problems, Log: p.log, Ready: p.ready, Failing: p.failing, Leaving: p.draining.Load,
		Version: p.Version, Hosts: set.Hosts, Origins: set.Origins, SlowRequest: p.Watching.SlowRequest, Observer: &p.observer}
	server.Editor = p.editor(door.RecordEdition)
	pages := &web.Pages{Commands: h, Views: s.Views, Films: s.Catalogue, Vault: s.Vault, Auth: door, Audit: reader, Overview: course, Editor: server.Editor, Problems: problems, Receipts: log,
		Statements: server.Statements, Now: time.Now, Links: set.FilmLinks, Export: server.ExportZip, ErasureDelay: h.ErasureDelay, Limits: h.Limits, Mails: door.Mails, Prices: h.ShownPrices, Bonus: h.Bonus, Sandbox: h.Payments.Name() == commands.Sandbox{}.Name(), Secure: set.Secure}
	server.Pages, server.Refusal = pages.Handler(), pages.Refusal
	return server
}

// editor changes the catalogue with the models of this process, which every process has.
func (p *process) editor(record func(context.Context, domain.UserID, catalog.Edition)) *editing.Editor {
	films, models := p.service.Catalogue, p.App.Models
	return &editing.Editor{Catalogue: films, Record: record, NotFoundBelow: p.App.NotFoundBelow,
		Models: func() []catalog.Embedder {
			first := models.Named(films.Model())
			list := []catalog.Embedder{first}
			for _, model := range models {
				if model != first {
					list = append(list, model)
				}
			}
			return list
		},
		Embed: func(ctx context.Context, text string) (string, []float32, error) {
			answer, err := models.Named(films.Model()).Embed(ctx, text)
			if errors.Is(err, worker.ErrNoMeaning) {
				return "", nil, nil // by its words
			}
			return answer.ModelVersion, answer.Embedding, err
		}}
}

// missing says what the process lacks to be ready, "" for nothing.
func (p *process) missing(ctx context.Context) string {
	err := p.ready(ctx)
	if err == nil {
		return ""
	}
	return cmp.Or(httpapi.MissingOf(err), "not yet, see the log of the process")
}
