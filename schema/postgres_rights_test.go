package schema_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// takeOver is what an attacker wants to run as the owner: it removes the guards and
// changes the log. With the attacker's own rights it has no effect.
const takeOver = `plpgsql AS $$ BEGIN
	EXECUTE 'ALTER TABLE public.events DISABLE TRIGGER ALL';
	EXECUTE 'ALTER TABLE public.events_p0 DISABLE TRIGGER ALL';
	UPDATE public.events SET entry = 'forged';
	RETURN %s;
EXCEPTION WHEN insufficient_privilege THEN RETURN %s; END $$`

func trap(name, arguments, returns, result string) string {
	return fmt.Sprintf(`CREATE FUNCTION %s(%s) RETURNS %s LANGUAGE `+takeOver, name, arguments, returns, result, result)
}

// attacks are what the service's stolen login is used for. Each runs in its own
// session; S is a schema in which it may be able to create objects.
var attacks = map[string][]string{
	"a view in the way of vectors": {trap("S.run", "", "text", "'m'"),
		`CREATE TEMP VIEW vectors AS SELECT S.run() AS model_id`, `GRANT SELECT ON vectors TO PUBLIC`, `SELECT public.tend_vector_indexes(1000000)`},
	"a table in the way of vectors": {trap("S.run", "text", "boolean", "true"),
		`CREATE TEMP TABLE vectors (model_id text, vector public.vector(384))`, `INSERT INTO vectors VALUES ('m', NULL)`,
		`ALTER TABLE vectors ENABLE ROW LEVEL SECURITY`, `CREATE POLICY p ON vectors USING (S.run(model_id))`, `GRANT ALL ON vectors TO PUBLIC`, `SELECT public.tend_vector_indexes(1000000)`},
	"a view in the way of head": {trap("S.run", "", "bigint", "1"),
		`CREATE TEMP VIEW head AS SELECT S.run() AS size`, `GRANT SELECT ON head TO PUBLIC`, `SELECT public.extend_log(1)`},
	"a log of its own, and its trigger": {`CREATE TEMP TABLE events (position bigint, hashes bytea, entry bytea) PARTITION BY RANGE (position)`,
		trap("pg_temp.refuse_change", "", "trigger", "NULL"), `SELECT public.extend_log(14999999)`},
	"a function in the way of the server's": {trap("S.md5", "text", "text", "'x'"), trap("S.starts_with", "name, text", "boolean", "true"),
		trap("S.hashtext", "text", "int", "1"), trap("S.pg_size_bytes", "text", "bigint", "1"),
		`SET search_path = @, public, pg_catalog`, `SELECT public.tend_vector_indexes(1000000)`, `SELECT public.extend_log(1)`},
	"an operator in the way of the server's": {trap("S.equal", "name, text", "boolean", "true"), trap("S.join", "text, bigint", "text", "'x'"),
		`CREATE OPERATOR S.<> (LEFTARG = name, RIGHTARG = text, FUNCTION = S.equal)`,
		`CREATE OPERATOR S.|| (LEFTARG = text, RIGHTARG = bigint, FUNCTION = S.join)`,
		`SET search_path = @, public, pg_catalog`, `SELECT public.tend_vector_indexes(1000000)`, `SELECT public.extend_log(1)`},
	"an operator class in the way of pgvector's": {`SET search_path = @, public, pg_catalog`, trap("S.near", "public.halfvec, public.halfvec", "float8", "1"),
		`CREATE OPERATOR S.<#> (LEFTARG = public.halfvec, RIGHTARG = public.halfvec, FUNCTION = S.near)`, `SELECT public.tend_vector_indexes(1000000)`},
	"a cast": {`CREATE TYPE S.sly AS (n bigint)`, trap("S.number", "S.sly", "bigint", "1"),
		`CREATE CAST (S.sly AS bigint) WITH FUNCTION S.number AS IMPLICIT`, `SELECT public.extend_log(ROW(1)::S.sly)`},
	"a model's name":            {`INSERT INTO public.movies VALUES ('f', sha256('{}'), '{}', true, now())`, `INSERT INTO public.models (model_id, dims) VALUES (''' OR S.run() --', 384)`, `INSERT INTO public.vectors SELECT ''' OR S.run() --', 'f', sha256(''), array_fill(1/sqrt(384)::real, ARRAY[384])::public.vector`, `SELECT public.tend_vector_indexes(1)`},
	"drop by a function's hand": {`SELECT kassa_views.drop('public', 'events')`}, "drop what is no view": {`SELECT kassa_views.drop('kassa_views', 'positions')`},
	"drop more":      {`SELECT kassa_views.drop('kassa_views', 'x_v1, public.events_v1')`},
	"make elsewhere": {`SELECT kassa_views.make('public', 'users_v1')`}, "make something else": {`SELECT kassa_views.make('kassa_views', 'x AS SELECT')`},
	"switch to something":  {`SELECT kassa_views.switch('positions')`},
	"another definition":   {`CREATE OR REPLACE FUNCTION kassa_views.definition(view text) RETURNS text LANGUAGE sql AS 'SELECT ''DROP TABLE public.events'''`, `SELECT kassa_views.make('kassa_views', 'x')`},
	"the owner's own hand": {`SELECT kassa_views.give('public', 'events')`},
	"partitions for ever":  {`SELECT public.extend_log(9000000000000000000)`},

	"change": {`UPDATE public.events SET entry = 'forged'`}, "delete": {`DELETE FROM public.events`}, "truncate": {`TRUNCATE public.events CASCADE`},
	"change a partition": {`UPDATE public.events_p0 SET entry = 'forged'`}, "insert into a partition": {`INSERT INTO public.events_p0 SELECT 3, hashes, entry FROM public.events WHERE position = 1`},
	"lock for change":             {`SELECT * FROM public.events FOR UPDATE`},
	"change where a merge does":   {`MERGE INTO public.events e USING (SELECT 1::bigint AS position) s ON e.position = s.position WHEN MATCHED THEN UPDATE SET entry = 'forged'`},
	"change where an insert does": {`INSERT INTO public.events SELECT * FROM public.events ON CONFLICT (position) DO UPDATE SET entry = 'forged'`},
	"change the index":            {`UPDATE public.event_index SET command = 'x'`}, "delete from the index": {`DELETE FROM public.event_index`},
	"record an archive": {`INSERT INTO public.archives VALUES (1, 'events_p0', sha256('{}'), '{}')`}, "change what is archived": {`UPDATE public.archived_events SET hashes = 'x'`},
	"an archived account": {`INSERT INTO public.archived_accounts VALUES ('account-u_1', 1, 1, 2, '{}', '{}')`}, "delete what is archived": {`DELETE FROM public.archives`},
	"no triggers": {`ALTER TABLE public.events DISABLE TRIGGER ALL`}, "no trigger on a partition": {`ALTER TABLE public.events_p0 DISABLE TRIGGER append_only`},
	"no trigger at all":     {`DROP TRIGGER events_append_only ON public.events`},
	"another trigger":       {trap("S.run", "", "trigger", "NULL"), `CREATE TRIGGER t BEFORE INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION S.run()`},
	"a rule":                {`CREATE RULE r AS ON INSERT TO public.events DO INSTEAD NOTHING`},
	"another function":      {`CREATE OR REPLACE FUNCTION public.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$`},
	"as a replica":          {`SET session_replication_role = replica`, `UPDATE public.events SET entry = 'forged'`},
	"detach":                {`ALTER TABLE public.events DETACH PARTITION public.events_p0`},
	"attach":                {`CREATE TABLE S.p (LIKE public.events)`, `ALTER TABLE public.events ATTACH PARTITION S.p FOR VALUES FROM (90000000) TO (95000000)`},
	"inherit":               {`CREATE TABLE S.c () INHERITS (public.event_index)`, `INSERT INTO S.c VALUES ('s', 1, 1, NULL)`},
	"drop":                  {`DROP TABLE public.events CASCADE`},
	"own":                   {`ALTER TABLE public.events OWNER TO CURRENT_USER`},
	"take over the owner's": {`REASSIGN OWNED BY kassa TO CURRENT_USER`},
	"be the owner":          {`SET ROLE kassa`, `UPDATE public.events SET entry = 'forged'`}, "be a superuser": {`SET SESSION AUTHORIZATION postgres`},
	"a role with more": {`CREATE ROLE kassa_more SUPERUSER`}, "more for itself": {`ALTER ROLE CURRENT_USER SUPERUSER`},
	"be granted": {`GRANT UPDATE ON public.events TO CURRENT_USER`},
	"copy in":    {`COPY public.events FROM PROGRAM 'echo forged'`}, "copy from a file": {`COPY public.events FROM '/etc/passwd'`}, "copy out": {`COPY public.events TO PROGRAM 'sh'`},
	"a large object's file": {`SELECT lo_import('/etc/passwd')`}, "a large object out": {`SELECT lo_export(lo_from_bytea(0, 'x'), '/tmp/x')`},
	"another's large object": {`SELECT lo_put(oid, 0, 'forged') FROM pg_largeobject_metadata WHERE lomowner <> CURRENT_USER::regrole`},
	"a language":             {`CREATE FUNCTION S.c() RETURNS int LANGUAGE c AS 'libc', 'getpid'`},
	"an extension":           {`CREATE EXTENSION dblink`}, "a schema": {`CREATE SCHEMA other`}, "a schema called as its login": {`CREATE SCHEMA AUTHORIZATION CURRENT_USER`},
	"the version": {`UPDATE public.goose_db_version SET is_applied = false`},

	"a gap":                    {`INSERT INTO public.events SELECT 900, hashes, entry FROM public.events WHERE position = 1`},
	"the next, without a head": {`INSERT INTO public.events SELECT size + 1, '', 'forged' FROM public.head`},
	"a head that falls":        {`UPDATE public.head SET size = size - 1`}, "the same head with another root": {`UPDATE public.head SET root = sha256('')`},
	"no head": {`DELETE FROM public.head`}, "another head": {`INSERT INTO public.head VALUES (false, 9, sha256(''))`},
}

