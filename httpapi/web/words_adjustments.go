package web

// englishAdjustments are the texts about adjustments that wait for another admin, in English.
var englishAdjustments = map[string]string{
	"proposals.title":         "Adjustments to approve",
	"proposals.text":          "An adjustment above the limit is made only after another admin approves it.",
	"proposals.none":          "Nothing to approve.",
	"proposal.title":          "Proposed adjustment",
	"proposal.by":             "Proposed by",
	"proposal.until":          "can be decided until",
	"proposal.user":           "The user’s page",
	"proposal.mine":           "You proposed this, so another admin has to approve it. You can withdraw it by rejecting it.",
	"proposal.reason":         "Why you approve or reject it",
	"proposal.reason.hint":    "Stays in the ledger for ever, under your name. Other admins and auditors see it, the user does not.",
	"proposal.approve":        "Approve",
	"proposal.reject":         "Reject",
	"proposal.state.approved": "Approved",
	"proposal.state.rejected": "Rejected",
	"proposal.state.expired":  "Expired without a decision",
	"proposal.decided":        "By",

	"admin.propose.text": "This is more than %s, so another admin has to approve it before the balance changes.",
	"admin.propose":      "Send for approval",
	"note.proposed":      "Sent for approval. The balance has not changed yet.",
	"note.rejected":      "The adjustment is rejected. The balance has not changed.",

	"refusal.own_proposal":            "Another admin has to approve what you proposed.",
	"refusal.proposal_ended":          "This adjustment was already decided, or its time is up.",
	"refusal.too_many_open_proposals": "Too many adjustments wait for approval. Decide about those first.",
	"refusal.admin_daily_limit":       "That is above the limit for your adjustments in one day. It starts again at midnight UTC.",
}

// russianAdjustments are the same in Russian.
var russianAdjustments = map[string]string{
	"proposals.title":         "Корректировки на одобрение",
	"proposals.text":          "Корректировка сверх лимита проводится, только когда её одобрит другой администратор.",
	"proposals.none":          "Одобрять пока нечего.",
	"proposal.title":          "Предложенная корректировка",
	"proposal.by":             "Предлагает",
	"proposal.until":          "решить можно до",
	"proposal.user":           "Страница пользователя",
	"proposal.mine":           "Корректировку предложили вы, поэтому одобрить её должен другой администратор. Отозвать её можно, отклонив.",
	"proposal.reason":         "Почему вы одобряете или отклоняете",
	"proposal.reason.hint":    "Останется в журнале навсегда, под вашим именем. Увидят администраторы и аудиторы, пользователь — нет.",
	"proposal.approve":        "Одобрить",
	"proposal.reject":         "Отклонить",
	"proposal.state.approved": "Одобрено",
	"proposal.state.rejected": "Отклонено",
	"proposal.state.expired":  "Срок вышел, решения не было",
	"proposal.decided":        "Решение принял",

	"admin.propose.text": "Это больше, чем %s, поэтому баланс изменится, только когда корректировку одобрит другой администратор.",
	"admin.propose":      "Отправить на одобрение",
	"note.proposed":      "Отправлено на одобрение. Баланс пока не изменился.",
	"note.rejected":      "Корректировка отклонена. Баланс не изменился.",

	"refusal.own_proposal":            "Одобрить ваше предложение должен другой администратор.",
	"refusal.proposal_ended":          "По этой корректировке уже есть решение, или её срок вышел.",
	"refusal.too_many_open_proposals": "Слишком много корректировок ждут одобрения. Сначала решите по ним.",
	"refusal.admin_daily_limit":       "Это больше вашего дневного лимита корректировок. Новый день начинается в полночь по UTC.",
}
