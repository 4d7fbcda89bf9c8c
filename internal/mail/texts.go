package mail

type resetText struct{ language, subject, body string }

// resetTexts are the mails with a link. The link has a line of its own, so that no program
// takes a full stop for its end.
var resetTexts = map[string]resetText{
	"en": {"en", "A new password for Kassa", `Hello,

Someone, most likely you, asked for a new password for your Kassa account.
To set one, open this link within 30 minutes:

%s

The link works once. If you asked several times, only the newest link works.
You will be signed out on all devices.

If it was not you, ignore this email: your password stays as it is.
`},
	"ru": {"ru", "Новый пароль для «Кассы»", `Здравствуйте!

Кто-то (скорее всего, вы) запросил новый пароль для вашей учётной записи
в «Кассе». Чтобы задать его, откройте ссылку в течение 30 минут:

%s

Ссылка сработает один раз. Если вы запрашивали её несколько раз, действует
только последняя. Сеансы на всех устройствах завершатся.

Если это были не вы, ничего не делайте: пароль останется прежним.
`},
}
