package projections_test

import (
	"errors"
	"testing"

	"kassa/eventstore/eventstoretest"
	"kassa/projections"
	"kassa/schema/schematest"
)

// A view that is ahead of the log is not served, and is built again from the log, also when
// the log has grown past it; a table that was dropped is made again while processes run.
func TestViewsThatDoNotFollowTheLog(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, h env, restore func()){
		"the log was restored": func(_ *testing.T, _ env, restore func()) { restore() },
		"the log was restored and has grown past the views": func(t *testing.T, h env, restore func()) {
			restore()
			h.head(t) // else the first append is refused, since it may rest on what was lost
			h.live(t, eventstoretest.NewWorkload(99, 10), 40)
		},
		"the positions were moved, and the log has grown past them": func(t *testing.T, h env, _ func()) {
			h.exec(t, `UPDATE kassa_views.positions SET position = position + 5`)
			h.live(t, eventstoretest.NewWorkload(99, 10), 40)
		},
		"a table was dropped": func(t *testing.T, h env, _ func()) { h.asOwner(t, `DROP TABLE kassa_views.balances_v2`) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newEnv(t)
			h.live(t, eventstoretest.NewWorkload(1, 10), 10)
			restore := schematest.Backup(t, h.pool.Config().ConnString())
			h.live(t, eventstoretest.NewWorkload(2, 10), 10)
			runner := h.runner(t, h.views, endless)
			fatal(t, runner.CatchUp(t.Context()))
			lose(t, h, restore)
			if users, at, err := h.views.Users(t.Context(), projections.PageQuery{Limit: 1}, 0); err == nil {
				t.Errorf("%d users at position %d are served", len(users.Items), at)
			}
			attested, err := projections.ReadStates(t.Context(), h.pool)
			fatal(t, err)
			if name != "a table was dropped" {
				if len(attested) > 0 {
					t.Errorf("what is not served is attested: %v", attested)
				}
				if at, err := h.views.Position(t.Context()); !errors.Is(err, projections.ErrBehind) {
					t.Errorf("the views say position %d, %v", at, err)
				}
			}
			fatal(t, runner.CatchUp(t.Context()))
			h.same(t, h.views, h.head(t))
		})
	}
}

// What is built again is not read before it has come to where the log was.
func TestViewsAreNotServedWhileTheyAreBuiltAgain(t *testing.T) {
	h := newEnv(t)
	h.live(t, eventstoretest.NewWorkload(1, 10), 20)
	fatal(t, h.runner(t, h.views, endless).CatchUp(t.Context()))
	h.exec(t, `UPDATE kassa_views.positions SET position = position + 5`)
	end := h.head(t)
	fatal(t, h.runner(t, h.views, end-1).CatchUp(t.Context()))
	if _, _, err := h.views.Users(t.Context(), projections.PageQuery{Limit: 1}, 0); !errors.Is(err, projections.ErrBehind) {
		t.Errorf("at position %d of %d a read gave %v", end-1, end, err)
	}
	fatal(t, h.runner(t, h.views, end).CatchUp(t.Context()))
	h.same(t, h.views, end)
}
