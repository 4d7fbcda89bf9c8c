package schema

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// rights are the exact rights of AppRole on each table. A test compares them with what
// the migrations grant.
var rights = map[string]string{
	"events":             "SELECT INSERT",
	"event_index":        "SELECT INSERT",
	"archives":           "SELECT",
	"archived_events":    "SELECT",
	"archived_accounts":  "SELECT",
	"head":               "SELECT UPDATE",
	"signed_head":        "SELECT INSERT UPDATE",
	"cosigned_head":      "SELECT INSERT UPDATE",
	"snapshots":          "SELECT INSERT UPDATE DELETE",
	"checkpoints":        "SELECT INSERT UPDATE DELETE",
	"leases":             "SELECT INSERT UPDATE",
	"tries":              "SELECT INSERT UPDATE DELETE",
	"installation":       "SELECT INSERT",
	"subject_keys":       "SELECT INSERT UPDATE DELETE",
	"passwords":          "SELECT INSERT UPDATE DELETE",
	"sessions":           "SELECT INSERT UPDATE DELETE",
	"resets":             "SELECT INSERT UPDATE DELETE",
	"reset_mails":        "SELECT INSERT UPDATE DELETE",
	"personal_tokens":    "SELECT INSERT UPDATE DELETE",
	"factors":            "SELECT INSERT UPDATE DELETE",
	"passkeys":           "SELECT INSERT UPDATE DELETE",
	"passkey_challenges": "SELECT INSERT UPDATE DELETE",
	"recovery_codes":     "SELECT INSERT UPDATE DELETE",
	"erasures":           "SELECT INSERT UPDATE DELETE",
	"movies":             "SELECT INSERT UPDATE DELETE",
	"vectors":            "SELECT INSERT UPDATE DELETE",
	"catalogue":          "SELECT UPDATE",
	"models":             "SELECT INSERT UPDATE DELETE",
	"catalogue_readers":  "SELECT INSERT UPDATE DELETE",
	"synonyms":           "SELECT INSERT DELETE",
	"editions":           "SELECT INSERT",
	"edition_films":      "SELECT INSERT DELETE",
	"uploads":            "SELECT INSERT DELETE",
	"goose_db_version":   "SELECT",
}

// auditorRights are the exact rights of AuditorRole on each table of the log's schema: on
// those that are not named it has none.
var auditorRights = map[string]string{
	"events": "SELECT", "event_index": "SELECT", "head": "SELECT", "signed_head": "SELECT", "cosigned_head": "SELECT", "snapshots": "SELECT", "checkpoints": "SELECT",
	"movies": "SELECT", "vectors": "SELECT", "catalogue": "SELECT", "synonyms": "SELECT",
	"archives": "SELECT", "archived_events": "SELECT", "archived_accounts": "SELECT", "goose_db_version": "SELECT",
}

const (
	partitionRights = ""
	positionRights  = "SELECT INSERT UPDATE DELETE"
	viewRights      = "SELECT INSERT UPDATE DELETE TRUNCATE MAINTAIN"
)

// privileges are all that can be granted on a table. MAINTAIN, of PostgreSQL 17,
// changes no row.
var privileges = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}

// ours selects Kassa's tables: the known ones in the log's schema, the log's
// partitions, and all in the schemas of the views.
const ours = `WITH home AS (SELECT relnamespace AS oid, relowner AS owner FROM pg_class WHERE oid = to_regclass('events')),
	ours AS (SELECT c.oid, c.relname::text AS name, n.nspname::text AS place, c.relowner AS owner,
			c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('events')) AS part
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, home
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (n.nspname IN ('kassa_views', 'kassa_views_next')
			OR n.oid = home.oid AND (c.relname = ANY($1) OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('events'))))),
	logins AS (SELECT r.oid, r.rolname::text AS name, uses.oid AS role, uses.rolname::text AS uses FROM pg_roles r, home, pg_database d, pg_roles uses
		WHERE d.datname = current_database() AND uses.rolname IN ('` + AppRole + `', '` + AuditorRole + `')
			AND (r.oid = uses.oid OR r.rolcanlogin AND NOT r.rolsuper AND r.oid NOT IN (home.owner, d.datdba)
			AND pg_has_role(r.oid, uses.oid, 'MEMBER') AND NOT pg_has_role(r.oid, home.owner, 'MEMBER')))
	`

