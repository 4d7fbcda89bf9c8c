package vault

import (
	"context"

	"kassa/domain"
)

// Rehash and Prepared are for tests of what Verify does with an old hash.
func Rehash(ctx context.Context, v *Vault, u domain.UserID, was, is string) error {
	return v.db.rehash(ctx, u, was, is)
}

var Prepared = normalized
