package app

import (
	"context"
	"errors"
	"time"

	"kassa/domain"
	"kassa/internal/mail"
	"kassa/projections"
	"kassa/vault"
)

// mailEvery is how often mails that are due are looked for.
const mailEvery = time.Second

// sendMails sends the mails that were asked for, until ctx ends.
func (s *Service) sendMails(ctx context.Context) error {
	tick := time.NewTicker(mailEvery)
	defer tick.Stop()
	for {
		_, _ = s.SendMails(ctx) // it reports its failures
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// SendMails sends what is due, one mail after the other, and gives how many were sent. It
// ends with the first failure; that mail is tried again after a pause.
func (s *Service) SendMails(ctx context.Context) (sent int, err error) {
	for {
		m, ok, err := s.Vault.NextMail(ctx, s.Commands.Now())
		s.reportUnlessEnded(ctx, "read the mails that are due", err)
		if err != nil || !ok {
			return sent, err
		}
		done, err := s.sendMail(ctx, m)
		s.reportUnlessEnded(ctx, "send mails", err)
		if err != nil {
			return sent, err
		}
		if done {
			sent++
		}
	}
}

// reportUnlessEnded reports how work ended that ctx did not interrupt.
func (s *Service) reportUnlessEnded(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		s.Store.Report(what, err)
	}
}

// sendMail sends one, and drops what is for nobody or refused for good.
func (s *Service) sendMail(ctx context.Context, m vault.ResetMail) (sent bool, err error) {
	sent, err = s.sendReset(ctx, m)
	if errors.Is(err, mail.ErrRefused) {
		s.log.Warn("a mail is given up", "error", err)
		sent, err = false, nil
	}
	if err != nil {
		return false, err
	}
	return sent, s.Vault.DropMail(ctx, m.ID)
}

// sendReset makes a link and sends it to the address of the account, where the address that
// was typed has one. The link exists only here and in the mail. A mail that is tried again
// has another link, which ends the former one: of a first try of which the end is unknown,
// the link may be dead.
func (s *Service) sendReset(ctx context.Context, m vault.ResetMail) (sent bool, err error) {
	u, err := s.Commands.FindUser(ctx, m.Email)
	if domain.RefusalIn(err) != nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	user, _, err := s.Views.User(ctx, u, 0)
	if errors.Is(err, projections.ErrNotFound) {
		return false, errors.New("the views do not have a new account yet")
	}
	if err != nil {
		return false, err
	}
	to, err := s.Vault.OpenEmail(ctx, u, user.Email)
	if errors.Is(err, vault.ErrErased) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	token, ok, err := s.Vault.NewReset(ctx, u, s.Commands.Now())
	if err != nil || !ok {
		return false, err
	}
	return true, s.config.Mail.SendReset(ctx, to, m.Language, token)
}
