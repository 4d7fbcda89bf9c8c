package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"kassa/internal/process"
	"kassa/transparency"
	"kassa/transparency/witness"
)

// witnessCommand watches a log of others, from any machine.
type witnessCommand struct {
	Key   witnessKey   `cmd:"" help:"Make the key by which a witness cosigns, and print its public key; of a key that is there, print it."`
	Check witnessCheck `cmd:"" help:"Look at a log once: that its head continues the last one that was seen. Exit code 5 where it does not."`
	Run   witnessRun   `cmd:"" help:"Watch a log, and cosign heads that its service submits."`
}

// stateFolder is where a witness keeps what it has seen.
type stateFolder struct {
	State string `default:"witness" placeholder:"DIR" help:"Folder of the witness, one for each log: the newest head that it has seen, evidence of contradictions, its key. Default: ${default}."`
}

type witnessKey struct {
	stateFolder
	Name string `arg:"" optional:"" help:"Name of the witness: an address without https://, such as witness.example.org/kassa. Needed for a new key."`
}

func (w witnessKey) Run(c *console) error {
	public, err := witness.PublicKey(w.State)
	if errors.Is(err, os.ErrNotExist) {
		if w.Name == "" {
			return wrongArgument("there is no key in %s: a new one needs a name", w.State)
		}
		public, err = witness.NewKey(w.State, w.Name)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, public)
	return nil
}

// publicKeys are those of a log, for those who verify.
type publicKeys struct {
	Key     string `placeholder:"KEY" help:"Public key of the log, as kassa key show prints it."`
	KeyFile string `name:"key-file" type:"existingfile" placeholder:"FILE" help:"File with public keys of the log, one a line."`
}

func (p publicKeys) keys() (transparency.Keys, error) {
	text := p.Key
	if p.KeyFile != "" {
		lines, err := os.ReadFile(p.KeyFile)
		if err != nil {
			return transparency.Keys{}, wrongArgument("read the public keys: %w", err)
		}
		text += "\n" + string(lines)
	}
	keys, err := transparency.ParsePublicKeys(text)
	if err != nil {
		return transparency.Keys{}, wrongArgument("--key: %w", err)
	}
	return keys, nil
}

// watchedLog is the log that a witness watches.
type watchedLog struct {
	stateFolder
	publicKeys
	URL string `name:"url" placeholder:"URL" help:"Public address of the service whose log is watched, such as https://kassa.example.com."`
}

// open gives no log where there is no address.
func (w watchedLog) open() (_ *witness.Witness, log *witness.Log, err error) {
	keys, err := w.keys()
	if err != nil {
		return nil, nil, err
	}
	if w.URL != "" {
		if log, err = witness.At(w.URL); err != nil {
			return nil, nil, wrongArgument("--url: %w", err)
		}
	}
	opened, err := witness.Open(w.State, keys)
	if err != nil {
		return nil, nil, unableError{err}
	}
	return opened, log, nil
}

// exitContradicted is the exit code where a log contradicts what was seen of it.
const exitContradicted = 5

// contradictedError is that, or evidence of it that is still kept.
type contradictedError struct{ error }

func (c contradictedError) Unwrap() error { return c.error }

type witnessCheck struct{ watchedLog }

// Validate is called by the command line.
func (w witnessCheck) Validate() error {
	if w.URL == "" {
		return errors.New("--url is missing: the address of the log")
	}
	return nil
}

// Run looks at the log once, and prints its head, cosigned where the witness has a key.
// Exit codes: exitContradicted where it contradicts what was seen, now or in evidence that
// is kept; exitUnable where the log was not reached or its head is not signed.
func (w witnessCheck) Run(ctx context.Context, c *console) (err error) {
	watching, log, err := w.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watching.Close()) }()
	head, err := watching.Check(ctx, log)
	if _, contradicted := errors.AsType[*witness.Contradiction](err); contradicted {
		return contradictedError{fmt.Errorf("ALARM: %w; the evidence is in %s", err, w.State)}
	}
	if err != nil {
		return unableError{err}
	}
	if _, err := c.out.Write(head.Note); err != nil {
		return err
	}
	kept, err := watching.Evidence()
	switch {
	case err != nil:
		return err
	case len(kept) > 0:
		return contradictedError{fmt.Errorf("ALARM: the log contradicted itself before: see %s; move the files elsewhere when that is explained", strings.Join(kept, ", "))}
	}
	return nil
}

type witnessRun struct {
	watchedLog
	Every       time.Duration `default:"10s" placeholder:"DURATION" help:"Time between two looks at the log. Default: ${default}."`
	Addr        string        `placeholder:"HOST:PORT" help:"Address at which the service of the log submits heads to be cosigned (C2SP tlog-witness). Default: none."`
	MetricsAddr string        `placeholder:"HOST:PORT" help:"Address of its own for Prometheus's metrics. Default: none."`
}

// Validate is called by the command line.
func (w witnessRun) Validate() error {
	if w.Every < time.Second {
		return errors.New("--every must be at least 1s")
	}
	if w.URL == "" && w.Addr == "" {
		return errors.New("--url or --addr is missing: a log that is looked at, or an address for what its service submits")
	}
	return nil
}

func (w witnessRun) Run(ctx context.Context, c *console) (err error) {
	watching, log, err := w.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watching.Close()) }()
	if w.Addr != "" && !watching.Cosigns() {
		return wrongArgument("--addr is for a witness that cosigns, and there is no key in %s: kassa witness key makes one", w.State)
	}
	return process.Watch(ctx, process.WitnessConfig{Witness: watching, Log: log, Every: w.Every, Addr: w.Addr, Version: version(),
		Watching: process.Watching{MetricsAddr: w.MetricsAddr}, Logger: c.log})
}