// kept is the state that an attack must not change.
const kept = `SELECT jsonb_build_object(
	'log', (SELECT md5(string_agg(e::text, ',' ORDER BY position)) FROM public.events e),
	'index', (SELECT md5(string_agg(i::text, ',' ORDER BY position)) FROM public.event_index i),
	'head', (SELECT h::text FROM public.head h),
	'archives', (SELECT count(*)::text FROM (SELECT a::text FROM public.archives a UNION ALL SELECT e::text FROM public.archived_events e UNION ALL SELECT s::text FROM public.archived_accounts s) x),
	'triggers', (SELECT string_agg(concat_ws(' ', tgrelid::regclass, tgname, tgenabled, tgfoid::regprocedure), ', ' ORDER BY tgrelid, tgname) FROM pg_trigger),
	'functions', (SELECT md5(string_agg(p::text, ',' ORDER BY p.oid)) FROM pg_proc p WHERE pronamespace IN ('public'::regnamespace, 'kassa_views'::regnamespace)),
	'relations', (SELECT string_agg(concat_ws(' ', relname, relowner::regrole, relacl), ', ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'vectors_near_%'),
	'parts', (SELECT count(*)::text FROM pg_inherits WHERE inhparent IN ('public.events'::regclass, 'public.event_index'::regclass)),
	'large objects', (SELECT md5(string_agg(lo_get(oid)::text, ',' ORDER BY oid)) FROM pg_largeobject_metadata WHERE lomowner = CURRENT_USER::regrole),
	'members', (SELECT string_agg(concat_ws(' ', roleid::regrole, member::regrole), ', ' ORDER BY roleid, member) FROM pg_auth_members WHERE roleid::regrole::text NOT LIKE 'kassa_test_%' AND member::regrole::text NOT LIKE 'kassa_test_%'))`

