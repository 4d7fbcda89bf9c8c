package audit

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
)

// archiveWriter writes the archive of one partition.
type archiveWriter struct {
	Archiving
	Partition
	folder, partial string
	replay          *replay
	manifest        Manifest
	bytes           []byte // of the manifest
}

func (w *archiveWriter) digest() eventstore.Hash { return eventstore.Hash(sha256.Sum256(w.bytes)) }

// writeEntries is step 1.
func (w *archiveWriter) writeEntries(ctx context.Context) error {
	if err := os.RemoveAll(w.partial); err != nil { // of a run that was interrupted
		return err
	}
	if err := os.MkdirAll(w.partial, 0o700); err != nil {
		return err
	}
	out, err := createFile(filepath.Join(w.partial, entriesFile))
	if err != nil {
		return err
	}
	err = w.proveAndWrite(ctx, out)
	sum, closed := out.close()
	w.manifest.Files = map[string]File{entriesFile: sum}
	return errors.Join(err, closed)
}

// proveAndWrite verifies the log up to the end of the partition, and writes the
// partition's entries.
func (w *archiveWriter) proveAndWrite(ctx context.Context, out *fileWriter) error {
	root, err := tlog.TreeHash(int64(w.Last), w.Store.Nodes(ctx))
	if err != nil {
		return err
	}
	part, err := partOf(ctx, w.Store, nil)
	if err != nil {
		return err
	}
	var found Faults
	cut := eventstore.Head{Size: w.Last, Root: eventstore.Hash(root)}
	w.manifest.Format, w.manifest.From, w.manifest.UpTo = archiveFormat, w.First, w.Last
	if n := len(part.records); n > 0 {
		w.manifest.Before = part.records[n-1].manifest.After
	} else if w.manifest.Before, err = edgeOf(eventstore.Tree{}); err != nil {
		return err
	}
	w.replay = newReplay(w.Store, cut, nil, part, &found, []Check{func(rec eventstore.Recorded) error {
		return out.line(entryLine{rec.Position, eventstore.LeafHash(rec.Entry), rec.Entry})
	}})
	err = w.replay.run(ctx, w.finish)
	return errors.Join(found.with(found.take(err)), w.replay.names.close())
}

// finish ends the replay at the end of the partition, which may be inside an append.
func (w *archiveWriter) finish(ctx context.Context) error {
	next, err := w.Store.After(ctx, w.Last, 1)
	if err != nil {
		return err
	}
	w.replay.part.continued = next[0].Continues(w.replay.last)
	if err := w.replay.finish(ctx); err != nil {
		return err
	}
	return w.openHolds(ctx)
}

// openHolds checks that every prediction of the partition has ended: the command that
// ends one reads its request.
func (w *archiveWriter) openHolds(ctx context.Context) error {
	for user, a := range w.replay.accounts {
		if len(a.asked) == 0 {
			continue
		}
		now, err := w.Store.Refresh(ctx, user)
		if err != nil {
			return err
		}
		for _, h := range now.Account.Holds {
			if at, asked := a.asked[h.Prediction]; asked {
				return fmt.Errorf("%w: the question at position %d is still open, until %s", ErrBlocked, at, h.ExpiresAt.Format(time.RFC3339))
			}
		}
	}
	return nil
}

// writeManifest is step 2.
func (w *archiveWriter) writeManifest(ctx context.Context) error {
	out, err := createFile(filepath.Join(w.partial, accountsFile))
	if err != nil {
		return err
	}
	for _, account := range w.replay.states() {
		err = errors.Join(err, out.line(account))
	}
	sum, closed := out.close()
	if err = errors.Join(err, closed); err != nil {
		return err
	}
	w.manifest.Files[accountsFile], w.manifest.Sum = sum, w.replay.summary()
	if w.manifest.After, err = edgeOf(w.replay.tree); err != nil {
		return err
	}
	if err := w.proveHead(ctx); err != nil {
		return err
	}
	if w.bytes, err = json.MarshalIndent(w.manifest, "", "  "); err != nil {
		return err
	}
	w.bytes = append(w.bytes, '\n')
	if out, err = createFile(filepath.Join(w.partial, manifestFile)); err != nil {
		return err
	}
	err = out.write(w.bytes)
	_, closed = out.close()
	return errors.Join(err, closed)
}

