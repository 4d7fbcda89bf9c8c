package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kassa/audit"
	"kassa/commands"
	"kassa/domain"
	"kassa/internal/app"
	"kassa/internal/security"
)

type eraseCommand struct {
	Email   string        `arg:"" help:"The person's e-mail."`
	Reason  string        `required:"" help:"Why, such as the number of a letter. It is stored in the log for ever: no personal data."`
	Credits string        `enum:"withdraw,forfeit" default:"withdraw" help:"What becomes of bought credits: withdraw pays them out, forfeit leaves them to the house. Given ones are forfeited. Default: ${default}."`
	Delay   time.Duration `default:"168h" help:"Time in which it can be cancelled. Default: ${default}."`
	Now     bool          `help:"Erase at once. It cannot be cancelled."`
}

// Run requests the erasure. The service finishes it when it is due; with --now it is finished
// here.
func (e eraseCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	if e.Delay < 0 || e.Delay > maxErasureDelay {
		return wrongArgument("--delay must be from 0 to 720h")
	}
	l, err := line.Admin.openExisting(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	h := l.Commands(app.Terms{ErasureDelay: e.Delay})
	u, err := h.FindUser(ctx, e.Email)
	if err != nil {
		return err
	}
	asked, err := h.OrderErasure(ctx, commands.Erasure{User: u, Reason: e.Reason, Bought: domain.ErasureCredits(e.Credits), Now: e.Now})
	if err != nil {
		return err
	}
	c.security.Record(onConsole(ctx), security.Event{Kind: security.ErasureRequested, Subject: u, Details: []slog.Attr{slog.Time("due", asked.DueAt), slog.Int64("position", int64(asked.Position))}})
	if !e.Now {
		fmt.Fprintf(c.out, "%s is erased by the service after %s, unless they or kassa admin keep cancel it before.\n", u, asked.DueAt.Format(time.RFC3339))
		return nil
	}
	return eraseNow(ctx, c, l, h, u)
}

// finishTries is how often an erasure is tried that other commands of the account are in the
// way of.
const finishTries = 20

func eraseNow(ctx context.Context, c *console, l *app.Ledger, h *commands.Handler, u domain.UserID) (err error) {
	for range finishTries {
		_, err = h.FinishErasure(ctx, u)
		if refusal := domain.RefusalIn(err); refusal == nil || refusal.Code != domain.Busy {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("the erasure of %s was requested, and is not finished; a running service goes on with it: %w", u, err)
	}
	c.security.Record(onConsole(ctx), security.Event{Kind: security.Erased, Subject: u})
	if err := l.Vault.Scrub(ctx); err != nil {
		fmt.Fprintf(c.err, "%s is erased; deleted keys are still in the files of the database, see docs/privacy.md: %v\n", u, err)
	}
	return printCertificate(ctx, c, l, u)
}

type keepCommand struct {
	Email string `arg:"" help:"The person's e-mail."`
}

func (k keepCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	l, err := line.Admin.openExisting(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	h := l.Commands(app.Terms{})
	u, err := h.FindUser(ctx, k.Email)
	if err != nil {
		return err
	}
	done, err := h.KeepPerson(ctx, u)
	if err != nil {
		return err
	}
	c.security.Record(onConsole(ctx), security.Event{Kind: security.ErasureCancelled, Subject: u, Details: []slog.Attr{slog.Int64("position", int64(done.Position))}})
	fmt.Fprintf(c.out, "The erasure of %s was cancelled at position %d.\n", u, done.Position)
	return nil
}

type erasureCommand struct {
	User string `arg:"" help:"The id of the account, which the request of the erasure has shown."`
}

func (e erasureCommand) Run(ctx context.Context, c *console, line *commandLine) error {
	l, err := line.Admin.openToRead(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	if !domain.UserID(e.User).Valid() {
		return wrongArgument("%q is no id of an account", e.User)
	}
	return printCertificate(ctx, c, l, domain.UserID(e.User))
}

// printCertificate prints the certificate as JSON, and refuses to where the person has a key.
func printCertificate(ctx context.Context, c *console, l *app.Ledger, u domain.UserID) error {
	certificate, err := audit.Certify(ctx, l.Store, u)
	if err != nil {
		return err
	}
	kept, err := l.Keys(ctx, []domain.UserID{u})
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		return errors.New("the log says that this account was erased, and its key is in the vault: start the service, which deletes it, and try again")
	}
	out := json.NewEncoder(c.out)
	out.SetIndent("", "  ")
	return out.Encode(certificate)
}
