package audit

// words are the texts of printed pages, by language.
var words = map[string]map[string]string{
	"en": {
		"language": "en", "books": "The books of", "statement": "Statement of account", "account": "Account", "period": "Period", "zone": "time zone",
		"so_far": "The month is not over: these are the figures so far.", "positions": "Journal entries", "root": "Root of the log at its end",
		"owed": "Bought credits, owed to customers", "gifts": "Given credits, never paid out", "line": "Line", "events": "Entries", "credits": "Credits", "opening": "Opening balance",
		"closing": "Closing balance", "revaluation": "Change of the price of a credit", "results": "Results", "revenue": "Revenue: answers paid with bought credits, less refunds",
		"breakage": "Breakage: bought credits that erased customers left behind", "bonus_cost": "Cost of gifts: answers paid with given credits, less refunds",
		"adjustments": "Adjustments by admin and reason", "none": "None.", "admin": "Admin", "reason": "Reason", "count": "How often", "bought": "Bought", "given": "Given",
		"trial": "Trial balance at the end", "amount": "Amount", "sign": "With the signs of the log: what customers have is above zero.",
		"date": "Date", "entry": "Entry", "what": "What", "balance": "Balance", "held": "Of these, held for answers that are not there yet",
		"money_note": "Money at the price of a credit of each entry's time.", "keep": "Every entry can be proved: download its receipt on the page of transactions.",
		"BonusGranted": "Welcome bonus", "Deposited": "Deposits", "Withdrawn": "Withdrawals", "PredictionCompleted": "Answers", "PredictionRefunded": "Refunded answers",
		"BalanceAdjusted": "Adjustments", "CreditsForfeited": "Left behind at erasure", "BalanceMovedIn": "Moved in from the replaced system",
		"one BonusGranted": "Welcome bonus", "one Deposited": "Deposit", "one Withdrawn": "Withdrawal", "one PredictionCompleted": "Answer", "one PredictionRefunded": "Refund of an answer", "one BalanceAdjusted": "Adjustment", "one CreditsForfeited": "Left behind at erasure", "one BalanceMovedIn": "Moved in from the replaced system",
	},
	"ru": {
		"language": "ru", "books": "Итоги за", "statement": "Выписка по счёту", "account": "Счёт", "period": "Период", "zone": "часовой пояс",
		"so_far": "Месяц ещё не закончился: это промежуточные итоги.", "positions": "Записи журнала", "root": "Корень журнала на конец периода",
		"owed": "Купленные кредиты: долг перед клиентами", "gifts": "Подаренные кредиты: выводу не подлежат", "line": "Статья", "events": "Записей", "credits": "Кредиты", "opening": "Остаток на начало",
		"closing": "Остаток на конец", "revaluation": "Изменение цены кредита", "results": "Результаты", "revenue": "Выручка: ответы за купленные кредиты минус возвраты",
		"breakage": "Невостребованное: купленные кредиты удалённых клиентов", "bonus_cost": "Стоимость подарков: ответы за подаренные кредиты минус возвраты",
		"adjustments": "Корректировки по администраторам и причинам", "none": "Нет.", "admin": "Администратор", "reason": "Причина", "count": "Сколько раз", "bought": "Купленные", "given": "Подаренные",
		"trial": "Оборотный баланс на конец периода", "amount": "Сумма", "sign": "Знаки — как в журнале: средства клиентов больше нуля.",
		"date": "Дата", "entry": "Запись", "what": "Операция", "balance": "Остаток", "held": "Из них удержано за ответы, которых ещё нет",
		"money_note": "Деньги — по цене кредита на момент каждой записи.", "keep": "Каждую запись можно проверить: скачайте квитанцию на странице операций.",
		"BonusGranted": "Приветственный бонус", "Deposited": "Пополнения", "Withdrawn": "Выводы", "PredictionCompleted": "Ответы", "PredictionRefunded": "Возвраты за ответы",
		"BalanceAdjusted": "Корректировки", "CreditsForfeited": "Оставлено при удалении", "BalanceMovedIn": "Перенесено из прежней системы",
		"one BonusGranted": "Приветственный бонус", "one Deposited": "Пополнение", "one Withdrawn": "Вывод", "one PredictionCompleted": "Ответ", "one PredictionRefunded": "Возврат за ответ", "one BalanceAdjusted": "Корректировка", "one CreditsForfeited": "Оставлено при удалении", "one BalanceMovedIn": "Перенесено из прежней системы",
	},
}
