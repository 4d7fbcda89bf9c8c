package eventstore

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kassa/domain"
	"kassa/schema"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	db, err := schema.OpenSQLite(ctx, filepath.Join(t.TempDir(), "k.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := SQLite(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	start := time.Now()
	const per = 100
	for w := range 256 {
		wg.Go(func() {
			u := domain.UserID(fmt.Sprintf("u_%d", w))
			for i := range per {
				l, err := s.Account(ctx, u)
				if err != nil {
					t.Error(err)
					return
				}
				var ev []domain.Event
				if i == 0 {
					ev, err = l.Account.SignUp(u, nil, 10)
				} else {
					ev, err = l.Account.Deposit(5, "sandbox", "x")
				}
				if err != nil {
					t.Error(err)
					return
				}
				_, err = s.Append(ctx, Append{Time: time.Now(), Actor: "t", Cause: Command{fmt.Sprintf("%d-%d", w, i), "c"}.Cause(), Writes: []Write{{AccountStream(u), l.Version, ev}}})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%.0f appends/s", 256*per/time.Since(start).Seconds())
	h, err := s.Head(ctx)
	t.Log(h, err)
	start = time.Now()
	n := 0
	err = s.Scan(ctx, 0, func(l []Recorded) error { n += len(l); return nil })
	t.Log(n, err, time.Since(start))
	s.Close()
	s, err = SQLite(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
