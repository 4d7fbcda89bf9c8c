package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// Attested is what came of comparing the views that the service attested with the log.
type Attested struct {
	States  int      `json:"states"`                  // that were compared
	Unknown []string `json:"unknown_views,omitempty"` // attested, and of another program: they were not compared
}

// states are those of the views at the positions at which they were attested, as the log
// gives them. The positions are read before the replay, because an attestation comes behind them.
type states struct {
	views map[string]*projections.Stated
	due   []attestedAt          // by position
	batch []eventstore.Recorded // not folded yet
	given map[attestedAt]string

	differ []*Fault

	Attested
	unknown map[string]bool
}

// attestedAt is a view at a position.
type attestedAt struct {
	position eventstore.Position
	view     string
}

// readStates reads where views were attested. What cannot be read there ends the replay too.
func readStates(ctx context.Context, log FullLog) (*states, error) {
	s := &states{views: map[string]*projections.Stated{}, given: map[attestedAt]string{}, unknown: map[string]bool{}}
	err := log.OfStream(ctx, eventstore.AttestationsStream, maxPosition, func(rec eventstore.Recorded) error {
		e, _ := rec.Event.(domain.ViewsAttested)
		for _, v := range e.Views {
			s.expect(v)
		}
		return nil
	})
	if errors.Is(err, eventstore.ErrNewer) || errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, eventstore.ErrBadEntry) {
		err = nil
	}
	slices.SortFunc(s.due, func(a, b attestedAt) int { return int(a.position - b.position) })
	return s, err
}

func (s *states) expect(v domain.AttestedView) {
	if _, known := s.views[v.View]; !known {
		s.views[v.View] = projections.StatedBy(v.View)
	}
	if s.views[v.View] != nil {
		s.due = append(s.due, attestedAt{eventstore.Position(v.Position), v.View})
	}
}

// check is a Check for Verify: it folds the entries up to each position.
func (s *states) check(rec eventstore.Recorded) error {
	if len(s.due) == 0 {
		return nil
	}
	if s.batch = append(s.batch, rec); len(s.batch) < foldAtOnce && rec.Position < s.due[0].position {
		return nil
	}
	for _, view := range s.views {
		if view == nil {
			continue
		}
		if err := view.Apply(s.batch); err != nil {
			return err
		}
	}
	s.batch = s.batch[:0]
	for ; len(s.due) > 0 && s.due[0].position <= rec.Position; s.due = s.due[1:] {
		at := s.due[0]
		if _, twice := s.given[at]; !twice && at.position == rec.Position {
			s.given[at] = s.views[at.view].State()
		}
	}
	return nil
}

// attested proves what the service says of its views: each is what the log gives.
func (r *replay) attested(rec eventstore.Recorded, e domain.ViewsAttested) error {
	if err := inOrder(rec, eventstore.AttestationsStream, r.before(rec)); err != nil {
		return err
	}
	if err := e.Check(int64(rec.Position)); err != nil {
		return fault(FactBroken, rec.Position, "%s", err)
	}
	if r.attests == nil {
		return nil
	}
	for _, v := range e.Views {
		state, known := r.attests.given[attestedAt{eventstore.Position(v.Position), v.View}]
		if !known {
			if r.attests.views[v.View] == nil {
				r.attests.unknown[v.View] = true
			}
			continue
		}
		if r.attests.States++; state != v.State {
			f := fault(StateDiffers, rec.Position, "the view was attested as of position %d, and is not what the log gives", v.Position).between(state, v.State)
			f.View, f.Stream = v.View, rec.Stream
			r.attests.differ = append(r.attests.differ, f)
		}
	}
	return nil
}

// before is the version of the last entry in a stream of the house that has entries of one type
// alone.
func (r *replay) before(rec eventstore.Recorded) eventstore.Version {
	return eventstore.Version(r.report.Events[rec.Type])
}

// result is what was compared.
func (s *states) result() Attested {
	if s == nil {
		return Attested{}
	}
	s.Unknown = slices.Sorted(maps.Keys(s.unknown))
	return s.Attested
}

