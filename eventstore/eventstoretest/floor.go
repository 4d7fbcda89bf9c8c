package eventstoretest

import (
	"context"

	"kassa/schema"
)

// BareScan reads every row of a log in a file and looks at nothing: no reader of the
// log can be faster, so benchmarks of readers are compared with it.
func BareScan(ctx context.Context, db *schema.SQLite) error {
	rows, err := db.Read.QueryContext(ctx, `SELECT position, stream, version, coalesce(command, ''), hashes, entry FROM events ORDER BY position`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var position, version int64
	var stream, command string
	var hashes, entry []byte
	for rows.Next() {
		if err := rows.Scan(&position, &stream, &version, &command, &hashes, &entry); err != nil {
			return err
		}
	}
	return rows.Err()
}
