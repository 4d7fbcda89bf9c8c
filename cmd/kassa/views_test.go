package main

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
	"kassa/schema"
	"kassa/schema/schematest"
)

// An operator looks at the views, finds one that was tampered with, and builds it
// again.
func TestViews(t *testing.T) {
	url := schematest.Postgres(t)
	pool, err := schema.OpenPostgres(t.Context(), url, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	store, err := eventstore.Postgres(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	workload := eventstoretest.NewWorkload(1, 10)
	var size eventstore.Position
	live := func() {
		receipt, err := workload.Step(t.Context(), store, 80)
		if err != nil {
			t.Fatal(err)
		}
		size = receipt.Position()
	}
	live()
	views, err := projections.OpenPostgres(t.Context(), pool, store)
	if err != nil {
		t.Fatal(err)
	}
	defer views.Close()
	if err := projections.NewRunner(views, store, slog.New(slog.NewTextHandler(t.Output(), nil))).CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	filled := size
	live()
	if _, err := pool.Exec(t.Context(), `UPDATE kassa_views.users_v1 SET admin = NOT admin`); err != nil {
		t.Fatal(err)
	}

	for _, step := range []struct {
		args       string
		code       int
		says       []string
		complaints string
	}{
		{"list", 0, []string{"VIEW", "LAG", "balances", "balances_v2", fmt.Sprintf("%d", filled), fmt.Sprintf("%d", size-filled)}, ""},
		{"rebuild balances", 0, []string{"balances_v2 and what the log gives are the same", "balances_v2 was replaced"}, "balances: "},
		{"rebuild users", exitFailed, []string{"users_v1 has ", " rows that the log does not give"}, "users_v1 was left as it was"},
		{"rebuild users --replace", 0, []string{"users_v1 was replaced"}, fmt.Sprintf("%d of %d entries (100 %%)", filled, filled)},
		{"rebuild users", 0, []string{"users_v1 and what the log gives are the same"}, ""},
		{"rebuild weather", exitFailed, nil, "balances, transactions, predictions, users, trial"},
		{"drop balances_v2", exitFailed, nil, "in use"},
		{"drop balances_v0", exitFailed, nil, "there is no such view"},
	} {
		code, out, complaints := kassa(t, append(append([]string{"views"}, strings.Fields(step.args)...), "--database-url", url)...)
		if code != step.code || !strings.Contains(complaints, step.complaints) {
			t.Errorf("kassa views %s: exit code %d, %s", step.args, code, complaints)
		}
		for _, words := range step.says {
			if !strings.Contains(out, words) {
				t.Errorf("kassa views %s does not say %q: %s", step.args, words, out)
			}
		}
	}
	t.Setenv("KASSA_DATABASE_URL", "")
	if code, _, complaints := kassa(t, "views", "list", "--data", t.TempDir()); code != exitFailed || !strings.Contains(complaints, "there is no ledger") {
		t.Errorf("without a database: exit code %d, %s", code, complaints)
	}
}
