package web

import (
	"context"
	"net/http"

	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/paths"
	"kassa/httpapi/requestlog"
)

const proposalsPath = "/web/admin/adjustments"

type proposalsPage struct {
	layout
	Proposals []proposalLine
}

// proposalLine is an adjustment that waits for another admin.
type proposalLine struct {
	domain.Proposal
	Address string // of the user; "" where it is erased
	By      string // the admin's address; "" where it is erased
}

// Take reports whether credits are to be taken.
func (p proposalLine) Take() bool { return p.Amount < 0 }

// Size is the amount without its sign.
func (p proposalLine) Size() domain.Credits { return max(p.Amount, -p.Amount) }

func (pc *pageContext) proposalLine(p domain.Proposal) (line proposalLine, err error) {
	line.Proposal = p
	if line.Address, err = pc.addressOf(p.User); err == nil {
		line.By, err = pc.addressOf(p.ProposedBy)
	}
	return line, err
}

// addressOf is a user's e-mail, "" where it is erased.
func (pc *pageContext) addressOf(u domain.UserID) (string, error) {
	user, _, err := pc.pages.Views.User(pc.r.Context(), u, pc.minPosition)
	if err != nil {
		return "", err
	}
	return pc.emailOf(u, user.Email)
}

// proposals lists what waits for another admin, as the log has it.
func (p *Pages) proposals(pc *pageContext) error {
	list, err := p.Commands.Proposals(pc.r.Context())
	if err != nil {
		return err
	}
	page := proposalsPage{}
	for _, one := range list {
		line, err := pc.proposalLine(one)
		if err != nil {
			return err
		}
		page.Proposals = append(page.Proposals, line)
	}
	pc.Title, pc.Section = pc.T("proposals.title"), "admin"
	page.layout = pc.layout
	return pc.show(http.StatusOK, "proposals", page)
}

type proposalPage struct {
	layout
	change
	proposalLine
	Who     userLine
	Decider string // the address of the admin who decided
	Reason  string // as it was typed
	Errors  fieldErrors
	Fault   fieldErrors // why it cannot be approved at present
}

// Open reports whether it waits.
func (p proposalPage) Open() bool { return p.State == domain.ProposalOpen }

// Mine reports whether the admin proposed it.
func (p proposalPage) Mine() bool { return p.ProposedBy == p.Person.User }

// Own reports whether it is of the admin's own balance, which others decide about.
func (p proposalPage) Own() bool { return p.User == p.Person.User }

func (p *Pages) proposal(pc *pageContext) error {
	return pc.showProposal(http.StatusOK, pc.takeDraft(decideFields))
}

// proposalIn is the proposal whose id is in the page's path.
func (pc *pageContext) proposalIn() (domain.Proposal, error) {
	id, ok := paths.ID[domain.ProposalID](pc.r)
	if !ok {
		return domain.Proposal{}, errNoPage
	}
	p, err := pc.pages.Commands.Proposal(pc.r.Context(), id)
	if domain.RefusalIn(err) != nil {
		err = errNoPage
	}
	requestlog.Of(pc.r.Context()).Subject = p.User
	return p, err
}

func (pc *pageContext) showProposal(status int, d draft) error {
	proposal, err := pc.proposalIn()
	if err != nil {
		return err
	}
	page := proposalPage{Reason: d.get("reason"), Errors: pc.fieldErrorsOf(d.Code, 0)}
	if page.proposalLine, err = pc.proposalLine(proposal); err != nil {
		return err
	}
	user, _, err := pc.pages.Views.User(pc.r.Context(), proposal.User, pc.minPosition)
	if err != nil {
		return err
	}
	page.Who = userLine{User: user, Address: page.Address}
	if proposal.DecidedBy != "" {
		if page.Decider, err = pc.addressOf(proposal.DecidedBy); err != nil {
			return err
		}
	}
	if page.Open() {
		if err := pc.previewProposal(&page); err != nil {
			return err
		}
	}
	pc.Title, pc.Section, pc.Form = pc.T("proposal.title"), "admin", decideFields.name
	page.layout = pc.layout
	return pc.show(status, "proposal", page)
}

// previewProposal shows what an approval would change, or why it would be refused.
func (pc *pageContext) previewProposal(page *proposalPage) (err error) {
	if page.User == pc.Person.User {
		return nil
	}
	page.change, err = pc.preview(page.User, page.Correction)
	if code, _, ok := pc.codeOf(err); ok {
		account, failed := pc.pages.Commands.Account(pc.r.Context(), page.User)
		page.Fault = pc.fieldErrorsOf(code, account.Available)
		return failed
	}
	return err
}

// decideProposal approves or rejects, by the button that was pressed.
func (p *Pages) decideProposal(pc *pageContext) error {
	proposal, err := pc.proposalIn()
	if err != nil {
		return err
	}
	if err := pc.giveCode(); err != nil {
		return pc.refused(decideFields, err, pc.showProposal)
	}
	decide, done := p.Commands.Reject, flash{kind: flashRejected}
	if pc.r.PostForm.Has("approve") {
		decide, done = p.Commands.Approve, flash{kind: flashAdjust, amount: proposal.Amount}
	}
	result, err := idempotent(pc, func(ctx context.Context, key string) (commands.Result, error) {
		return decide(ctx, commands.Decide{Admin: pc.Person.User, Proposal: proposal.ID, Reason: pc.typed("reason"), Key: key})
	})
	if err != nil {
		return pc.refused(decideFields, err, pc.showProposal)
	}
	done.position = result.Position
	return pc.redirectAfter(proposalsPath+"/"+string(proposal.ID), done)
}