// refusals are the first errors that an attack may get. Any other means that the attack
// itself is faulty, and proves nothing.
var refusals = []string{"42501", "23000", "54000", "23505", "0A000", "22023"}

// With the service's stolen login the log cannot be changed: by none of the attacks,
// also where the database's owner granted more than needed, such as a schema to create
// in or temporary tables.
func TestServiceCannotChangeTheLog(t *testing.T) {
	url := schematest.Postgres(t)
	owner := connect(t, url)
	store := filled(t, url)
	service := schematest.Service(t, url)
	exec(t, owner, `SELECT lo_from_bytea(0, 'the owner''s')`)
	play := func(where string) func(*testing.T) {
		return func(t *testing.T) {
			for name, statements := range attacks {
				t.Run(name, func(t *testing.T) {
					before := look(t, owner)
					results := attack(t, service, where, statements)
					for part, after := range look(t, owner) {
						if after != before[part] {
							t.Errorf("the service changed the %s:\n%s\n%s\n%s", part, results, before[part], after)
						}
					}
				})
			}
		}
	}
	t.Run("with its own rights", play("kassa_views"))
	exec(t, owner, `CREATE SCHEMA given; GRANT USAGE, CREATE ON SCHEMA given TO PUBLIC;
		DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database()); END $$`)
	t.Run("where more was given", play("given"))
	audittest.CheckLedger(t, store)
}

