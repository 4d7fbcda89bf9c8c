package schema_test

import (
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// The server that docker/ configures allows base backups: they need their own line in
// pg_hba.conf.
func TestBaseBackupsAreLetIn(t *testing.T) {
	at, err := url.Parse(os.Getenv("KASSA_DATABASE_SUPERUSER_URL"))
	if err != nil || at.Host == "" {
		t.Fatal("KASSA_DATABASE_SUPERUSER_URL is not set: see docker/services")
	}
	settings := at.Query()
	settings.Set("replication", "true")
	at.RawQuery = settings.Encode()
	conn, err := pgconn.Connect(t.Context(), at.String())
	if err != nil {
		t.Fatalf("pg_basebackup would be refused: %v", err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `IDENTIFY_SYSTEM`).ReadAll(); err != nil {
		t.Error(err)
	}
}
