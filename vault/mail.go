package vault

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// mailLife is how long a mail that was asked for is tried. Later the person has asked again,
// or has given up.
const mailLife = 30 * time.Minute

// firstPause is the time between the first two tries of a mail; each further one is four
// times as long. It is longer than a try takes, so no other process begins one meanwhile.
const firstPause = 30 * time.Second

// ResetMail is a mail with a link to set another password, which somebody asked for.
type ResetMail struct {
	ID       string `json:"-"`
	Email    string `json:"email"` // as it was typed; it may have no account
	Language string `json:"language"`
}

// AskReset stores that a mail is to be sent. It does the same for any address: it does not
// look whether there is an account.
func (v *Vault) AskReset(ctx context.Context, email, language string, now time.Time) error {
	m := ResetMail{ID: rand.Text(), Email: email, Language: language}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	sealed, err := sealWith(v.mailKey, []byte(m.ID), text)
	if err != nil {
		return err
	}
	if err := v.db.addMail(ctx, m.ID, sealed, now, now.Add(mailLife)); err != nil {
		return fmt.Errorf("store a mail that was asked for: %w", written(err))
	}
	return nil
}

// NextMail takes the mail that is due for longest, and puts its next try off: of several
// processes one gets it, and after a crash it is tried again. ok is false where none is due.
func (v *Vault) NextMail(ctx context.Context, now time.Time) (m ResetMail, ok bool, err error) {
	id, sealed, err := v.db.takeMail(ctx, now)
	if errors.Is(err, errNone) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("read a mail that is due: %w", err)
	}
	text, err := openWith(v.mailKey, []byte(id), sealed)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, false, fmt.Errorf("%w: a mail that was asked for: %w", ErrUnreadable, err)
	}
	m.ID = id
	return m, true, nil
}

// DropMail deletes a mail that was sent, or that is for nobody.
func (v *Vault) DropMail(ctx context.Context, id string) error {
	if err := v.db.dropMail(ctx, id); err != nil {
		return fmt.Errorf("delete a mail that was asked for: %w", written(err))
	}
	return nil
}