// Faults returns a list of sentences; each names a fault and the statement that
// corrects it.
type Faults func(context.Context, *pgx.Conn) ([]string, error)

// WrongOwners finds tables and functions that the owner of the log does not own, and a
// log that the owner of the database does not own, as after a restore with wrong
// options or by the wrong role. A superuser may own the database, as with some
// providers.
func WrongOwners(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	return sentences(ctx, conn, ours+`
		SELECT format('%I.%I belongs to %I, and the log to %I: ALTER TABLE %1$I.%2$I OWNER TO %4$I', place, name, ours.owner::regrole::text, home.owner::regrole::text)
			FROM ours, home WHERE ours.owner <> home.owner
		UNION ALL SELECT format('the function %s belongs to %I, and the log to %I: ALTER FUNCTION %1$s OWNER TO %3$I', p.oid::regprocedure, p.proowner::regrole::text, home.owner::regrole::text)
			FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, home
			WHERE (n.oid = home.oid OR n.nspname IN ('kassa_views', 'kassa_views_next')) AND p.proowner <> home.owner
				AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
		UNION ALL SELECT format('the schema %I belongs to %I, and the log to %I: ALTER SCHEMA %1$I OWNER TO %3$I', n.nspname, n.nspowner::regrole::text, home.owner::regrole::text)
			FROM pg_namespace n, home WHERE n.nspname IN ('kassa_views', 'kassa_views_next') AND n.nspowner <> home.owner
		UNION ALL SELECT format('the log belongs to %I, and the database to %I, who cannot migrate it: restore the dump into an empty database as %2$I; where %1$I is to migrate it, ALTER DATABASE %3$I OWNER TO %1$I',
				home.owner::regrole::text, d.datdba::regrole::text, d.datname)
			FROM home JOIN pg_roles o ON o.oid = home.owner, pg_database d JOIN pg_roles b ON b.oid = d.datdba
			WHERE d.datname = current_database() AND home.owner <> d.datdba AND NOT b.rolsuper AND (o.rolsuper OR NOT pg_has_role(home.owner, d.datdba, 'SET'))
		ORDER BY 1`, slices.Collect(maps.Keys(rights)))
}