// secrets are what an auditor's login is used for beyond its purpose: reading what opens
// sealed data, and writing where the service may.
var secrets = map[string][]string{
	"the keys": {`SELECT * FROM public.subject_keys`}, "the passwords": {`SELECT * FROM public.passwords`}, "the sessions": {`SELECT * FROM public.sessions`},
	"the installation": {`SELECT * FROM public.installation`}, "who tried": {`SELECT * FROM public.tries`},
	"an entry": {`INSERT INTO public.events SELECT size + 1, sha256('x'), 'forged' FROM public.head`}, "a version": {`INSERT INTO public.event_index VALUES ('s', 1, 99, NULL)`},
	"the head": {`UPDATE public.head SET size = size + 1`}, "a snapshot": {`DELETE FROM public.snapshots`}, "a checkpoint": {`UPDATE public.checkpoints SET position = 0`},
	"a balance": {`UPDATE kassa_views.balances_v2 SET available = 9`}, "a view's position": {`UPDATE kassa_views.positions SET position = 0`},
	"a table of the views": {`SELECT kassa_views.make('kassa_views', 'users_v9')`}, "no table of the views": {`SELECT kassa_views.drop('kassa_views', 'users_v1')`},
	"partitions": {`SELECT public.extend_log(1)`}, "the service's rights": {`SET ROLE kassa_app`}, "a lock that the service waits for": {`SELECT * FROM public.head FOR UPDATE`},
	"a partition": {`SELECT * FROM public.events_p0`},
}

// An auditor's login reads what verify reads, and neither reads nor changes anything else.
func TestAuditorReadsAndChangesNothing(t *testing.T) {
	url := schematest.Postgres(t)
	owner := connect(t, url)
	store := filled(t, url)
	auditor := schematest.Auditor(t, url)
	readable := map[string]bool{}
	rows, _ := connect(t, auditor).Query(t.Context(), `SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
		AND relnamespace IN ('public'::regnamespace, 'kassa_views'::regnamespace, 'kassa_views_next'::regnamespace) AND has_table_privilege(oid, 'SELECT')`)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	for _, table := range tables {
		readable[table] = true
		if _, known := schema.AuditorRights[table]; !known && !strings.HasPrefix(table, "kassa_views.") {
			t.Errorf("an auditor can read %s", table)
		}
	}
	for table := range schema.AuditorRights {
		if !readable[table] {
			t.Errorf("an auditor cannot read %s", table)
		}
	}
	if !readable["kassa_views.balances_v2"] || !readable["kassa_views.positions"] {
		t.Errorf("of the views an auditor can read %q", tables)
	}
	for _, plays := range []map[string][]string{attacks, secrets} {
		for name, statements := range plays {
			t.Run(name, func(t *testing.T) {
				before := look(t, owner)
				results := attack(t, auditor, "kassa_views", statements)
				for part, after := range look(t, owner) {
					if after != before[part] {
						t.Errorf("the auditor changed the %s:\n%s\n%s\n%s", part, results, before[part], after)
					}
				}
				if _, secret := secrets[name]; secret && !strings.Contains(results, "42501") {
					t.Errorf("an auditor can do it: %s", results)
				}
			})
		}
	}
	audittest.CheckLedger(t, store)
}

