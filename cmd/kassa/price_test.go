package main

import (
	"strings"
	"testing"
)

// The price of the log counts in a service that runs, at once, and a setting of the
// environment does not any more; verify proves it.
func TestPriceSet(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data, "--bonus", "100", "--price", "4")
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	costs := func(want int64) {
		t.Helper()
		asked := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a film about a ship", wait: 30})
		if asked.text("status") != "completed" || asked.number("cost") != want {
			t.Errorf("a question is answered %d %v, want the cost %d", asked.status, asked.body, want)
		}
		if about := ada.do(t.Context(), "GET", "/api/", "", nil); about.number("price") != want {
			t.Errorf("the price that is shown is %v, want %d", about.body["price"], want)
		}
	}
	ok := func(says string, args ...string) {
		t.Helper()
		if code, out, complaints := kassa(t, append(args, "--data", data)...); code != 0 || !strings.Contains(out, says) {
			t.Errorf("kassa %v: exit code %d, want %q\n%s%s", args, code, says, out, complaints)
		}
	}
	costs(4)
	ok("No price was set", "price", "list")
	ok("an answer costs 3 credits, and a credit 1.50 RUB", "price", "set", "3", "--credit", "1.5", "--currency", "RUB")
	ok("so already", "price", "set", "3", "--credit", "1.50", "--currency", "RUB")
	costs(3)
	s.interrupt(t)
	s = serve(t, data, "--price", "9")
	ada.url = s.url
	costs(3)
	s.interrupt(t)
	ok("1.50 RUB", "price", "list")
	ok(`"price":3,"currency":"RUB","credit_price":150`, "price", "list", "--json")
	for _, wrong := range [][]string{{"0"}, {"1000001"}, {"3", "--credit", "1.50"}, {"3", "--currency", "RUB"}, {"3", "--credit", "1.505", "--currency", "RUB"},
		{"3", "--credit", "0", "--currency", "RUB"}, {"3", "--credit=-1", "--currency", "RUB"}, {"3", "--credit", "1", "--currency", "rubles"}} {
		if code, out, complaints := kassa(t, append([]string{"price", "set", "--data", data}, wrong...)...); code != exitUsage {
			t.Errorf("kassa price set %v: exit code %d\n%s%s", wrong, code, out, complaints)
		}
	}
	mustVerify(t, data)
}