// WrongRights finds rights on tables that the roles of the service and of auditors, and
// the logins that use them, have beyond what is needed, or lack.
func WrongRights(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, _ := conn.Query(ctx, ours+`SELECT ours.place, ours.name, ours.part, logins.name, logins.uses, may
		FROM ours, logins, LATERAL (SELECT coalesce(array_agg(p), '{}') FROM unnest($2::text[]) p WHERE has_table_privilege(logins.oid, ours.oid, p)) m(may)
		ORDER BY ours.place, ours.name, logins.name, logins.uses`, slices.Collect(maps.Keys(rights)), privileges)
	var list []string
	var place, table, login, role string
	var part bool
	var may []string
	_, err := pgx.ForEachRow(rows, []any{&place, &table, &part, &login, &role, &may}, func() error {
		needed := strings.Fields(rightsOn(role, place, table, part))
		if more := without(may, needed); len(more) > 0 {
			list = append(list, fmt.Sprintf("%s can %s on %s.%s: REVOKE %[2]s ON %[3]s.%[4]s FROM %[1]s, PUBLIC", login, strings.Join(more, ", "), place, table))
		}
		if less := without(privileges, may, without(privileges, needed)); len(less) > 0 && login == role {
			list = append(list, fmt.Sprintf("%s cannot %s on %s.%s: GRANT %[2]s ON %[3]s.%[4]s TO %[1]s", role, strings.Join(less, ", "), place, table))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the rights on the tables: %w", err)
	}
	schemas, err := sentences(ctx, conn, ours+`SELECT format('%s cannot use the schema %I: GRANT USAGE ON SCHEMA %2$I TO %1$s', role, n.nspname)
		FROM pg_namespace n, home, unnest(ARRAY['`+AppRole+`', '`+AuditorRole+`']) role
		WHERE (n.oid = home.oid OR n.nspname = 'kassa_views' OR n.nspname = 'kassa_views_next' AND role = '`+AppRole+`') AND NOT has_schema_privilege(role, n.oid, 'USAGE')
		ORDER BY 1`, slices.Collect(maps.Keys(rights)))
	return append(schemas, list...), err
}

// without returns the elements of the list that are in none of the others.
func without(list []string, others ...[]string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(p string) bool { return slices.Contains(slices.Concat(others...), p) })
}

func rightsOn(role, place, table string, part bool) string {
	views := strings.HasPrefix(place, "kassa_views")
	switch {
	case part:
		return partitionRights
	case role == AuditorRole && place == "kassa_views_next" && table == "positions":
		return ""
	case role == AuditorRole && views:
		return "SELECT"
	case role == AuditorRole:
		return auditorRights[table]
	case views && table == "positions":
		return positionRights
	case views:
		return viewRights
	}
	return rights[table]
}

// WrongPowers finds other ways in which the roles of the service and of auditors, or
// their logins, could gain rights: creating objects that others would use, role attributes, memberships, and
// settings.
func WrongPowers(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	return sentences(ctx, conn, ours+`
		SELECT format('%I can make things in the schema %I: REVOKE CREATE ON SCHEMA %2$I FROM %1$I, PUBLIC', logins.name, n.nspname)
			FROM logins, pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp)' AND has_schema_privilege(logins.oid, n.oid, 'CREATE')
		UNION SELECT format('%I can make temporary tables: REVOKE TEMPORARY ON DATABASE %I FROM %1$I, PUBLIC', logins.name, current_database())
			FROM logins WHERE has_database_privilege(logins.oid, current_database(), 'TEMPORARY')
		UNION SELECT format('%I can make schemas: REVOKE CREATE ON DATABASE %I FROM %1$I, PUBLIC', logins.name, current_database())
			FROM logins WHERE has_database_privilege(logins.oid, current_database(), 'CREATE')
		UNION SELECT format('%I can silence triggers: REVOKE SET ON PARAMETER session_replication_role FROM %1$I, PUBLIC', logins.name)
			FROM logins WHERE has_parameter_privilege(logins.oid, 'session_replication_role', 'SET')
		UNION SELECT format('%I is more than a login: ALTER ROLE %1$I NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS', logins.name)
			FROM logins JOIN pg_roles r USING (oid) WHERE r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
		UNION SELECT format('%I can do what %I can: REVOKE %2$I FROM %1$I', logins.name, m.roleid::regrole::text)
			FROM logins JOIN pg_auth_members m ON m.member = logins.oid WHERE m.roleid <> logins.role
		UNION SELECT format('the setting %s of %s: ALTER %s RESET %s', s.setting, s.whose, s.whose, split_part(s.setting, '=', 1))
			FROM (SELECT unnest(setconfig) AS setting, CASE WHEN setrole = 0 THEN format('DATABASE %I', current_database()) ELSE format('ROLE %I', setrole::regrole::text) END AS whose
				FROM pg_db_role_setting WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
					AND (setrole = 0 OR setrole IN (SELECT oid FROM logins))) s
			WHERE s.setting ~ '^(session_replication_role=(replica|local)|synchronous_commit=off)$'
		UNION SELECT format('the trigger %I on %I.%I runs in the views: DROP TRIGGER %1$I ON %2$I.%3$I', t.tgname, ours.place, ours.name)
			FROM pg_trigger t JOIN ours ON ours.oid = t.tgrelid WHERE NOT t.tgisinternal AND ours.place <> (SELECT oid::regnamespace::text FROM home)
				AND t.tgfoid IS DISTINCT FROM to_regprocedure('kassa_views.note_leaf()') -- which the migrations make
		ORDER BY 1`, slices.Collect(maps.Keys(rights)))
}

// WrongFunctions finds functions that run with the owner's rights and have an unsafe
// search path, or can be called by PUBLIC.
func WrongFunctions(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	return sentences(ctx, conn, ours+`
		SELECT format('the function %s runs with its owner''s rights and looks for names outside pg_catalog: ALTER FUNCTION %1$s SET search_path = pg_catalog, pg_temp', p.oid::regprocedure)
			FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, home
			WHERE p.prosecdef AND (n.oid = home.oid OR n.nspname IN ('kassa_views', 'kassa_views_next'))
				AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']
		UNION ALL SELECT format('everybody can call the function %s: REVOKE ALL ON FUNCTION %1$s FROM PUBLIC', p.oid::regprocedure)
			FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, home
			WHERE p.prosecdef AND (n.oid = home.oid OR n.nspname IN ('kassa_views', 'kassa_views_next'))
				AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
		UNION ALL SELECT format('%s cannot call the function %s: GRANT EXECUTE ON FUNCTION %2$s TO %1$s', '`+AppRole+`', f)
			FROM unnest(ARRAY['extend_log(bigint)', 'tend_vector_indexes(bigint)', 'scrub_vault(bigint)', 'scrub_passkeys(bigint)', 'kassa_views.make(text, text)', 'kassa_views.drop(text, text)', 'kassa_views.switch(text)']) f
			WHERE NOT coalesce(has_function_privilege('`+AppRole+`', to_regprocedure(f), 'EXECUTE'), false)
		ORDER BY 1`, slices.Collect(maps.Keys(rights)))
}

// WrongGuards finds guards of the log that are missing, disabled or changed.
func WrongGuards(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	list, err := MissingGuardsPostgres(ctx, conn)
	for i, guard := range list {
		list[i] = "missing, or not as it was made: " + guard + "; somebody with the owner's rights did that: keep the database as it is, run kassa verify"
	}
	var role string
	if err == nil {
		err = conn.QueryRow(ctx, `SELECT current_setting('session_replication_role')`).Scan(&role)
	}
	if role != "" && role != "origin" {
		list = append(list, "session_replication_role is "+role+": ALTER DATABASE and ALTER ROLE … RESET session_replication_role")
	}
	return list, err
}

// PartitionsAhead is how many positions after the head have a partition.
func PartitionsAhead(ctx context.Context, conn *pgx.Conn) (ahead int64, err error) {
	err = conn.QueryRow(ctx, `SELECT coalesce(max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''?([0-9]+)''?\)'))[1]::bigint), 0) - 1
			- (SELECT size FROM head)
		FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'events'::regclass`).Scan(&ahead)
	if err != nil {
		return 0, fmt.Errorf("look at the partitions of the log: %w", err)
	}
	return ahead, nil
}

// WorksAs is how a connection's login relates to the service's role.
type WorksAs struct {
	Login  string
	Member bool // can use AppRole
	Owner  bool // owns the tables, or is a superuser
}

// LoginOf reads it for the connection's login.
func LoginOf(ctx context.Context, conn *pgx.Conn) (w WorksAs, err error) {
	err = conn.QueryRow(ctx, `SELECT session_user, coalesce((SELECT pg_has_role(session_user, oid, 'SET') FROM pg_roles WHERE rolname = $1), false),
		coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = session_user), false)
			OR coalesce((SELECT pg_has_role(session_user, relowner, 'MEMBER') FROM pg_class WHERE oid = to_regclass('events')), false)`, AppRole).
		Scan(&w.Login, &w.Member, &w.Owner)
	if err != nil {
		return w, fmt.Errorf("read the rights of the login: %w", err)
	}
	return w, nil
}

// sentences runs a query that returns one text per row.
func sentences(ctx context.Context, conn *pgx.Conn, query string, args ...any) ([]string, error) {
	rows, _ := conn.Query(ctx, query, args...)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look at the database's rights: %w", err)
	}
	return list, nil
}
