package vault_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/schema"
	"kassa/schema/schematest"
	"kassa/vault"
)

// place is a database with the vault's tables, empty at first.
type place interface {
	// open gives a vault in it, as a process of its own.
	open(t testing.TB, secret vault.Secret, o vault.Options) (*vault.Vault, error)
	// exec does to the rows what no method of the vault does; one reads a single text.
	exec(t testing.TB, statement string)
	one(t testing.TB, query string) string
	// blob and moment write bytes and a time as the place's SQL spells them.
	blob(b []byte) string
	moment(at time.Time) string
}

// suite is what every vault promises, whichever database it is in.
var suite = []struct {
	name string
	test func(*testing.T, place)
}{
	{"stored forms", testStoredForms},
	{"nothing is stored twice the same", testNothingIsStoredTwiceTheSame},
	{"enroll", testEnroll},
	{"seal and open", testSealAndOpen},
	{"moved and changed seals", testMovedAndChangedSealsStayShut},
	{"an erased key", testAnErasedKey},
	{"the wrong secret", testTheWrongSecret},
	{"the secret of nobody", testCheckSecretOfNobody},
	{"email hash", testEmailHash},
	{"fingerprint", testFingerprint},
	{"verify", testVerify},
	{"verify an older cost", testVerifyAnOlderCost},
	{"verify an older spelling", testVerifyAnOlderSpelling},
	{"spellings of a password", testSpellings},
	{"broken hashes", testBrokenHashes},
	{"people of the replaced system", testMoved},
	{"their sign-ins at once", testMovedAtOnce},
	{"their ids", testMovedID},
	{"sessions", testSessions},
	{"lives of sessions", testSessionLives},
	{"a person's sessions", testSessionList},
	{"many sessions", testManySessions},
	{"sessions that ended", testEndSession},
	{"a changed password", testChangePassword},
	{"sign-ins beside a change", testSignInsBesideAChange},
	{"a reset", testReset},
	{"resets that end", testResetsEnd},
	{"resets at once", testResetAtOnce},
	{"personal tokens", testTokens},
	{"tokens that end", testTokensEnd},
	{"tokens beside a change", testTokensBesideAChange},
	{"many tokens", testManyTokens},
	{"a factor", testFactor},
	{"offers of a factor", testOffersOfAFactor},
	{"spellings of a first code", testSpellingsOfAFirstCode},
	{"tokens beside a factor", testTokensBesideAFactor},
	{"a factor that is turned off", testAFactorThatIsTurnedOff},
	{"codes of a factor", testCodes},
	{"sign-ins with a factor", testSignInsWithAFactor},
	{"an erased factor", testErasedFactor},
	{"passkeys", testPasskeys},
	{"many passkeys", testManyPasskeys},
	{"counts of passkeys", testCountsOfPasskeys},
	{"challenges of passkeys", testChallenges},
	{"passkeys that end", testPasskeysEnd},
	{"copied passkeys", testCopiedPasskeys},
	{"mails", testMails},
	{"reminders of erasures", testReminders},
	{"expired sessions", testDropExpired},
	{"faults", testFaults},
	{"a claimed database", testClaimSecret}, // last: nothing takes a claim back
}

func TestSQLite(t *testing.T) {
	for _, s := range suite {
		t.Run(s.name, func(t *testing.T) { s.test(t, newFile(t)) })
	}
}

func TestPostgres(t *testing.T) {
	p := tables{schematest.Pool(t, 4)}
	for _, s := range suite {
		p.exec(t, `DELETE FROM subject_keys; DELETE FROM passwords; DELETE FROM sessions; DELETE FROM resets; DELETE FROM personal_tokens; DELETE FROM factors; DELETE FROM recovery_codes; DELETE FROM passkeys; DELETE FROM passkey_challenges; DELETE FROM reset_mails`)
		t.Run(s.name, func(t *testing.T) { s.test(t, p) })
	}
}

// file is a database file.
type file struct {
	path string
	db   *schema.SQLite
}

func newFile(t testing.TB) file {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kassa.db")
	db, err := schema.OpenSQLite(t.Context(), path)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return file{path, db}
}

func (f file) open(_ testing.TB, secret vault.Secret, o vault.Options) (*vault.Vault, error) {
	return vault.SQLite(f.db, secret, o)
}

func (f file) exec(t testing.TB, statement string) {
	t.Helper()
	_, err := f.db.Write.ExecContext(t.Context(), statement)
	must(t, err)
}

func (f file) one(t testing.TB, query string) (s string) {
	t.Helper()
	must(t, f.db.Read.QueryRowContext(t.Context(), query).Scan(&s))
	return s
}

func (f file) blob(b []byte) string { return fmt.Sprintf("x'%x'", b) }

func (f file) moment(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// tables are in a PostgreSQL database.
type tables struct{ pool *pgxpool.Pool }

func (p tables) open(_ testing.TB, secret vault.Secret, o vault.Options) (*vault.Vault, error) {
	return vault.Postgres(p.pool, secret, o)
}

func (p tables) exec(t testing.TB, statement string) {
	t.Helper()
	_, err := p.pool.Exec(t.Context(), statement)
	must(t, err)
}

func (p tables) one(t testing.TB, query string) (s string) {
	t.Helper()
	must(t, p.pool.QueryRow(t.Context(), query).Scan(&s))
	return s
}

func (p tables) blob(b []byte) string { return fmt.Sprintf(`'\x%x'::bytea`, b) }

func (p tables) moment(at time.Time) string { return "'" + at.Format(time.RFC3339) + "'" }

// cheap makes password hashing a matter of microseconds.
var cheap = vault.Options{Argon2: vault.Argon2{MemoryKiB: 8, Passes: 1}}

var secret = vault.Secret("a secret of this test alone, 32 b")

const password = "a long walk home"

// opened is a vault in the place as most tests want it.
func opened(t testing.TB, p place) *vault.Vault {
	t.Helper()
	v, err := p.open(t, secret, cheap)
	must(t, err)
	return v
}

func enrolled(t testing.TB, v *vault.Vault, users ...domain.UserID) {
	t.Helper()
	for _, u := range users {
		must(t, v.Enroll(t.Context(), u, password))
	}
}

// remembers reports whether the vault has verified the password, and hashes none.
func remembers(t testing.TB, v *vault.Vault, u domain.UserID, password string) bool {
	t.Helper()
	ok, err := v.Remembered(t.Context(), u, password)
	must(t, err)
	return ok
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func second[T any](_ T, err error) error { return err }
