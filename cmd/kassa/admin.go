package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"kassa/projections"
	"kassa/vault"
)

type adminCommand struct {
	dataSettings
	Grant  grantCommand  `cmd:"" help:"Make the person with this e-mail an admin. They must have signed up."`
	Revoke revokeCommand `cmd:"" help:"End it."`
	List   listAdmins    `cmd:"" help:"List the admins."`
}

type grantCommand struct {
	Email string `arg:"" help:"The person's e-mail."`
}

type revokeCommand struct {
	Email string `arg:"" help:"The person's e-mail."`
}

func (g grantCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Admin.set(ctx, c, g.Email, true)
}

func (r revokeCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Admin.set(ctx, c, r.Email, false)
}

// set appends the grant, or its end, to the log. A service that runs on the same
// folder sees it within a moment.
func (a adminCommand) set(ctx context.Context, c *console, email string, admin bool) error {
	l, err := a.openExisting(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	h := l.commands(priceSettings{})
	u, err := h.FindUser(ctx, email)
	if err != nil {
		return err
	}
	at, err := h.SetAdmin(ctx, u, admin)
	if err != nil {
		return err
	}
	state := map[bool]string{true: "an admin", false: "no admin"}[admin]
	if at == 0 {
		fmt.Fprintf(c.out, "%s is %s already.\n", u, state)
		return nil
	}
	fmt.Fprintf(c.out, "%s is %s since position %d.\n", u, state, at)
	return nil
}

type listAdmins struct{}

func (listAdmins) Run(ctx context.Context, c *console, line *commandLine) error {
	l, err := line.Admin.openExisting(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	views := projections.NewMemory()
	if err := views.Replay(ctx, l.store); err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "USER\tE-MAIL\tSIGNED UP")
	page := projections.PageQuery{Limit: projections.MaxPage}
	for {
		users, _, err := views.Users(ctx, page, 0)
		if err != nil {
			return err
		}
		for _, u := range users.Items {
			if !u.Admin {
				continue
			}
			email, err := l.vault.OpenEmail(ctx, u.ID, u.Email)
			switch {
			case errors.Is(err, vault.ErrErased):
				email = "(erased)"
			case errors.Is(err, vault.ErrUnreadable):
				email = "(damaged)"
			case err != nil:
				return err
			}
			fmt.Fprintf(table, "%s\t%s\t%s\n", u.ID, email, u.SignedUpAt.Format(time.RFC3339))
		}
		if page.Cursor = users.Next; page.Cursor == "" {
			return table.Flush()
		}
	}
}
