package web

// englishAccess are the texts about roles and locks, in English.
var englishAccess = map[string]string{
	"access.title":          "Access and roles",
	"access.text":           "A locked user is signed out everywhere and cannot sign in; open questions are still answered, and nothing of the wallet is lost. An auditor reads what admins read of the ledger and changes nothing.",
	"access.locked.text":    "This account is locked.",
	"access.lock":           "Lock the account",
	"access.unlock":         "Unlock the account",
	"access.grant.auditor":  "Make an auditor",
	"access.revoke.auditor": "End the auditor’s role",
	"access.grant.admin":    "Make an admin",
	"access.revoke.admin":   "End the admin’s role",
	"access.sessions.text":  "If a device was lost: all sessions end, and the user signs in again.",
	"access.sessions":       "End all sessions",
	"access.auditor":        "auditor",
	"access.locked":         "locked",

	"note.access":    "Done. It is in the ledger under your name.",
	"note.unchanged": "Nothing was changed. This is how it is now.",
	"note.ended_all": "All sessions of this user have ended.",

	"refusal.own_role":       "Your own roles are changed by another admin.",
	"refusal.own_lock":       "You cannot lock your own account.",
	"refusal.last_admin":     "This is the last admin. Make another one first.",
	"refusal.account_locked": "This account is locked. Ask the operator of this service.",
}

// russianAccess are the same texts in Russian.
var russianAccess = map[string]string{
	"access.title":          "Доступ и роли",
	"access.text":           "Заблокированный пользователь выходит со всех устройств и не может войти; открытые вопросы получат ответ, и в кошельке ничего не пропадёт. Аудитор видит в журнале то же, что администратор, и ничего не меняет.",
	"access.locked.text":    "Эта учётная запись заблокирована.",
	"access.lock":           "Заблокировать",
	"access.unlock":         "Разблокировать",
	"access.grant.auditor":  "Назначить аудитором",
	"access.revoke.auditor": "Снять роль аудитора",
	"access.grant.admin":    "Назначить администратором",
	"access.revoke.admin":   "Снять роль администратора",
	"access.sessions.text":  "Если потеряно устройство: все сеансы завершатся, и пользователь войдёт заново.",
	"access.sessions":       "Завершить все сеансы",
	"access.auditor":        "аудитор",
	"access.locked":         "заблокирован",

	"note.access":    "Готово. Это записано в журнал под вашим именем.",
	"note.unchanged": "Ничего не изменилось. Здесь показано, как есть сейчас.",
	"note.ended_all": "Все сеансы этого пользователя завершены.",

	"refusal.own_role":       "Ваши роли меняет другой администратор.",
	"refusal.own_lock":       "Свою учётную запись заблокировать нельзя.",
	"refusal.last_admin":     "Это последний администратор. Сначала назначьте другого.",
	"refusal.account_locked": "Эта учётная запись заблокирована. Обратитесь к владельцу сервиса.",
}
