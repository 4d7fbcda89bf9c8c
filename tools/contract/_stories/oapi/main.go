// The story with the client that oapi-codegen made.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"story/api"
)

const email = "ada@example.org"

type ada struct {
	*api.ClientWithResponses
	sign func(context.Context, *http.Request) error
}

func main() {
	base, password := os.Args[1], os.Args[2]
	ctx := context.Background()
	c, err := api.NewClientWithResponses(base)
	must(err)
	ada := ada{c, func(_ context.Context, r *http.Request) error { r.SetBasicAuth(email, password); return nil }}

	up, err := c.SignUpWithResponse(ctx, &api.SignUpParams{IdempotencyKey: new("key-1")}, api.NewAccount{Email: email, Password: password})
	must(err)
	check(up.JSON201 != nil && up.JSON201.Balance == 10, up.Body)

	paid := ada.adjust(30, "key-2")
	check(paid.JSON200 != nil && paid.JSON200.Balance == 40, paid.Body)
	again := ada.adjust(30, "key-2")
	check(again.JSON200.Position == paid.JSON200.Position && again.HTTPResponse.Header.Get("Idempotent-Replayed") == "true", again.Body)

	question := api.Question{Text: "a robbery inside a dream", Limit: new(int32(2))}
	asked, err := c.PredictWithResponse(ctx, &api.PredictParams{IdempotencyKey: new("key-3"), Prefer: new("wait=30")}, question, ada.sign)
	must(err)
	check(asked.JSON200 != nil && asked.JSON200.Status == "completed" && len(asked.JSON200.Movies) == 2, asked.Body)
	ended := asked.JSON200.EndPosition
	wallet, err := c.BalanceWithResponse(ctx, &api.BalanceParams{MinPosition: ended}, ada.sign)
	must(err)
	check(wallet.JSON200 != nil && wallet.JSON200.Balance == 35, wallet.Body)

	page := ada.history(api.TransactionsParams{Limit: new(int32(2)), MinPosition: ended})
	rest := ada.history(api.TransactionsParams{Limit: new(int32(2)), MinPosition: ended, Cursor: &page.NextCursor})
	check(fmt.Sprint(amounts(page), amounts(rest)) == "[-5 30] [10]", []byte("history"))

	out := ada.adjust(-12, "key-4")
	check(out.JSON200 != nil && out.JSON200.Balance == 23, out.Body)
	refused := ada.adjust(-1000, "key-5")
	check(refused.StatusCode() == 402 && refused.ApplicationproblemJSON4XX.Code == "insufficient_funds", refused.Body)
}

func (a ada) adjust(amount int64, key string) *api.AdjustResponse {
	var move api.Adjustment
	must(move.FromMove(api.Move{Amount: amount}))
	done, err := a.AdjustWithResponse(context.Background(), &api.AdjustParams{IdempotencyKey: &key}, move, a.sign)
	must(err)
	return done
}

func (a ada) history(of api.TransactionsParams) *api.TransactionPage {
	page, err := a.TransactionsWithResponse(context.Background(), &of, a.sign)
	must(err)
	check(page.JSON200 != nil, page.Body)
	return page.JSON200
}

func amounts(page *api.TransactionPage) (all []int64) {
	for _, line := range page.Items {
		all = append(all, line.Amount)
	}
	return all
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func check(holds bool, body []byte) {
	if !holds {
		log.Fatalf("%s", body)
	}
}
