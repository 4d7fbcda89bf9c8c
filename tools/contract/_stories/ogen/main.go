// The story with the client that ogen made.
package main

import (
	"context"
	"log"
	"os"

	"story/api"
)

type ada struct{ email, password string }

func (a ada) Basic(context.Context, api.OperationName) (api.Basic, error) {
	return api.Basic{Username: a.email, Password: a.password}, nil
}

func (ada) Session(context.Context, api.OperationName) (api.Session, error) {
	return api.Session{}, nil
}

func main() {
	base, email, password := os.Args[1], os.Args[2], os.Args[3]
	ctx := context.Background()
	c, err := api.NewClient(base, ada{email, password})
	must(err)
	up, err := c.SignUp(ctx, &api.NewAccount{Email: api.Email(email), Password: password}, api.SignUpParams{IdempotencyKey: api.NewOptString("ogen-1")})
	must(err)
	if up, ok := up.(*api.SignedUpHeaders); !ok || up.Response.Balance != 10 {
		log.Fatalf("%+v", up)
	}
	move := func(amount int64, key string) api.AdjustRes {
		done, err := c.Adjust(ctx, api.NewMoveAdjustment(api.Move{Amount: api.Amount(amount)}), api.AdjustParams{IdempotencyKey: api.NewOptString(key)})
		must(err)
		return done
	}
	if paid, ok := move(30, "ogen-2").(*api.MovedHeaders); !ok || paid.Response.Balance != 40 {
		log.Fatalf("%+v", paid)
	}
	answer, err := c.Predict(ctx, &api.Question{Text: "a robbery inside a dream", Limit: api.NewOptInt32(2)},
		api.PredictParams{IdempotencyKey: api.NewOptString("ogen-3"), Prefer: api.NewOptString("wait=30")})
	must(err)
	asked, ok := answer.(*api.PredictOK)
	if !ok || asked.Response.Status != "completed" || len(asked.Response.Movies) != 2 {
		log.Fatalf("%+v", answer)
	}
	page, err := c.Transactions(ctx, api.TransactionsParams{MinPosition: api.NewOptPosition(asked.Response.EndPosition.Value)})
	must(err)
	if lines, ok := page.(*api.TransactionPageHeaders); !ok || len(lines.Response.Items) != 3 || lines.Response.Items[0].Amount != -5 {
		log.Fatalf("%+v", page)
	}
	switch refused := move(-1000, "ogen-4").(type) {
	case *api.Trial4XXStatusCodeWithHeaders: // ogen names one type for all that are alike
		if refused.Response.Code != "insufficient_funds" {
			log.Fatalf("%+v", refused)
		}
	default:
		log.Fatalf("%+v", refused)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
