package movein

import (
	"slices"
	"strconv"

	"kassa/commands"
	"kassa/domain"
	"kassa/vault"
)

// person is a user of the old system, as the rules leave them.
type person struct {
	commands.Mover
	rows    []Row
	balance Amount // of the old wallet, where it is a number
	raised  Amount // from below zero to 0
	rounded Amount // up to a whole credit
	out     Kind   // why they are not moved; "" where they are
}

// judge applies the rules that need the old database alone.
func judge(users []User) []*person {
	people := make([]*person, 0, len(users))
	sameEmail := map[string][]*person{}
	for _, u := range users {
		p := &person{Mover: commands.Mover{OldID: strconv.FormatInt(u.ID, 10), Admin: u.Admin, PasswordHash: u.PasswordHash}}
		people = append(people, p)
		p.judgeBalance(u)
		p.judgeQuestions(u)
		if !vault.BcryptUsable(u.PasswordHash) {
			p.PasswordHash = ""
			p.note(u, PasswordUnusable, 0)
		}
		var err error
		if p.Email, err = domain.NormalizeEmail(u.Email); err != nil {
			p.note(u, EmailInvalid, p.balance)
			continue
		}
		sameEmail[p.Email] = append(sameEmail[p.Email], p)
	}
	for i, p := range people {
		if p.Email != "" && len(sameEmail[p.Email]) > 1 {
			p.note(users[i], EmailTwice, p.balance)
		}
	}
	return people
}

// note adds a row to the report.
func (p *person) note(u User, kind Kind, amount Amount) {
	p.rows = append(p.rows, Row{kind, u.ID, amount})
	if rules[kind].out && p.out == "" {
		p.out = kind
	}
}

// judgeBalance decides how many credits a person has. The balance counts, because that is
// what they saw and could spend. Bought are as many as the transactions show, and the rest of
// the balance is given: what nobody is known to have paid is not paid out.
func (p *person) judgeBalance(u User) {
	balance, ok := amountOf(u.Balance)
	switch {
	case !u.HasWallet:
		p.note(u, WalletMissing, 0)
	case !ok:
		p.note(u, BalanceUnusable, 0)
		return
	}
	p.balance = balance
	bought, sum := p.replay(u)
	if balance != sum {
		p.note(u, BalanceDiffers, balance-sum)
	}
	if balance < 0 {
		p.note(u, BalanceNegative, balance)
		p.raised, balance = -balance, 0
	}
	whole := balance.up()
	if p.rounded = inCredits(whole) - balance; p.rounded > 0 {
		p.note(u, BalanceFraction, balance)
	}
	p.Has.Bought = max(min(bought.up(), whole), 0)
	p.Has.Given = whole - p.Has.Bought
}

// replay gives how much of a balance is bought, by the transactions in their order, and their
// sum. The bonus, and what an admin gave, is given; deposits are bought. Charges and what an
// admin took go from given credits first, withdrawals from bought ones.
func (p *person) replay(u User) (bought, sum Amount) {
	var given Amount
	take := func(first, second *Amount, amount Amount) {
		part := min(amount, max(*first, 0))
		*first -= part
		*second = max(*second-(amount-part), 0)
	}
	for _, t := range u.Transactions {
		amount, ok := amountOf(t.Amount)
		if !ok {
			p.rows = append(p.rows, Row{TransactionUnusable, t.ID, 0})
			continue
		}
		if !slices.Contains([]string{"deposit", "withdrawal", "prediction", "admin_adjustment", "entry_bonus"}, t.Type) {
			p.rows = append(p.rows, Row{TransactionUnknown, t.ID, amount})
		}
		sum = sum.plus(amount)
		switch {
		case amount >= 0 && t.Type == "deposit":
			bought = bought.plus(amount)
		case amount >= 0:
			given = given.plus(amount)
		case t.Type == "withdrawal" || t.Type == "deposit":
			take(&bought, &given, -amount)
		default:
			take(&given, &bought, -amount)
		}
	}
	return bought, sum
}

// judgeQuestions names what was charged and not answered: the old system charged first, and
// gave nothing back when its worker failed.
func (p *person) judgeQuestions(u User) {
	charges := 0
	for _, t := range u.Transactions {
		if t.Type == "prediction" && t.Amount != 0 {
			charges++
		}
	}
	if lost := charges - u.Paid; lost > 0 {
		p.note(u, ChargeUnanswered, inCredits(domain.Credits(lost)))
	} else if lost < 0 {
		p.note(u, QuestionUncharged, inCredits(domain.Credits(-lost)))
	}
	if u.WithoutFilms > 0 {
		p.note(u, QuestionEmpty, inCredits(domain.Credits(u.WithoutFilms)))
	}
}
