package audit

import (
	"context"
	"hash/maphash"

	"kassa/eventstore"
)

// names remembers at which entry each name was used first, by a hash of it: some 20
// bytes each, however long the name. Two names with one hash are one in many
// billions, and the log itself then says that they are two.
type names struct {
	seed  maphash.Seed
	first map[uint64]eventstore.Position
}

func newNames() names {
	return names{maphash.MakeSeed(), map[uint64]eventstore.Position{}}
}

// earlier gives the position at which the name of this kind was used before, 0 where
// it is new. same says of an entry whether it uses that very name.
func (r *replay) earlier(ctx context.Context, kind, name string, at eventstore.Position, same func(eventstore.Recorded) bool) (eventstore.Position, error) {
	key := maphash.String(r.names.seed, kind+"\x00"+name)
	first, met := r.names.first[key]
	if !met {
		r.names.first[key] = at
		return 0, nil
	}
	list, err := r.store.After(ctx, first-1, 1)
	if err != nil {
		return 0, err
	}
	for _, rec := range list {
		if same(rec) {
			return first, nil
		}
	}
	return 0, nil
}
