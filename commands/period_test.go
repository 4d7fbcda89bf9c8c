package commands_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
)

// A month is closed once, whichever processes try, and by an admin only.
func TestClosePeriod(t *testing.T) {
	w := newFixture(t)
	ada, root := w.person("ada"), w.admin("root")
	february := domain.PeriodClosed{From: noon.AddDate(0, -1, -1), Until: noon.Add(-time.Hour), Zone: "UTC", Digest: strings.Repeat("0a", 32)}
	_, _, err := w.ClosePeriod(t.Context(), ada, february)
	refused(t, err, domain.NotAdmin)

	there := w.env.Process()
	var at [2]eventstore.Position
	var again [2]bool
	var together sync.WaitGroup
	for i, h := range []interface {
		ClosePeriod(context.Context, domain.UserID, domain.PeriodClosed) (eventstore.Position, bool, error)
	}{w.Handler, there} {
		together.Go(func() {
			var err error
			if at[i], again[i], err = h.ClosePeriod(context.Background(), root, february); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	if at[0] != at[1] || at[0] == 0 || again[0] == again[1] {
		t.Errorf("it was closed at %v, again %v", at, again)
	}
	other := february
	other.Digest = strings.Repeat("0b", 32)
	if _, _, err := w.ClosePeriod(t.Context(), root, other); !errors.Is(err, domain.ErrPeriod) {
		t.Errorf("with other books: %v", err)
	}
	_, err = w.RevokeRole(t.Context(), domain.AdminRole, commands.Order{User: root, By: "olga"})
	must(t, err)
	march := february
	march.From, march.Until = february.Until, noon
	_, _, err = w.ClosePeriod(t.Context(), root, march)
	refused(t, err, domain.NotAdmin)
}
