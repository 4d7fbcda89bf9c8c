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

// presets are the deposits offered as buttons.
var presets = []domain.Credits{10, 50, 100, 500}

// presetChosen is the preselected deposit.
const presetChosen = 50

type walletPage struct {
	layout
	Sandbox  bool
	Presets  []preset
	Own      string // what was typed
	Deposit  fieldErrors
	Withdraw fieldErrors
	Out      string // what was typed to withdraw
	Draft    *askForm
}

type preset struct {
	Amount  domain.Credits
	Answers int    // that it pays for
	Worth   string // what it costs; "" where no price of a credit is stated
	Chosen  bool
}

func (p *Pages) wallet(pc *pageContext) error {
	out := pc.takeDraft(withdrawFields)
	return pc.showWallet(http.StatusOK, pc.takeDraft(depositFields), out)
}

// showWallet shows the two forms of the wallet as they were typed.
func (pc *pageContext) showWallet(status int, in, out draft) error {
	page := walletPage{Own: in.get("own"), Deposit: pc.fieldErrorsOf(in.Code, pc.Balance.Available),
		Out: out.get("withdraw"), Withdraw: pc.fieldErrorsOf(out.Code, pc.Balance.Withdrawable())}
	if in.Fields.Has("text") {
		question := pc.askForm(in)
		page.Draft = &question
	}
	pc.Title, pc.Section, pc.Form = pc.T("wallet.title"), "wallet", depositFields.name
	chosen := cmp.Or(in.get("amount"), strconv.Itoa(presetChosen))
	for _, amount := range presets {
		page.Presets = append(page.Presets, preset{amount, int(amount / pc.Price), pc.Worth(amount), amount.String() == chosen})
	}
	page.layout, page.Sandbox = pc.layout, pc.pages.Sandbox
	return pc.show(status, "wallet", page)
}

// grouped is an integer with commas between groups of three digits.
var grouped = regexp.MustCompile(`^[0-9]{1,3}(,[0-9]{3})+$`)

// amount reads an integer as users type it, and as the pages of the language write it
// ("1,000" in English; in Russian a comma is the decimal separator). It returns 0,
// which every command refuses, for anything else. A minus is refused too: the direction
// is chosen beside the amount, and two signs would cancel out.
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

// deposit adds credits. A question that was sent with it, from the form without enough
// credits, is shown again on the front page.
func (p *Pages) deposit(pc *pageContext) error {
	chosen := cmp.Or(strings.TrimSpace(pc.r.PostForm.Get("own")), pc.r.PostForm.Get("amount"))
	question := pc.r.PostForm.Has("text")
	again := func(status int, d draft) error { return pc.showWallet(status, d, draft{}) }
	if chosen == "" && question {
		return pc.back(depositFields, pc.draftOf(depositFields), http.StatusOK, again)
	}
	result, amount, err := pc.move(p.Commands.Deposit, chosen)
	if err != nil {
		return pc.refused(depositFields, err, again)
	}
	done := flash{kind: flashDeposit, position: result.Position, amount: amount}
	if !question {
		return pc.redirectAfter("/web/deposit", done)
	}
	d := pc.draftOf(askFields)
	if pc.saveDraft(askFields, d) {
		return pc.redirectAfter("/web", done)
	}
	if err := pc.showDraft(done, d); err != nil {
		// The credits were added: an error page would deny it.
		pc.pages.Problems.Explain(pc.w, pc.r, err) // logs it
		return pc.redirectAfter("/web/deposit", done)
	}
	return nil
}

// showDraft returns to the question for which credits were missing.
func (pc *pageContext) showDraft(done flash, d draft) error {
	pc.setLastWrite(done)
	if err := pc.catchUp(done.position); err != nil {
		return err
	}
	pc.Notice, pc.Here = done.sentence(pc.Language), "/web"
	return pc.showHome(http.StatusOK, d)
}

// withdraw pays credits back in two steps: the first shows what will happen, decided as the
// command decides; the second, with the key of the first, runs the command.
func (p *Pages) withdraw(pc *pageContext) error {
	show := func(status int, d draft) error { return pc.showWallet(status, draft{}, d) }
	d := pc.draftOf(withdrawFields)
	if pc.r.PostForm.Has("edit") {
		return pc.back(withdrawFields, d, http.StatusOK, show)
	}
	if !pc.r.PostForm.Has("confirm") {
		if _, err := pc.afterWithdrawal(d); err != nil {
			return pc.refused(withdrawFields, err, show)
		}
		d.Page = pc.r.URL.Path
		return pc.back(withdrawFields, d, http.StatusOK, pc.showWithdrawal)
	}
	result, amount, err := pc.move(p.Commands.Withdraw, d.get("withdraw"))
	if err != nil {
		return pc.refused(withdrawFields, err, show)
	}
	pc.dropDraft(withdrawFields)
	return pc.redirectAfter("/web/deposit", flash{kind: flashWithdraw, position: result.Position, amount: amount})
}

// afterWithdrawal is what the account holds before and after the withdrawal of a draft, by
// the log.
func (pc *pageContext) afterWithdrawal(d draft) (change, error) {
	account, err := pc.pages.Commands.Account(pc.r.Context(), pc.Person.User)
	if err != nil {
		return change{}, err
	}
	events, err := account.Withdraw(pc.amount(d.get("withdraw")), "", "")
	if err != nil {
		return change{}, err
	}
	return changeBy(account, events), nil
}

type withdrawalPage struct {
	layout
	change
	Sandbox bool
	Key     string // of the first form: what was shown is what is done
	Typed   string
	Amount  domain.Credits
}

// withdrawal shows what a withdrawal would do. Its draft stays until that is done, so that
// the page can be reloaded.
func (p *Pages) withdrawal(pc *pageContext) error {
	d := pc.readDraft(withdrawFields)
	if d.Page == "" {
		return pc.redirect(withdrawFields.page(pc.r))
	}
	return pc.showWithdrawal(http.StatusOK, d)
}

func (pc *pageContext) showWithdrawal(status int, d draft) error {
	page := withdrawalPage{Sandbox: pc.pages.Sandbox, Key: d.get("idempotency_key"), Typed: d.get("withdraw"), Amount: pc.amount(d.get("withdraw"))}
	var err error
	page.change, err = pc.afterWithdrawal(d)
	if code, status, ok := pc.codeOf(err); ok { // it was possible a moment before
		d.Page, d.Code = withdrawFields.page(pc.r), code
		return pc.back(withdrawFields, d, status, func(status int, d draft) error { return pc.showWallet(status, draft{}, d) })
	}
	if err != nil {
		return err
	}
	pc.Title, pc.Section, pc.Form = pc.T("withdraw.check"), "wallet", withdrawFields.name
	page.layout = pc.layout
	return pc.show(status, "withdrawal", page)
}

func (pc *pageContext) move(command func(context.Context, commands.Move) (commands.Result, error), typed string) (commands.Result, domain.Credits, error) {
	amount := pc.amount(typed)
	result, err := idempotent(pc, func(ctx context.Context, key string) (commands.Result, error) {
		return command(ctx, commands.Move{User: pc.Person.User, Amount: amount, Key: key})
	})
	return result, amount, err
}
