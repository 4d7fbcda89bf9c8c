package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"kassa/internal/app"
	"kassa/internal/security"
	"kassa/projections"
	"kassa/vault"
)

type adminCommand struct {
	dataSettings
	Grant       grantCommand       `cmd:"" help:"Make the person with this e-mail an admin, or an auditor. They must have signed up."`
	Revoke      revokeCommand      `cmd:"" help:"End it. The last admin stays one."`
	Lock        lockCommand        `cmd:"" help:"Lock the account of the person with this e-mail: their sessions and tokens end, and they cannot sign in. Open questions are settled."`
	Unlock      unlockCommand      `cmd:"" help:"End the lock."`
	Reset       resetCommand       `cmd:"" help:"Print a one-time link by which this person sets another password; it ends the ones before it."`
	FactorReset factorResetCommand `cmd:"" help:"Turn off the second factor of a person who has lost it. They can sign in with their password alone."`
	List        listAdmins         `cmd:"" help:"List the admins."`

	Erase   eraseCommand   `cmd:"" help:"Erase the person with this e-mail: credits are settled, and what was sealed for them can never be read again."`
	Keep    keepCommand    `cmd:"" help:"Cancel an erasure that was requested and is not done."`
	Erasure erasureCommand `cmd:"" help:"Print the certificate of an erasure: which entries became unreadable, and the root of the log at that time."`
}

type resetCommand struct {
	Email     string `arg:"" help:"The person's e-mail."`
	PublicURL string `name:"public-url" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address of the service as browsers have it, with which the link begins. Default: ${default}."`
}

func (r resetCommand) Validate() error { return checkPublicURL(r.PublicURL) }

// Run prints the link alone, so that it can be piped. A person who has it can take over the
// account, so it is not in the security log.
func (r resetCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	l, err := line.Admin.openExisting(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	u, err := l.Commands(app.Terms{}).FindUser(ctx, r.Email)
	if err != nil {
		return err
	}
	token, ok, err := l.Vault.NewReset(ctx, u, time.Now())
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s has no password that could be replaced", u)
	}
	c.security.Record(onConsole(ctx), security.Event{Kind: security.ResetRequested, Subject: u})
	fmt.Fprintf(c.out, "%s/web/reset?token=%s\n", strings.TrimRight(r.PublicURL, "/"), token)
	return nil
}

type factorResetCommand struct {
	Email string `arg:"" help:"The person's e-mail."`
}

func (f factorResetCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	l, err := line.Admin.openExisting(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	u, err := l.Commands(app.Terms{}).FindUser(ctx, f.Email)
	if err != nil {
		return err
	}
	dropped, err := l.Vault.DropFactor(ctx, u)
	if err != nil {
		return err
	}
	if !dropped {
		fmt.Fprintf(c.out, "%s has no second factor.\n", u)
		return nil
	}
	c.security.Record(onConsole(ctx), security.Event{Kind: security.FactorRemoved, Subject: u, Method: "totp"})
	fmt.Fprintf(c.out, "The second factor of %s is off.\n", u)
	return nil
}

type listAdmins struct{}

func (listAdmins) Run(ctx context.Context, c *console, line *commandLine) error {
	l, err := line.Admin.openExisting(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	views := projections.NewMemory()
	if err := views.Replay(ctx, l.Store); err != nil {
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
			email, err := l.Vault.OpenEmail(ctx, u.ID, u.Email)
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
