package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kassa/eventstore"
	"kassa/transparency"
)

// signEvery is how often the head of the log is signed, if the log has grown.
const signEvery = 2 * time.Second

// Signing names the work of the signer in the list of what fails.
const Signing = "sign the log's head"

// askEvery is how often it is looked whether witnesses are to be asked for cosignatures.
const askEvery = 2 * time.Second

// Asking names the work of the collector of cosignatures in the list of what fails.
const Asking = "ask the witnesses"

// askWitnesses collects cosignatures of signed heads until ctx ends. Signing does not wait
// for it.
func (s *Service) askWitnesses(ctx context.Context, _ *eventstore.Leadership) error {
	collector := &transparency.Collector{Log: s.Store, Heads: s.SignedHeads(), Policy: s.config.Witnesses}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		if err := collector.Collect(ctx); ctx.Err() == nil {
			s.Store.Report(Asking, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sign signs heads of the log until ctx ends. What hinders it is reported, and money moves
// all the same.
func (s *Service) sign(ctx context.Context, _ *eventstore.Leadership) error {
	signer := &transparency.Signer{Log: s.Store, Heads: s.SignedHeads(), Keys: s.config.LogKeys, File: s.config.SignedHeadFile}
	tick := time.NewTicker(signEvery)
	defer tick.Stop()
	for {
		if _, err := signer.Sign(ctx); ctx.Err() == nil {
			s.Store.Report(Signing, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// LogKeyFile is the file of the transparency log's keys in the folder.
func (s Storage) LogKeyFile() string { return filepath.Join(s.Folder, "log.key") }

// ErrKeyLost means that heads of the log were signed, and that the key is not there.
var ErrKeyLost = errors.New("heads of the log were signed, and the key of the log is gone")

// LogKeys reads the keys of the transparency log; there are none where none are given. The
// embedded default makes one where no head was signed yet, else the error wraps ErrKeyLost.
func (s Storage) LogKeys(ctx context.Context, l *Ledger) (transparency.Keys, error) {
	text := s.LogKey
	if text == "" {
		file, err := os.ReadFile(s.LogKeyFile())
		switch {
		case errors.Is(err, os.ErrNotExist) && s.DatabaseURL == "":
			if file, err = s.makeLogKey(ctx, l); err != nil {
				return transparency.Keys{}, err
			}
		case errors.Is(err, os.ErrNotExist):
			return transparency.Keys{}, nil
		case err != nil:
			return transparency.Keys{}, fmt.Errorf("read the keys of the log: %w", err)
		}
		text = string(file)
	}
	keys, err := transparency.ParseKeys(text)
	if err != nil {
		return transparency.Keys{}, fmt.Errorf("read the keys of the log: %w", err)
	}
	return keys, nil
}

func (s Storage) makeLogKey(ctx context.Context, l *Ledger) ([]byte, error) {
	switch last, err := l.SignedHeads().Last(ctx); {
	case err != nil:
		return nil, err
	case last.Note != nil:
		return nil, fmt.Errorf("%w: put %s back, or see docs/audit.md on lost keys", ErrKeyLost, s.LogKeyFile())
	}
	text, _, err := transparency.NewKey("kassa.invalid/" + strings.ToLower(rand.Text()))
	if err == nil {
		err = transparency.WriteKey(s.LogKeyFile(), text)
	}
	if err != nil {
		return nil, fmt.Errorf("make the key of the log: %w", err)
	}
	return []byte(text), nil
}
