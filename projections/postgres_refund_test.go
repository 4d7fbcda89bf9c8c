package projections_test

import (
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// A charge that was refunded behind the position of a page is shown as paid: the view of
// predictions may be ahead of that of transactions.
func TestRefundsBehindThePageAreNotShown(t *testing.T) {
	h := newEnv(t)
	ada, version := h.asks(t, "u_ada", 1)
	id := ada.Holds[0].Prediction
	h.decide(t, ada, &version, func() ([]domain.Event, error) {
		return ada.Complete(id, domain.Answer{Model: "m-1", Catalogue: "c-1"})
	})
	paid := h.head(t)
	fatal(t, h.runner(t, h.views, paid).CatchUp(t.Context()))
	h.decide(t, ada, &version, func() ([]domain.Event, error) {
		return ada.Refund(id, domain.RefundPolicy{PerMonth: 1}, decidedAt.Add(time.Minute))
	})
	status := func() (statuses []string, at eventstore.Position) {
		page, at, err := h.views.Transactions(t.Context(), "u_ada", projections.TransactionQuery{PageQuery: projections.PageQuery{Limit: 2}}, 0)
		fatal(t, err)
		for _, line := range page.Items {
			statuses = append(statuses, line.Status)
		}
		return statuses, at
	}
	fatal(t, projections.CatchUpOne(t.Context(), h.pool, h.store, "predictions_v4"))
	if got, at := status(); at != paid || got[0] != string(domain.StateCaptured) {
		t.Errorf("at %d the newest lines are %v, want the charge paid at %d", at, got, paid)
	}
	fatal(t, h.runner(t, h.views, h.head(t)).CatchUp(t.Context()))
	if got, at := status(); at != paid+1 || got[0] != string(domain.StateRefunded) || got[1] != string(domain.StateRefunded) {
		t.Errorf("at %d the newest lines are %v", at, got)
	}
}
