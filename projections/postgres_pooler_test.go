package projections_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// Behind a connection pooler, and before a server whose transactions are stricter by
// default than we need, several processes keep the views at once, and one is rebuilt:
// nobody fails, nothing differs. News do not come through; who waits finds out all the
// same.
func TestViewsBehindAPooler(t *testing.T) {
	owner, service := schematest.Pooled(t)
	conn, err := pgx.Connect(t.Context(), owner)
	fatal(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `ALTER DATABASE `+pgx.Identifier{conn.Config().Database}.Sanitize()+` SET default_transaction_isolation = 'serializable'`)
	fatal(t, err)
	pool, err := schema.OpenPostgres(t.Context(), service, 16)
	fatal(t, err)
	t.Cleanup(pool.Close)
	store, err := eventstore.Postgres(t.Context(), pool)
	fatal(t, err)
	t.Cleanup(store.Close)
	h := env{pool, store, openViews(t, pool, store)}

	ctx, stop := context.WithCancel(t.Context())
	var runners sync.WaitGroup
	for range 2 {
		views := openViews(t, pool, store)
		runners.Go(func() {
			if err := h.runner(t, views, endless).Run(ctx); err != nil {
				t.Errorf("a runner ends: %v", err)
			}
		})
	}
	h.live(t, eventstoretest.NewWorkload(1, 20), 40)
	if done := h.rebuild(t, "transactions", false); !done.Switched || done.Differs() {
		t.Errorf("a rebuild: %+v", done)
	}
	h.live(t, eventstoretest.NewWorkload(2, 20), 10)
	fatal(t, h.views.Wait(t.Context(), h.head(t)))
	stop()
	runners.Wait()
	if h.views.Listening() {
		t.Error("news are expected to come through a pooler")
	}
	h.same(t, h.views, h.head(t))
}
