package web

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
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

func (p *Pages) wallet(v *visit) error {
	out := v.takeDraft(payoutForm)
	return v.showWallet(http.StatusOK, v.takeDraft(depositForm), out)
}

// showWallet shows the two forms of the wallet as they were typed.
func (v *visit) showWallet(status int, in, out draft) error {
	page := walletPage{Own: in.get("own"), Deposit: v.faultsOf(in.Code, v.Balance.Available),
		Out: out.get("withdraw"), Withdraw: v.faultsOf(out.Code, v.Balance.Withdrawable())}
	if in.Fields.Has("text") {
		question := v.askForm(in)
		page.Draft = &question
	}
	v.Title, v.Section, v.Form = v.T("wallet.title"), "wallet", depositForm.name
	chosen := cmp.Or(in.get("amount"), strconv.Itoa(presetChosen))
	for _, amount := range presets {
		page.Presets = append(page.Presets, preset{amount, int(amount / v.Price), amount.String() == chosen})
	}
	page.frame, page.Sandbox = v.frame, v.pages.Sandbox
	return v.show(status, "wallet", page)
}

// grouped is a number whose digits are in groups of three, with commas between them.
var grouped = regexp.MustCompile(`^[0-9]{1,3}(,[0-9]{3})+$`)

// amount reads a whole number as people type it, and as the pages of the language
// write it ("1,000" in English; in Russian a comma begins a fraction); 0, which every
// command refuses, for what is none. A minus is none either: which way credits go is
// chosen beside the amount, and two signs would undo each other.
func (l *Language) amount(s string) domain.Credits {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	if l.thousand == "," && grouped.MatchString(s) {
		s = strings.ReplaceAll(s, ",", "")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return domain.Credits(n)
}

// deposit adds credits. A question that came along, from the box where the price was
// more than there was, comes back on the page of questions.
func (p *Pages) deposit(v *visit) error {
	chosen := cmp.Or(strings.TrimSpace(v.r.PostForm.Get("own")), v.r.PostForm.Get("amount"))
	question := v.r.PostForm.Has("text")
	again := func(status int, d draft) error { return v.showWallet(status, d, draft{}) }
	if chosen == "" && question {
		return v.back(depositForm, v.draftOf(depositForm), http.StatusOK, again)
	}
	result, amount, err := v.move(p.Commands.Deposit, chosen)
	if err != nil {
		return v.refused(depositForm, err, again)
	}
	done := note{kind: noteDeposit, position: result.Position, amount: amount}
	if !question {
		return v.sendAfter("/web/deposit", done)
	}
	d := v.draftOf(askingForm)
	if v.leaveDraft(askingForm, d) {
		return v.sendAfter("/web", done)
	}
	if err := v.showDraft(done, d); err != nil {
		// The credits are there: a page of a fault would say that they are not.
		v.pages.Problems.Explain(v.w, v.r, err) // to the log
		return v.sendAfter("/web/deposit", done)
	}
	return nil
}

// showDraft goes on with the question for which credits were missing.
func (v *visit) showDraft(done note, d draft) error {
	v.wrote(done)
	if err := v.catchUp(done.position); err != nil {
		return err
	}
	v.Notice, v.Here = done.sentence(v.Language), "/web"
	return v.showHome(http.StatusOK, d)
}

func (p *Pages) withdraw(v *visit) error {
	typed := v.r.PostForm.Get("withdraw")
	result, amount, err := v.move(p.Commands.Withdraw, typed)
	if err == nil {
		return v.sendAfter("/web/deposit", note{kind: noteWithdraw, position: result.Position, amount: amount})
	}
	return v.refused(payoutForm, err, func(status int, d draft) error { return v.showWallet(status, draft{}, d) })
}

func (v *visit) move(command func(context.Context, commands.Move) (commands.Result, error), typed string) (commands.Result, domain.Credits, error) {
	amount := v.amount(typed)
	result, err := once(v, func(ctx context.Context, key string) (commands.Result, error) {
		return command(ctx, commands.Move{User: v.Person.User, Amount: amount, Key: key})
	})
	return result, amount, err
}
