package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/user"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/internal/security"
	"kassa/projections"
)

// operatorSettings are who changes something on the console, and why.
type operatorSettings struct {
	As     string `placeholder:"NAME" help:"The operator's name; it is stored in the log. Default: the operating system's user."`
	Reason string `help:"Why. It is stored in the log for ever: no personal data."`
}

// operatorName is the given name, or that of the operating system's user.
func operatorName(given string) string {
	if given != "" {
		return given
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "?"
}

type grantCommand struct {
	Email string `arg:"" help:"The person's e-mail."`
	Role  string `enum:"admin,auditor" default:"admin" help:"The role: admin or auditor. Default: ${default}."`
	operatorSettings
}

func (g grantCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Admin.order(ctx, c, g.Email, g.operatorSettings, roleOrder("an ", g.Role, security.RoleGranted, (*commands.Handler).GrantRole))
}

type revokeCommand struct {
	Email string `arg:"" help:"The person's e-mail."`
	Role  string `enum:"admin,auditor" default:"admin" help:"The role: admin or auditor. Default: ${default}."`
	operatorSettings
}

func (r revokeCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Admin.order(ctx, c, r.Email, r.operatorSettings, roleOrder("no ", r.Role, security.RoleRevoked, (*commands.Handler).RevokeRole))
}

type lockCommand struct {
	Email string `arg:"" help:"The person's e-mail."`
	operatorSettings
}

func (l lockCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Admin.order(ctx, c, l.Email, l.operatorSettings, consoleOrder{becomes: "locked", kind: security.AccountLocked, do: (*commands.Handler).Lock})
}

type unlockCommand struct {
	Email string `arg:"" help:"The person's e-mail."`
	operatorSettings
}

func (u unlockCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Admin.order(ctx, c, u.Email, u.operatorSettings, consoleOrder{becomes: "not locked", kind: security.AccountUnlocked, do: (*commands.Handler).Unlock})
}

// consoleOrder is a change of a role or a lock.
type consoleOrder struct {
	becomes string // what the person is afterwards
	kind    security.Kind
	role    string // "" of a lock
	do      func(*commands.Handler, context.Context, commands.Order) (eventstore.Position, error)
}

func roleOrder(article, role string, kind security.Kind, change func(*commands.Handler, context.Context, domain.Role, commands.Order) (eventstore.Position, error)) consoleOrder {
	return consoleOrder{article + role, kind, role, func(h *commands.Handler, ctx context.Context, o commands.Order) (eventstore.Position, error) {
		return change(h, ctx, domain.Role(role), o)
	}}
}

// order appends the change to the log. A service that runs on the same folder sees it within
// a moment.
func (a adminCommand) order(ctx context.Context, c *console, email string, by operatorSettings, change consoleOrder) error {
	l, err := a.openExisting(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	h := l.Commands(app.Terms{})
	u, err := h.FindUser(ctx, email)
	if err != nil {
		return err
	}
	order := commands.Order{User: u, By: operatorName(by.As), Reason: by.Reason}
	if change.kind == security.RoleRevoked && change.role == string(domain.AdminRole) || change.kind == security.AccountLocked {
		if order.Stays, err = anotherAdmin(ctx, l, h, u); err != nil {
			return err
		}
	}
	at, err := change.do(h, ctx, order)
	if at > 0 {
		c.recordOrder(ctx, u, change, at)
	}
	switch {
	case err != nil:
		return err
	case at == 0:
		fmt.Fprintf(c.out, "%s is %s already.\n", u, change.becomes)
	default:
		fmt.Fprintf(c.out, "%s is %s since position %d.\n", u, change.becomes, at)
	}
	return nil
}

func (c *console) recordOrder(ctx context.Context, u domain.UserID, change consoleOrder, at eventstore.Position) {
	e := security.Event{Kind: change.kind, Subject: u, Details: []slog.Attr{slog.Int64("position", int64(at))}}
	if change.role != "" {
		e.Details = append([]slog.Attr{slog.String("role", change.role)}, e.Details...)
	}
	c.security.Record(onConsole(ctx), e)
}

// anotherAdmin finds an admin who stays when u is none any more, or refuses where u is the
// last one. The view names who may be one; whether they are, the log says, here and at the
// append. Of a person who is no admin nobody is needed.
func anotherAdmin(ctx context.Context, l *app.Ledger, h *commands.Handler, u domain.UserID) (domain.UserID, error) {
	if account, err := h.Account(ctx, u); err != nil || !account.Admin {
		return "", err
	}
	views := projections.NewMemory()
	if err := views.Replay(ctx, l.Store); err != nil {
		return "", err
	}
	for page := (projections.PageQuery{Limit: projections.MaxPage}); ; {
		users, _, err := views.Users(ctx, page, 0)
		if err != nil {
			return "", err
		}
		for _, other := range users.Items {
			if !other.Admin || other.ID == u {
				continue
			}
			if account, err := h.Account(ctx, other.ID); err != nil || account.MayAdminister() {
				return other.ID, err
			}
		}
		if page.Cursor = users.Next; page.Cursor == "" {
			return "", domain.LastAdminStays()
		}
	}
}