// recordCatalogue proves that a recorded catalogue is one, and that its tables were changed since
// the one before.
func (r *replay) recordCatalogue(rec eventstore.Recorded, e domain.CatalogueRecorded) error {
	if err := inOrder(rec, eventstore.CatalogueStream, r.before(rec)); err != nil {
		return err
	}
	if err := e.Check(); err != nil {
		return fault(FactBroken, rec.Position, "%s", err)
	}
	if e.Root == r.catalogue.Root && e.Catalogue == r.catalogue.Catalogue && e.Revision == r.catalogue.Revision {
		r.broken(rec, fault(RecordUnchanged, rec.Position, "%s changes nothing", rec.Type))
	}
	r.catalogue = e
	return nil
}

// verified proves that the operator verified this log, and no other: not what they found.
func (r *replay) verified(ctx context.Context, rec eventstore.Recorded, e domain.LedgerVerified) error {
	if err := inOrder(rec, eventstore.VerificationsStream, r.before(rec)); err != nil {
		return err
	}
	if err := e.Check(int64(rec.Position)); err != nil {
		return fault(FactBroken, rec.Position, "%s", err)
	}
	root, err := rootAt(ctx, FullLog{Store: r.store}, eventstore.Position(e.Position))
	if err == nil && root.String() != e.Root {
		r.broken(rec, fault(VerifiedOtherRoot, rec.Position, "the operator verified another log up to position %d", e.Position).between(root, e.Root))
	}
	return err
}

// Catalogue reads what the films and vectors are. ErrCatalogueHidden where the login may not see them.
type Catalogue func(context.Context) (domain.CatalogueRecorded, error)

// ErrCatalogueHidden: the login may not read the catalogue.
var ErrCatalogueHidden = errors.New("audit: the catalogue may not be read")

// ComparedCatalogue is what came of comparing the catalogue with the last record of it.
type ComparedCatalogue struct {
	Recorded eventstore.Position `json:"recorded"` // where it was recorded last
	Films    int                 `json:"films"`
	Vectors  int                 `json:"vectors"`
	Changed  bool                `json:"changed"` // since then, by its revision: no entry says so yet
}

// CompareCatalogue compares the films and vectors with the last ones that were recorded; the zero
// value where none were. The error is a *Fault where they were changed and nothing says so.
func CompareCatalogue(ctx context.Context, log *eventstore.Store, read Catalogue) (c ComparedCatalogue, err error) {
	last, err := Last(ctx, log, eventstore.CatalogueStream) // first: they may be changed and recorded meanwhile
	recorded, there := last.Event.(domain.CatalogueRecorded)
	if err != nil || !there {
		return c, err
	}
	now, err := read(ctx)
	if err != nil {
		return c, err
	}
	c = ComparedCatalogue{Recorded: last.Position, Films: now.Films, Vectors: now.Vectors}
	switch same := now.Root == recorded.Root && now.Catalogue == recorded.Catalogue; {
	case same:
	case now.Revision > recorded.Revision:
		c.Changed = true
	default:
		f := fault(CatalogueDiffers, last.Position, "the films or vectors are not those that were recorded, and their revision says that nothing was changed").
			between(catalogueText(recorded), catalogueText(now))
		f.Stream = last.Stream
		return c, f
	}
	return c, nil
}

func catalogueText(c domain.CatalogueRecorded) string {
	return fmt.Sprintf("%d films and %d vectors with the root %s", c.Films, c.Vectors, c.Root)
}

// Last gives the last entry of a stream, the zero value where it has none.
func Last(ctx context.Context, log *eventstore.Store, stream eventstore.Stream) (last eventstore.Recorded, err error) {
	_, err = lastTrue(func(version int64) (bool, error) {
		list, err := log.Stream(ctx, stream, eventstore.Version(version-1), 1)
		if len(list) > 0 {
			last = list[0]
		}
		return len(list) > 0, err
	})
	return last, err
}
