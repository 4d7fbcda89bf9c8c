// The story with the client that ogen made.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"story/api"
)

const email = "ada@example.org"

// signed gives the credentials of each request.
type signed struct{ password string }

func (s signed) Basic(context.Context, api.OperationName) (api.Basic, error) {
	return api.Basic{Username: email, Password: s.password}, nil
}

func (signed) Cookie(context.Context, api.OperationName) (api.Cookie, error) {
	return api.Cookie{}, nil
}

type ada struct{ *api.Client }

// problem is what all types of refusals have: ogen names one type for all that are alike,
// by the first operation that has it.
type problem interface {
	GetStatusCode() int
	GetResponse() api.Problem
}

func main() {
	base, password := os.Args[1], os.Args[2]
	ctx := context.Background()
	c, err := api.NewClient(base, signed{password})
	must(err)
	ada := ada{c}

	up, err := c.SignUp(ctx, &api.NewAccount{Email: email, Password: password}, api.SignUpParams{IdempotencyKey: api.NewOptString("key-1")})
	must(err)
	check(as[*api.SignedUpHeaders](up).Response.Balance == 10, up)

	paid := as[*api.MovedHeaders](ada.adjust(30, "key-2"))
	check(paid.Response.Balance == 40, paid)
	again := as[*api.MovedHeaders](ada.adjust(30, "key-2"))
	check(again.Response.Position == paid.Response.Position && again.IdempotentReplayed.IsSet(), again)

	answer, err := c.Predict(ctx, &api.Question{Text: "a robbery inside a dream", Limit: api.NewOptInt32(2)},
		api.PredictParams{IdempotencyKey: api.NewOptString("key-3"), Prefer: api.NewOptString("wait=30")})
	must(err)
	asked := as[*api.PredictOK](answer).Response
	check(asked.Status == "completed" && len(asked.Movies) == 2, asked)
	wallet, err := c.Balance(ctx, api.BalanceParams{MinPosition: asked.EndPosition})
	must(err)
	check(as[*api.BalanceHeaders](wallet).Response.Balance == 35, wallet)

	page := ada.history(api.TransactionsParams{Limit: api.NewOptInt32(2), MinPosition: asked.EndPosition})
	rest := ada.history(api.TransactionsParams{Limit: api.NewOptInt32(2), MinPosition: asked.EndPosition, Cursor: api.NewOptString(string(page.NextCursor))})
	check(fmt.Sprint(amounts(page), amounts(rest)) == "[-5 30] [10]", page)

	out := as[*api.MovedHeaders](ada.adjust(-12, "key-4"))
	check(out.Response.Balance == 23, out)
	refused := as[problem](ada.adjust(-1000, "key-5"))
	check(refused.GetStatusCode() == 402 && refused.GetResponse().Code == "insufficient_funds", refused)
}

func (a ada) adjust(amount int64, key string) api.AdjustRes {
	move := api.NewMoveAdjustment(api.Move{Amount: api.Amount(amount)})
	done, err := a.Adjust(context.Background(), move, api.AdjustParams{IdempotencyKey: api.NewOptString(key)})
	must(err)
	return done
}

func (a ada) history(of api.TransactionsParams) api.TransactionPage {
	page, err := a.Transactions(context.Background(), of)
	must(err)
	return as[*api.TransactionPageHeaders](page).Response
}

func amounts(page api.TransactionPage) (all []api.Change) {
	for _, line := range page.Items {
		all = append(all, line.Amount)
	}
	return all
}

// as gives the answer as the one that the story expects.
func as[T any](answer any) T {
	a, ok := answer.(T)
	check(ok, answer)
	return a
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func check(holds bool, what any) {
	if !holds {
		log.Fatalf("%+v", what)
	}
}
