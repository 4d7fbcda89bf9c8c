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

func main() {
	base, email, password := os.Args[1], os.Args[2], os.Args[3]
	ctx := context.Background()
	c, err := api.NewClientWithResponses(base)
	must(err)
	ada := func(_ context.Context, r *http.Request) error { r.SetBasicAuth(email, password); return nil }
	key := func(n int) *string { s := fmt.Sprint("oapi-", n); return &s }

	up, err := c.SignUpWithResponse(ctx, &api.SignUpParams{IdempotencyKey: key(1)}, api.NewAccount{Email: email, Password: password})
	must(err)
	check(up.JSON201 != nil && up.JSON201.Balance == 10, up.Body)
	var move api.Adjustment
	must(move.FromMove(api.Move{Amount: 30}))
	paid, err := c.AdjustWithResponse(ctx, &api.AdjustParams{IdempotencyKey: key(2)}, move, ada)
	must(err)
	check(paid.JSON200 != nil && paid.JSON200.Balance == 40, paid.Body)
	films, wait := int32(2), "wait=30"
	asked, err := c.PredictWithResponse(ctx, &api.PredictParams{IdempotencyKey: key(3), Prefer: &wait}, api.Question{Text: "a robbery inside a dream", Limit: &films}, ada)
	must(err)
	check(asked.JSON200 != nil && asked.JSON200.Status == "completed" && len(asked.JSON200.Movies) == 2, asked.Body)
	lines, err := c.TransactionsWithResponse(ctx, &api.TransactionsParams{MinPosition: asked.JSON200.EndPosition}, ada)
	must(err)
	check(lines.JSON200 != nil && len(lines.JSON200.Items) == 3 && lines.JSON200.Items[0].Amount == -5, lines.Body)
	must(move.FromMove(api.Move{Amount: -1000}))
	refused, err := c.AdjustWithResponse(ctx, nil, move, ada)
	must(err)
	check(refused.ApplicationproblemJSON4XX != nil && refused.ApplicationproblemJSON4XX.Code == "insufficient_funds", refused.Body)
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
