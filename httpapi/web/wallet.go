package web

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"kassa/commands"
	"kassa/domain"
)

// presets are the deposits that one touch chooses.
var presets = []domain.Credits{10, 50, 100, 500}

// presetChosen is the one that is chosen before anybody chooses.
const presetChosen = 50

type walletPage struct {
	frame
	Sandbox  bool
	Presets  []preset
	Own      string // what was typed
	Deposit  faults
	Withdraw faults
	Out      string // what was typed to withdraw
	Draft    *askForm
}

type preset struct {
	Amount  domain.Credits
	Answers int // that it pays for
	Chosen  bool
}

func (p *Pages) wallet(v *visit) error { return v.showWallet(http.StatusOK, walletPage{}) }

func (v *visit) showWallet(status int, page walletPage) error {
	v.Title, v.Section = v.T("wallet.title"), "wallet"
	chosen := cmp.Or(v.r.PostForm.Get("amount"), strconv.Itoa(presetChosen))
	for _, amount := range presets {
		page.Presets = append(page.Presets, preset{amount, int(amount / v.Price), amount.String() == chosen})
	}
	page.frame, page.Sandbox = v.frame, v.pages.Sandbox
	return v.show(status, "wallet", page)
}

// parseAmount reads a whole number as people type it; 0, which every command
// refuses, for what is none. A minus is none either: which way credits go is
// chosen beside the amount, and two signs would undo each other.
func parseAmount(s string) domain.Credits {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return domain.Credits(n)
}

// deposit adds credits. A question that came along, from the box where the price
// was more than there was, comes back with the answer: it is too long for an
// address or a cookie, and so this answer alone is no redirect. A reload sends the
// same key again and deposits nothing.
func (p *Pages) deposit(v *visit) error {
	own, draft := strings.TrimSpace(v.r.PostForm.Get("own")), v.carried()
	chosen := cmp.Or(own, v.r.PostForm.Get("amount"))
	if chosen == "" && draft != nil {
		return v.showWallet(http.StatusOK, walletPage{Draft: draft})
	}
	result, amount, err := v.move(p.Commands.Deposit, chosen)
	if err != nil {
		said, status, ok := v.told(err)
		if !ok {
			return err
		}
		return v.showWallet(status, walletPage{Own: own, Deposit: said, Draft: draft})
	}
	done := note{kind: noteDeposit, position: result.Position, amount: amount}
	if draft == nil {
		return v.sendAfter("/web/deposit", done)
	}
	if err := v.showDraft(done, *draft); err != nil {
		// The credits are there: a page of a fault would say that they are not.
		v.pages.Problems.Explain(v.w, v.r, err) // to the log
		return v.sendAfter("/web/deposit", done)
	}
	return nil
}

// showDraft goes on with the question for which credits were missing.
func (v *visit) showDraft(done note, draft askForm) error {
	if err := v.catchUp(done.position); err != nil {
		return err
	}
	v.Notice, v.Here = done.sentence(v.Language), "/web"
	return v.showHome(http.StatusOK, draft)
}

func (p *Pages) withdraw(v *visit) error {
	typed := v.r.PostForm.Get("withdraw")
	result, amount, err := v.move(p.Commands.Withdraw, typed)
	if err == nil {
		return v.sendAfter("/web/deposit", note{kind: noteWithdraw, position: result.Position, amount: amount})
	}
	said, status, ok := v.told(err)
	if !ok {
		return err
	}
	return v.showWallet(status, walletPage{Out: typed, Withdraw: said})
}

func (v *visit) move(command func(context.Context, commands.Move) (commands.Result, error), typed string) (commands.Result, domain.Credits, error) {
	amount := parseAmount(typed)
	result, err := once(v, func(ctx context.Context, key string) (commands.Result, error) {
		return command(ctx, commands.Move{User: v.Person.User, Amount: amount, Key: key})
	})
	return result, amount, err
}

// carried is the question that came along with a deposit, nil where none did.
func (v *visit) carried() *askForm {
	if !v.r.PostForm.Has("text") {
		return nil
	}
	draft := v.draft()
	return &draft
}
