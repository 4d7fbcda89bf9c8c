package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/projections"
	"kassa/transparency"
)

// recoverCommand is for data that was restored by other means than backup restore: a
// database by PostgreSQL's own tools, or a folder that was copied.
type recoverCommand struct {
	dataSettings
	restoredSettings
}

// Run proves the log, compares it with the newest head that is known outside, and sets
// right what follows the log.
func (r recoverCommand) Run(ctx context.Context, c *console) error {
	s, err := r.existing()
	if err != nil {
		return err
	}
	report, err := replayed(ctx, s)
	if err != nil {
		return fmt.Errorf("the log is not proved, and nothing was changed; see kassa verify: %w", err)
	}
	fmt.Fprintf(c.out, "The log of %d entries was replayed.\n", report.Head.Size)
	set, err := r.judge(ctx, c, s)
	if err != nil {
		return err
	}
	if s.DatabaseURL != "" {
		if err := repairFollowers(ctx, c, s); err != nil {
			return err
		}
	}
	return set.finish(c, s)
}

// replayed proves the log alone: what follows it is set right afterwards.
func replayed(ctx context.Context, s app.Storage) (r audit.Report, err error) {
	l, err := s.OpenToRead(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return audit.Verify(ctx, l.Store)
}

// repairFollowers fills again the views that are ahead of the log, or of another history of
// it, and sets the relay's checkpoint back. The roles projector and relay would do the same.
// What is in the broker can stay: nothing in it is believed.
func repairFollowers(ctx context.Context, c *console, s app.Storage) error {
	l, err := s.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	astray, err := projections.Astray(ctx, l.Pool)
	if err != nil {
		return err
	}
	for _, view := range astray {
		done, err := projections.Rebuild{DB: l.Pool, Events: l.Store, Replace: true}.Run(ctx, view)
		if err != nil {
			return fmt.Errorf("fill the view %s again: %w", view, err)
		}
		fmt.Fprintf(c.out, "%s did not follow the log, and was filled again up to position %d.\n", done.Table, done.Position)
	}
	if _, err := l.Store.Checkpoint(ctx, app.RelayName); errors.Is(err, eventstore.ErrAhead) {
		first, err := l.Store.Archived(ctx) // what is archived cannot be read, and is over
		if err == nil {
			err = l.Store.SetCheckpoint(ctx, app.RelayName, first)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "The relay did not follow the log, and goes on after position %d.\n", first)
	} else if err != nil {
		return err
	}
	return nil
}

// restoredSettings say what is known outside of the data that was restored.
type restoredSettings struct {
	logKeySettings
	Kept           keptHead `placeholder:"SIZE:ROOT" help:"The newest head that you know, from a run of verify."`
	SignedHeadFile string   `name:"signed-head-file" type:"existingfile" placeholder:"FILE" help:"The newest signed head that you know: the file of kassa serve, or what /log/checkpoint answered."`
	Unproved       bool     `help:"No head is known: whether entries are missing stays unknown."`
	AcceptLoss     bool     `name:"accept-loss" help:"Go on although entries are missing. Then the log gets another name and another key, because it cannot continue what was signed."`
}

// Validate wants exactly one of the heads, or that there is none.
func (r restoredSettings) Validate() error {
	given := 0
	for _, is := range []bool{r.Kept.Head != nil, r.SignedHeadFile != "", r.Unproved} {
		if is {
			given++
		}
	}
	if given != 1 {
		return errors.New("give the newest head that is known outside of the backup, with --signed-head-file or --kept; or, if there is none, --unproved")
	}
	return nil
}

// settlement is what is done to the log's name once the data is in its place.
type settlement struct {
	lost    bool
	head    eventstore.Head // of the log
	newKey  string          // text of the key file, "" for no new key
	keyFile string          // that was given, "" for the one of the data folder
	public  string
	outside string // file with a signed head that is not continued, "" for none
}

// judge compares the log with the newest head that is known outside. If entries are
// missing, and the loss is not accepted, the error says which.
func (r restoredSettings) judge(ctx context.Context, c *console, s app.Storage) (set settlement, err error) {
	l, err := s.OpenToRead(ctx)
	if err != nil {
		return set, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	keys, err := r.keys(s)
	if err != nil {
		return set, err
	}
	if set.head, err = l.Store.Head(ctx); err != nil {
		return set, err
	}
	outside, err := r.outside(keys)
	switch {
	case err != nil:
		return set, err
	case outside == nil:
		fmt.Fprintln(c.out, "Whether entries are missing is unknown: no head from outside was given.")
		return set, nil
	}
	err = l.Store.Extends(ctx, set.head, *outside)
	switch {
	case err == nil:
		fmt.Fprintf(c.out, "Nothing is missing up to the head of %d entries: the log has %d.\n", outside.Size, set.head.Size)
		return set, nil
	case !errors.Is(err, eventstore.ErrDiverged):
		return set, err
	}
	missing, err := missingFrom(ctx, l.Store, set.head, *outside)
	if err != nil {
		return set, err
	}
	if !r.AcceptLoss {
		return set, fmt.Errorf("%s. Look for a newer backup first. --accept-loss goes on without them; nothing was changed", missing)
	}
	fmt.Fprintln(c.out, missing+". That is accepted.")
	set.lost, set.outside, set.keyFile = true, r.SignedHeadFile, r.LogKeyFile
	if keys.Sign() {
		set.newKey, set.public, err = transparency.NewKey(keys.NextName())
	}
	if err == nil {
		err = forgetSigned(ctx, s)
	}
	return set, err
}

// keys are those of the log, for the head's signature; there may be none.
func (r restoredSettings) keys(s app.Storage) (transparency.Keys, error) {
	text, err := r.text()
	if err != nil {
		return transparency.Keys{}, err
	}
	if text == "" {
		file, err := os.ReadFile(s.LogKeyFile())
		if errors.Is(err, os.ErrNotExist) {
			return transparency.Keys{}, nil
		}
		if err != nil {
			return transparency.Keys{}, fmt.Errorf("read the keys of the log: %w", err)
		}
		text = string(file)
	}
	return transparency.ParseKeys(text)
}

// outside is the newest head that is known, nil for none.
func (r restoredSettings) outside(keys transparency.Keys) (*eventstore.Head, error) {
	if r.SignedHeadFile == "" {
		return r.Kept.Head, nil
	}
	if keys.Name() == "" {
		return nil, wrongArgument("the signature of %s cannot be verified without the key of the log: give --log-key-file", r.SignedHeadFile)
	}
	text, err := os.ReadFile(r.SignedHeadFile)
	if err != nil {
		return nil, unableError{err}
	}
	signed, err := keys.Open(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.SignedHeadFile, err)
	}
	return &signed.Head, nil
}

// missingFrom says which entries a log does not have that an earlier head covered.
func missingFrom(ctx context.Context, log *eventstore.Store, head, outside eventstore.Head) (string, error) {
	since := "the beginning"
	if head.Size > 0 {
		last, err := log.After(ctx, head.Size-1, 1)
		if err != nil {
			return "", err
		}
		since = last[0].Time.UTC().Format(time.RFC3339)
	}
	if outside.Size > head.Size {
		return fmt.Sprintf("entries are missing: %d, at the positions %d to %d: what was acknowledged after %s up to the head that you gave, and what came after that head (payments, charges, sign-ups, erasures)",
			outside.Size-head.Size, head.Size+1, outside.Size, since), nil
	}
	return fmt.Sprintf("the log has %d entries and does not begin with the %d of the head that you gave: it is another history of it, such as an older backup that went on", head.Size, outside.Size), nil
}

// forgetSigned deletes the signed head in the database, which the log may not continue.
func forgetSigned(ctx context.Context, s app.Storage) error {
	if s.DatabaseURL != "" {
		owner, err := asOwner(ctx, s.DatabaseURL)
		if err != nil {
			return err
		}
		if err := owner.conn.Close(ctx); err != nil {
			return err
		}
		l, err := s.OpenLog(ctx)
		if err != nil {
			return err
		}
		defer l.Close()
		return l.SignedHeads().Forget(ctx)
	}
	l, err := s.Open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(l.SignedHeads().Forget(ctx), l.Close())
}

// finish gives the log its new key, then puts aside what it does not continue: after a crash
// in between, nothing is signed under the old key.
func (set settlement) finish(c *console, s app.Storage) error {
	if !set.lost {
		return nil
	}
	aside := fmt.Sprintf(".until-%d", set.head.Size)
	if err := set.replaceKey(c, s.LogKeyFile(), aside); err != nil {
		return err
	}
	if set.outside == "" {
		return nil
	}
	if err := os.Rename(set.outside, set.outside+aside); err != nil {
		return fmt.Errorf("put the signed head aside: %w", err)
	}
	fmt.Fprintf(c.out, "The signed head that the log does not continue is kept as %s.\n", filepath.Base(set.outside+aside))
	return nil
}

func (set settlement) replaceKey(c *console, key, aside string) error {
	if _, err := os.Stat(key); err != nil && set.keyFile != "" {
		key = set.keyFile
	}
	if _, err := os.Stat(key); set.newKey == "" || err != nil {
		fmt.Fprintln(c.out, "Heads of the log need a new key with another name: kassa key new. Announce it, and why.")
		return nil
	}
	if err := os.Rename(key, key+aside); err != nil {
		return fmt.Errorf("put the key aside: %w", err)
	}
	if err := transparency.WriteKey(key, set.newKey); err != nil {
		return fmt.Errorf("write the new key: %w", err)
	}
	fmt.Fprintf(c.out, "Heads are signed from now on as another log, with a new key, %s. Announce it, and why:\n%s\n", filepath.Base(key), set.public)
	return nil
}
