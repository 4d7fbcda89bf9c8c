package eventstore

import (
	"fmt"
	"slices"

	"kassa/domain"
)

// logState is what the sequencer knows of the log: as the database has it under the
// head's lock, and then with what was numbered since.
type logState struct {
	head     Head
	versions map[Stream]Version  // of the streams of the batch; a new stream has none
	commands map[string]Position // of the batch's commands, those that were done
	behind   []row               // entries behind the end that the sequencer knew, or some of them

	// Without the lock nothing is read: what no batch under way knows of a stream is
	// assumed to be as its first write expects it.
	unread  bool
	before  *logState // of the batch under way before this one
	assumed []condition
}

// condition is that a stream is at a version before the batch.
type condition struct {
	stream  Stream
	version Version
}

// version is the stream's, known false where only the database knows it.
func (l *logState) version(s Stream) (at Version, known bool) {
	for of := l; of != nil; of = of.before {
		if at, known = of.versions[s]; known {
			return at, true
		}
	}
	return 0, !l.unread
}

// conflict is an error where a stream is not at the version that a write expects.
func (l *logState) conflict(writes []Write) error {
	for _, w := range writes {
		at, known := l.version(w.Stream)
		if !known {
			first := slices.IndexFunc(writes, func(of Write) bool { return of.Stream == w.Stream })
			at = writes[first].Expected
		}
		if at != w.Expected {
			return fmt.Errorf("%w: %s is at version %d, expected %d", ErrConflict, w.Stream, at, w.Expected)
		}
	}
	return nil
}

// assume records where the writes of an append that is numbered expect streams that
// nothing is known of.
func (l *logState) assume(writes []Write) {
	for _, w := range writes {
		if _, known := l.version(w.Stream); !known {
			l.setVersion(w.Stream, w.Expected)
			l.assumed = append(l.assumed, condition{w.Stream, w.Expected})
		}
	}
}

// advance gives the version of the stream's next event.
func (l *logState) advance(s Stream) Version {
	at, _ := l.version(s)
	l.setVersion(s, at+1)
	return at + 1
}

func (l *logState) setVersion(s Stream, at Version) {
	if l.versions == nil {
		l.versions = map[Stream]Version{}
	}
	l.versions[s] = at
}

// done is where the first event of a command is, 0 for a command that was not done.
func (l *logState) done(c Command) Position {
	if c.ID == "" {
		return 0
	}
	for of := l; of != nil; of = of.before {
		if at := of.commands[c.ID]; at > 0 {
			return at
		}
	}
	return 0
}

func (l *logState) setDone(c Command, first Position) {
	if c.ID == "" {
		return
	}
	if l.commands == nil {
		l.commands = map[string]Position{}
	}
	l.commands[c.ID] = first
}

// numbering gives the events of a batch their positions, versions and hashes.
type numbering struct {
	era  int // of what this process remembers
	tree Tree
	log  logState
	rows []row
}

func (n *numbering) addAll(requests []*request) error {
	for _, r := range requests {
		if err := n.add(r); err != nil {
			return err
		}
	}
	return nil
}

// add numbers one request. One that was done before, or that conflicts, is marked and
// adds nothing, so its neighbours in the batch go on.
func (n *numbering) add(r *request) error {
	r.receipt, r.err = Receipt{}, nil // an append on condition may have failed before
	if r.replayed = n.log.done(r.command); r.replayed > 0 {
		return nil
	}
	if r.era != n.era { // its versions may be of other entries
		r.err = fmt.Errorf("%w: the log was restored since", ErrConflict)
		return nil
	}
	if r.err = n.log.conflict(r.Writes); r.err != nil {
		return nil
	}
	n.log.assume(r.Writes)
	n.log.setDone(r.command, Position(n.tree.size+1))
	payloads := r.payloads
	for _, w := range r.Writes {
		for _, event := range w.Events {
			if err := n.append(r, w, event, payloads[0]); err != nil {
				return err
			}
			payloads = payloads[1:]
		}
	}
	return nil
}

// append adds one event of a request to the rows, to the tree and to the receipt.
func (n *numbering) append(r *request, w Write, event domain.Event, payload []byte) error {
	env := Envelope{Position: Position(n.tree.size + 1), Stream: w.Stream, Version: n.log.advance(w.Stream),
		Type: event.Type(), Schema: domain.VersionOf(event), Time: r.moment(),
		Actor: r.Actor, Cause: r.Cause}
	entry := EncodeEntry(env, payload)
	nodes, err := n.tree.Grow(LeafHash(entry))
	if err != nil {
		return err
	}
	row := row{position: env.Position, stream: env.Stream, version: env.Version, nodes: joinNodes(nodes), entry: entry}
	if len(r.receipt.Events) == 0 {
		row.command = r.command.ID // on the first entry of a command alone
	}
	n.rows = append(n.rows, row)
	r.receipt.Events = append(r.receipt.Events, Recorded{Envelope: env, Event: event, Entry: entry})
	return nil
}
