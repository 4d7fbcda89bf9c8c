package catalog

import (
	"context"
	"fmt"
)

// plan lists the films that need any work.
func (i *importing) plan(ctx context.Context, movies []Movie) ([]item, error) {
	if len(movies) == 0 {
		return nil, nil
	}
	if i.merge {
		var err error
		if movies, err = i.merged(ctx, movies); err != nil {
			return nil, err
		}
	}
	ids := make([]string, len(movies))
	for n, m := range movies {
		ids[n] = m.ID
	}
	list, err := i.store.known(ctx, i.embedder.ModelVersion(), ids)
	if err != nil {
		return nil, err
	}
	there := make(map[string]known, len(list))
	for _, k := range list {
		there[k.id] = k
	}
	var items []item
	for _, m := range movies {
		it := item{movie: m, own: i.own}
		if it.content, it.hash, err = m.content(); err != nil {
			return nil, fmt.Errorf("encode film %s: %w", m.ID, err)
		}
		k, ok := there[m.ID]
		switch {
		case !ok:
			it.changes = added
		case k.hash == it.hash:
			i.report.Unchanged++
		case k.own && !i.own:
			i.report.Unchanged++
			continue // embedRest checks the operator's version, like any other film
		default:
			it.changes = changed
		}
		if it.changes != unchanged || k.texts != m.textsHash() {
			items = append(items, it)
		}
	}
	return items, nil
}
