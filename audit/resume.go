package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"kassa/eventstore"
)

// What a replay knows at its end can be kept in a file, from which a later one goes on:
// one line of JSON, a line for each account as in an archive, the uses of names, sorted, and
// the SHA-256 of all before it. Nothing signs the file: a writer of it can make a
// later replay believe anything of the entries up to there.

// provedFormat rises when the file changes, or what a replay must know.
const provedFormat = 1

// proved is the first line.
type proved struct {
	Format   int                    `json:"format"`
	Accounts int                    `json:"account_format"`
	Head     eventstore.Head        `json:"head"`
	Peaks    []eventstore.Hash      `json:"peaks"`
	Sum      Summary                `json:"sum"`
	Back     StepBack               `json:"widest_step_back"`
	Names    int64                  `json:"names"`
	Key      [len(names{}.key)]byte `json:"key"`
}

// keep writes what was proved to the file, in place of what was there.
func (r *replay) keep(path string) error {
	head, err := r.tree.Head()
	if err != nil {
		return err
	}
	partial := path + ".partial"
	if err := os.Remove(partial); err != nil && !errors.Is(err, os.ErrNotExist) { // of a run that was killed
		return err
	}
	out, err := createFile(partial)
	if err != nil {
		return err
	}
	err = out.line(proved{Format: provedFormat, Accounts: eventstore.ArchivedFormat, Head: head, Peaks: r.tree.Peaks(), Sum: r.summary(), Back: r.report.Back,
		Names: r.names.count(), Key: r.names.key})
	for _, account := range r.states() {
		err = errors.Join(err, out.line(account))
	}
	if err == nil {
		err = r.names.sorted().each(func(u use) error { b := u.bytes(); return out.write(b[:]) })
	}
	err = errors.Join(err, out.write(out.sum.Sum(nil)))
	if _, closed := out.close(); err != nil || closed != nil {
		return errors.Join(err, closed)
	}
	if err := os.Rename(partial, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// errDamaged: the file is not as keep wrote it.
var errDamaged = errors.New("it is damaged: remove it to verify from the beginning")

// resume goes on from what the file says was proved; it does nothing where there is none. Its
// error is a *Fault where the log does not continue the log of then.
func (r *replay) resume(ctx context.Context, path string) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r.names.kept = file // closed with them
	if err := r.read(ctx, file); err != nil {
		var f *Fault
		if errors.As(err, &f) {
			return err
		}
		return fmt.Errorf("go on from %s: %w", path, err)
	}
	r.report.Resumed = r.at
	return nil
}

func (r *replay) read(ctx context.Context, file *os.File) error {
	size, err := undamaged(file)
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(file, 1<<20)
	var p proved
	at, err := readLine(in, &p)
	switch {
	case err != nil:
		return err
	case p.Format != provedFormat || p.Accounts != eventstore.ArchivedFormat:
		return errors.New("it is of another version of the program: remove it to verify from the beginning")
	case p.Head.Size < r.part.upTo():
		return fmt.Errorf("the log was archived up to position %d since then: verify without it", r.part.upTo())
	}
	if err := Consistent(ctx, r.store, p.Head); err != nil {
		return err
	}
	if r.tree, err = eventstore.NewTree(p.Head.Size, p.Peaks); err != nil {
		return err
	}
	if root, err := r.tree.Head(); err != nil || root != p.Head {
		return errors.Join(errDamaged, err)
	}
	for range p.Sum.Accounts {
		var a eventstore.ArchivedAccount
		n, err := readLine(in, &a)
		if err != nil {
			return err
		}
		if err := r.begin(a, p.Head.Size); err != nil {
			return err
		}
		at += n
	}
	if at+p.Names*useBytes != size {
		return errDamaged
	}
	r.names.key = p.Key
	r.names.runs = append(r.names.runs, run{file, at, p.Names * useBytes})
	r.at, r.report.Back = p.Head.Size, p.Back
	r.goOn(p.Sum, p.Head.Size)
	return r.readAdjustments(ctx, p.Head.Size)
}

// undamaged compares the file with the hash at its end, and gives the size of what is
// before that.
func undamaged(file *os.File) (size int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	size = info.Size() - sha256.Size
	sum, want := sha256.New(), make([]byte, sha256.Size)
	if size < 0 {
		return 0, errDamaged
	}
	if _, err = io.CopyN(sum, file, size); err == nil {
		_, err = io.ReadFull(file, want)
	}
	if err == nil && !bytes.Equal(sum.Sum(nil), want) {
		err = errDamaged
	}
	if err != nil {
		return 0, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return size, err
}

// readLine reads a value, and gives the length of its line.
func readLine(in *bufio.Reader, value any) (int64, error) {
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, value)
	}
	return int64(len(line)), err
}