// proveHead adds the current head to the manifest, with the proof that it continues the
// archive.
func (w *archiveWriter) proveHead(ctx context.Context) error {
	head, err := w.Store.Head(ctx)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(int64(head.Size), int64(w.Last), w.Store.Nodes(ctx))
	if err != nil {
		return err
	}
	w.manifest.Head = TreeHead(head)
	w.manifest.Consistency = make([]eventstore.Hash, len(proof))
	for i, h := range proof {
		w.manifest.Consistency[i] = eventstore.Hash(h)
	}
	return w.manifest.checkHead()
}

// name is step 3. If an archive of the same entries is there already, from a run that
// was interrupted before step 5, it is used instead.
func (w *archiveWriter) name(context.Context) error {
	if err := syncFolder(w.partial); err != nil {
		return err
	}
	if there, b, err := readManifest(w.folder); err == nil {
		there.Head, there.Consistency = w.manifest.Head, w.manifest.Consistency
		again, err := json.Marshal(there)
		if err != nil {
			return err
		}
		if mine, err := json.Marshal(w.manifest); err != nil || string(again) != string(mine) {
			return errors.Join(err, fmt.Errorf("%s holds another archive: move it away", w.folder))
		}
		if w.manifest, err = parseManifest(b); err != nil {
			return err
		}
		w.bytes = b
		return os.RemoveAll(w.partial)
	}
	if err := os.Rename(w.partial, w.folder); err != nil {
		return err
	}
	return syncFolder(w.Folder)
}

// readBack is step 4.
func (w *archiveWriter) readBack(ctx context.Context) error {
	m, b, err := readManifest(w.folder)
	if err != nil {
		return err
	}
	if string(b) != string(w.bytes) || !reflect.DeepEqual(m.Files, w.manifest.Files) {
		return fault(ArchiveDiffers, w.Last, "the manifest was read back as another one")
	}
	for _, head := range []TreeHead{{w.Last, m.After.Root}, m.Head} {
		root, err := tlog.TreeHash(int64(head.Size), w.Store.Nodes(ctx))
		if err != nil {
			return err
		}
		if head.Root != eventstore.Hash(root) {
			return fault(RootDiffers, w.Last, "the archive's root at %d is not that of the database's tree", head.Size).between(eventstore.Hash(root), head.Root)
		}
	}
	return readBack(w.folder, m)
}

// readBack proves that the files of an archive match its manifest, that its entries lead
// from the tree before to the tree after, and that the head continues them.
func readBack(folder string, m Manifest) error {
	tree, err := m.Before.tree()
	if err != nil {
		return fault(ArchiveDiffers, m.From, "the tree before the archive: %s", err)
	}
	r, err := openEntries(folder, m)
	if err != nil {
		return err
	}
	defer r.close()
	for {
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if _, err := tree.Grow(line.Leaf); err != nil {
			return err
		}
	}
	edge, err := edgeOf(tree)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(edge, m.After) {
		return fault(ArchiveDiffers, m.UpTo, "the entries do not lead to the tree after the archive").between(m.After.Root, edge.Root)
	}
	if err := m.checkHead(); err != nil {
		return err
	}
	return compareFile(folder, accountsFile, m)
}

// detach is step 5.
func (w *archiveWriter) detach(ctx context.Context) error {
	var changed []eventstore.ArchivedAccount
	for _, account := range w.replay.states() {
		if account.Version > w.replay.part.kept[account.Stream] {
			changed = append(changed, account)
		}
	}
	return w.Owner.Detach(ctx, eventstore.Archive{UpTo: w.Last, Partition: w.Partition.Name, Manifest: w.bytes, Digest: w.digest()}, w.First, changed)
}

// drop is step 6.
func (w *archiveWriter) drop(ctx context.Context) error {
	if !w.Drop {
		return nil
	}
	_, err := w.Owner.DropDetached(ctx, w.Partition.Name)
	return err
}