// An auditor's login that was given more, or that is the service's too, is reported; so
// is a role that lacks what verify reads.
func TestAuditorsWrongRights(t *testing.T) {
	url := schematest.Postgres(t)
	owner := connect(t, url)
	auditor := connect(t, schematest.Auditor(t, url))
	login := auditor.Config().User
	reported := func(look schema.Faults, says string) {
		t.Helper()
		if list, err := look(t.Context(), owner); err != nil || len(list) != 1 || !strings.Contains(list[0], says) {
			t.Errorf("reported is %q, %v, want %q", list, err, says)
		}
	}
	for _, one := range []struct {
		given, says, taken string
		look               schema.Faults
	}{
		{`GRANT SELECT ON subject_keys TO ` + login, login + " can SELECT on public.subject_keys: REVOKE", `REVOKE SELECT ON subject_keys FROM ` + login, schema.WrongRights},
		{`REVOKE SELECT ON kassa_views.balances_v2 FROM kassa_auditor`, "kassa_auditor cannot SELECT on kassa_views.balances_v2: GRANT", `GRANT SELECT ON kassa_views.balances_v2 TO kassa_auditor`, schema.WrongRights},
		{`REVOKE USAGE ON SCHEMA kassa_views FROM kassa_auditor`, "kassa_auditor cannot use the schema kassa_views: GRANT", `GRANT USAGE ON SCHEMA kassa_views TO kassa_auditor`, schema.WrongRights},
		{`GRANT CREATE ON SCHEMA kassa_views TO ` + login, login + " can make things in the schema kassa_views", `REVOKE CREATE ON SCHEMA kassa_views FROM ` + login, schema.WrongPowers},
	} {
		exec(t, owner, one.given)
		reported(one.look, one.says)
		exec(t, owner, one.taken)
	}
	exec(t, owner, `GRANT kassa_app TO `+login)
	if list, err := schema.WrongPowers(t.Context(), owner); err != nil || !slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, login+" can do what kassa_app can") }) {
		t.Errorf("an auditor who is the service too: %q, %v", list, err)
	}
}

// attack runs the statements in their own session, and drops what they created. It
// returns the result of each.
func attack(t *testing.T, service, where string, statements []string) string {
	t.Helper()
	attacker := connect(t, service)
	var results []string
	met := false
	for _, statement := range statements {
		_, err := attacker.Exec(t.Context(), strings.NewReplacer("S.", where+".", "@", where).Replace(statement))
		results = append(results, fmt.Sprintf("%.60s: %v", statement, err))
		if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && !met {
			met = true
			if !slices.Contains(refusals, refusal.Code) {
				t.Errorf("%s: %v", statement, err)
			}
		}
	}
	if _, err := attacker.Exec(t.Context(), `RESET SESSION AUTHORIZATION; RESET ROLE; RESET search_path; DROP OWNED BY CURRENT_USER CASCADE`); err != nil {
		t.Errorf("clean up: %v", err)
	}
	return strings.Join(results, "\n")
}

func look(t *testing.T, owner *pgx.Conn) (parts map[string]string) {
	t.Helper()
	if err := owner.QueryRow(t.Context(), kept).Scan(&parts); err != nil {
		t.Fatal(err)
	}
	return parts
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%.100s: %v", statement, err)
	}
}

// filled is a log with some entries.
func filled(t *testing.T, url string) *eventstore.Store {
	t.Helper()
	pool, err := schema.OpenPostgres(t.Context(), url, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	store, err := eventstore.Postgres(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	workload := eventstoretest.NewWorkload(1, 5)
	for range 4 {
		if _, err := workload.Step(t.Context(), store, 6); err != nil {
			t.Fatal(err)
		}
	}
	return store
}
