package vault_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
	"kassa/vault"
)

// An error of a write says whether it may have been stored: a refused statement was not, and
// of a connection that ends in the middle nobody knows.
func TestOutcomesInPostgres(t *testing.T) {
	database := schematest.Postgres(t)
	owner, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer owner.Close(context.Background())
	exec := func(statement string) {
		t.Helper()
		must(t, second(owner.Exec(t.Context(), statement)))
	}
	pool, err := schema.OpenPostgres(t.Context(), database, 4)
	must(t, err)
	t.Cleanup(pool.Close)
	v := opened(t, tables{pool})
	enrolled(t, v, "u_ada")
	fails := func(how string) map[string]error {
		t.Helper()
		exec(`CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN ` + how + `; RETURN NULL; END $$`)
		for _, table := range []string{"sessions", "personal_tokens", "passwords", "factors", "resets"} {
			exec(`CREATE OR REPLACE TRIGGER fail BEFORE INSERT OR UPDATE OR DELETE ON ` + table + ` FOR EACH STATEMENT EXECUTE FUNCTION fail()`)
		}
		return writes(t, v)
	}
	for name, err := range fails(`RAISE EXCEPTION 'no'`) {
		if err == nil || errors.Is(err, vault.ErrUnknown) {
			t.Errorf("%s, refused: %v", name, err)
		}
	}
	for name, err := range fails(`PERFORM pg_terminate_backend(pg_backend_pid())`) {
		if !errors.Is(err, vault.ErrUnknown) {
			t.Errorf("%s, on a connection that ends: %v", name, err)
		}
	}
}

// The same in a file, whose statements are refused or done.
func TestOutcomesInSQLite(t *testing.T) {
	f := newFile(t)
	v := opened(t, f)
	enrolled(t, v, "u_ada")
	for _, table := range []string{"sessions", "personal_tokens", "factors", "resets"} {
		f.exec(t, `CREATE TRIGGER fail_`+table+` BEFORE INSERT ON `+table+` BEGIN SELECT RAISE(ABORT, 'no'); END`)
	}
	f.exec(t, `CREATE TRIGGER fail_passwords BEFORE UPDATE ON passwords BEGIN SELECT RAISE(ABORT, 'no'); END`)
	for name, err := range writes(t, v) {
		if err == nil && name != "end others" && name != "end all access" || errors.Is(err, vault.ErrUnknown) { // no row is there to end
			t.Errorf("%s, refused: %v", name, err)
		}
	}
}

func writes(t *testing.T, v *vault.Vault) map[string]error {
	t.Helper()
	ctx := t.Context()
	return map[string]error{
		"begin a session":   func() error { _, _, err := v.NewSession(ctx, "u_ada", password, vault.Origin{}, noon); return err }(),
		"end others":        v.EndOtherSessions(ctx, "u_ada", ""),
		"end all access":    v.EndAccess(ctx, "u_ada"),
		"make a token":      func() error { _, _, err := v.NewToken(ctx, "u_ada", password, reader, noon); return err }(),
		"change a password": second(v.ChangePassword(ctx, "u_ada", password, "a short walk away")),
		"offer a factor":    second(v.OfferFactor(ctx, "u_ada", "", noon)),
		"make a link":       func() error { _, _, err := v.NewReset(ctx, "u_ada", noon); return err }(),
	}
}

// Who ends all access waits for a sign-in that is under way, and ends its session too. A file has
// one writer at a time.
func TestEndAccessBesideASignIn(t *testing.T) {
	database := schematest.Postgres(t)
	owner, err := pgx.Connect(t.Context(), database) // who sees that others wait
	must(t, err)
	defer owner.Close(context.Background())
	pool, err := schema.OpenPostgres(t.Context(), database, 4)
	must(t, err)
	t.Cleanup(pool.Close)
	v := opened(t, tables{pool})
	enrolled(t, v, "u_ada")
	signIn, err := pool.Begin(t.Context())
	must(t, err)
	defer func() { _ = signIn.Rollback(context.Background()) }()
	for _, statement := range []string{`SELECT FROM passwords WHERE user_id = 'u_ada' FOR UPDATE`, // as addSession does
		`INSERT INTO sessions (token_hash, user_id, expires_at, created_at, seen_at, device, network)
			VALUES (sha256('a token'), 'u_ada', '2026-03-20', '2026-03-01', '2026-03-01', '', '')`} {
		must(t, second(signIn.Exec(t.Context(), statement)))
	}
	ended := make(chan error, 1)
	go func() { ended <- v.EndAccess(t.Context(), "u_ada") }()
	eventstoretest.Eventually(t, "it waits", func() (waits bool) {
		must(t, owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits))
		return waits || len(ended) > 0
	})
	must(t, signIn.Commit(t.Context()))
	must(t, <-ended)
	if left, err := v.Sessions(t.Context(), "u_ada", noon); err != nil || len(left) > 0 {
		t.Errorf("left are %+v, %v", left, err)
	}
}
