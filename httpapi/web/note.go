package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"kassa/domain"
	"kassa/eventstore"
)

// note is what a command tells the page after it: up to which position the views
// must have come, and what was done. It travels in a cookie for one page.
type note struct {
	kind     noteKind
	position eventstore.Position
	amount   domain.Credits
}

type noteKind string

const (
	noteAsked    noteKind = "asked" // has no sentence: the page itself says it
	noteSignedIn noteKind = "signin"
	noteWelcome  noteKind = "welcome"
	noteDeposit  noteKind = "deposit"
	noteWithdraw noteKind = "withdraw"
	noteAdjust   noteKind = "adjust"
	noteSignOut  noteKind = "signout"
)

const noteCookie = "kassa_note"

func (v *visit) leaveNote(n note) {
	v.setCookie(noteCookie, fmt.Sprintf("%s.%d.%d", n.kind, n.position, n.amount), "/web", 120)
}

// takeNote reads the note and, where a page is about to be shown, clears it.
func (v *visit) takeNote() (note, bool) {
	c, err := v.r.Cookie(noteCookie)
	if err != nil || v.r.Method != http.MethodGet {
		return note{}, false
	}
	v.setCookie(noteCookie, "", "/web", -1)
	parts := strings.Split(c.Value, ".")
	if len(parts) != 3 {
		return note{}, false
	}
	position, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return note{}, false
	}
	amount, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return note{}, false
	}
	return note{noteKind(parts[0]), eventstore.Position(position), domain.Credits(amount)}, true
}

// sentence is what people read of it.
func (n note) sentence(l *Language) string {
	switch n.kind {
	case noteWelcome:
		if n.amount > 0 {
			return l.T("note.welcome", l.Credits(n.amount))
		}
		return l.T("note.opened")
	case noteDeposit:
		return l.T("note.deposit", l.Credits(n.amount))
	case noteWithdraw:
		return l.T("note.withdraw", l.Credits(n.amount))
	case noteAdjust:
		return l.T("note.adjust", l.Signed(n.amount))
	case noteSignOut:
		return l.T("note.signout")
	}
	return ""
}
