package web_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
)

// An admin sees who did what, finds it by all that is known of it, and pages both ways, without
// scripts; an auditor sees the same, and nobody's address.
func TestActions(t *testing.T) {
	for language, want := range map[string]struct{ link, adjusted, role, operator, none, wrong, back string }{
		"en": {"Who did what", "Balance adjusted", "Role granted: auditor", "by the operator", "There is nothing like that.", "The filter cannot be read", "Newer"},
		"ru": {"Кто что сделал", "Баланс изменён", "Роль дана: аудитор", "кто: оператор", "Таких действий нет.", "Фильтр не понят", "Более новые"},
	} {
		t.Run(language, func(t *testing.T) {
			h, auditor := audited(t, language, options{})
			g := h.client(language)
			g.open("/web/signin").fill("/web/signin", "email", "boss@example.org", "password", password)
			list := g.open("/web/overview").follow(want.link).at("/web/actions").shows(want.adjusted, want.role, "vera@example.org", "boss@example.org", "refund of March", "+40", "a gift")
			list.ask("/web/actions", "text", "MARCH").shows("refund of March", "+40").lacks("a gift")
			list.ask("/web/actions", "type", "RoleGranted").shows(want.role).lacks("+40")
			list.ask("/web/actions", "by", string(h.env.User("boss@example.org"))).shows("+40", "+20").lacks(want.role)
			list.ask("/web/actions", "user_id", string(h.env.User("auditor@example.org"))).shows(want.role).lacks("+40")
			list.ask("/web/actions", "from", time.Now().UTC().AddDate(0, 0, 2).Format(time.DateOnly)).shows(want.none)
			list.ask("/web/actions", "user_id", "vera").is(http.StatusUnprocessableEntity).shows(want.wrong)
			auditor.open("/web/actions").shows(want.adjusted, string(h.env.User("vera@example.org"))).lacks("vera@example.org")
			vera := h.client(language)
			vera.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
			vera.open("/web/actions").is(http.StatusForbidden)
			vera.open("/web/actions.csv").is(http.StatusForbidden)

			_, _, table := g.raw("/web/actions.csv?text=march")
			if rows := strings.Split(strings.TrimSpace(table), "\n"); len(rows) != 2 || !strings.Contains(rows[1], "refund of March") || !strings.Contains(rows[1], ",40,") {
				t.Errorf("the table is\n%s", table)
			}
			for n := range 21 {
				h.corrects(fmt.Sprintf("number %02d", n), 1)
			}
			older := g.open("/web/actions?text=number").shows("number 20").lacks("number 00").follow("→").shows("number 00").lacks("number 20")
			older.follow(want.back).shows("number 20").lacks("number 00")
		})
	}
}

// The page in a browser, in both languages and at both widths.
func TestActionsInABrowser(t *testing.T) {
	for _, language := range []string{"ru", "en"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			h, _ := audited(t, language, options{adjust: domain.AdjustmentLimits{FourEyesAbove: 500}})
			h.corrects("Оплата за март зачислена дважды", 2500) // is proposed
			boss, vera := h.env.User("boss@example.org"), h.env.User("vera@example.org")
			at, err := h.handler.Lock(t.Context(), commands.Order{Admin: boss, User: vera, Reason: "a stolen phone"})
			h.ended(at, err)
			b := h.browse(t, language, true)
			b.signIn("boss@example.org")
			for name, path := range map[string]string{"95-actions": "", "96-actions-none": "?text=x9", "97-actions-refused": "?user_id=x"} {
				b.open("/web/actions" + path)
				b.capture(os.Getenv("KASSA_SCREENSHOTS"), language+"-"+name, "dark")
			}
			b.noComplaints()
		})
	}
}
