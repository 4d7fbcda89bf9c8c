package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
)

// A store in a file: two events become entries of one stream, and are read back.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "eventstore")
	check(err)
	defer os.RemoveAll(dir)

	db, err := schema.OpenSQLite(ctx, filepath.Join(dir, "kassa.db"))
	check(err)
	defer db.Close()
	store, err := eventstore.SQLite(ctx, db)
	check(err)
	defer store.Close()

	const ada domain.UserID = "u_ada"
	events, err := domain.Account{}.SignUp(ada, domain.Sealed("a sealed e-mail"), 10)
	check(err)
	receipt, err := store.Append(ctx, eventstore.Append{
		Time:   time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC),
		Actor:  "user:u_ada",
		Cause:  eventstore.Command{ID: "c1", Content: "signup"}.Cause(),
		Writes: []eventstore.Write{{Stream: eventstore.AccountStream(ada), Expected: 0, Events: events}},
	})
	check(err)
	fmt.Println("appended up to position", receipt.Position())

	entries, err := store.After(ctx, 0, 100)
	check(err)
	for _, e := range entries {
		fmt.Println(e.Position, e.Stream, e.Version, e.Type)
	}
	account, err := store.Account(ctx, ada)
	check(err)
	fmt.Println("available:", account.Account.Available)

	// Output:
	// appended up to position 2
	// 1 account-u_ada 1 SignedUp
	// 2 account-u_ada 2 BonusGranted
	// available: 10
}

// An append names the version that it was decided on. Where another was faster, it
// conflicts, and nothing of it is appended.
func ExampleStore_Append_conflict() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "eventstore")
	check(err)
	defer os.RemoveAll(dir)
	db, err := schema.OpenSQLite(ctx, filepath.Join(dir, "kassa.db"))
	check(err)
	defer db.Close()
	store, err := eventstore.SQLite(ctx, db)
	check(err)
	defer store.Close()

	events, err := domain.Account{}.SignUp("u_ada", domain.Sealed("a sealed e-mail"), 10)
	check(err)
	for _, id := range []string{"c1", "c2"} {
		_, err = store.Append(ctx, eventstore.Append{
			Time:   time.Now(),
			Actor:  "user:u_ada",
			Cause:  eventstore.Command{ID: id, Content: "signup"}.Cause(),
			Writes: []eventstore.Write{{Stream: eventstore.AccountStream("u_ada"), Expected: 0, Events: events}},
		})
		fmt.Println(id, err == nil, errors.Is(err, eventstore.ErrConflict))
	}

	// Output:
	// c1 true false
	// c2 false true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
