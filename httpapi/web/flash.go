package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"kassa/domain"
	"kassa/eventstore"
)

// flash is what a command passes to the next page: the position that the views must
// reach, and what was done. It is a cookie for one page.
type flash struct {
	kind     flashKind
	position eventstore.Position
	amount   domain.Credits
}

type flashKind string

const (
	flashAsked     flashKind = "asked" // has no sentence: the page itself shows it
	flashSignedIn  flashKind = "signin"
	flashWelcome   flashKind = "welcome"
	flashDeposit   flashKind = "deposit"
	flashWithdraw  flashKind = "withdraw"
	flashAdjust    flashKind = "adjust"
	flashSignOut   flashKind = "signout"
	flashRefund    flashKind = "refund"
	flashFound     flashKind = "found"
	flashPassword  flashKind = "password"
	flashReset     flashKind = "reset"
	flashForgot    flashKind = "forgot"
	flashSession   flashKind = "session"
	flashSessions  flashKind = "sessions"
	flashToken     flashKind = "token"
	flashFactor    flashKind = "factor"
	flashNoFactor  flashKind = "nofactor"
	flashPasskey   flashKind = "passkey"
	flashNoPasskey flashKind = "nopasskey"
	flashNoCopy    flashKind = "nocopy" // a passkey that may have been copied
	flashSlow      flashKind = "slow"
	flashErasure   flashKind = "erasure"
	flashKept      flashKind = "kept"
	flashOrdered   flashKind = "ordered"
	flashKeptOther flashKind = "keptother"
	flashAccess    flashKind = "access"
	flashEndedAll  flashKind = "ended_all"
	flashProposed  flashKind = "proposed"
	flashRejected  flashKind = "rejected"

	flashFilmSaved   flashKind = "film_saved"
	flashFilmSame    flashKind = "film_same"
	flashFilmRemoved flashKind = "film_removed"
	flashFilmsTaken  flashKind = "films_taken"
	flashUndone      flashKind = "undone"
	flashFilmsBehind flashKind = "films_behind"
	flashSynonyms    flashKind = "synonyms"
	flashNoSynonyms  flashKind = "no_synonyms"
)

const flashCookie = "kassa_note"

func (pc *pageContext) setFlash(n flash) {
	pc.setCookie(flashCookie, fmt.Sprintf("%s.%d.%d", n.kind, n.position, n.amount), "/web", 120)
}

// takeFlash reads the flash of a GET, whose page clears it.
func (pc *pageContext) takeFlash() (flash, bool) {
	c, err := pc.r.Cookie(flashCookie)
	if err != nil || pc.r.Method != http.MethodGet {
		return flash{}, false
	}
	pc.spend(flashCookie, "/web")
	parts := strings.Split(c.Value, ".")
	if len(parts) != 3 {
		return flash{}, false
	}
	position, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return flash{}, false
	}
	amount, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return flash{}, false
	}
	return flash{flashKind(parts[0]), eventstore.Position(position), domain.Credits(amount)}, true
}

// sentence is the text that the page shows.
func (n flash) sentence(l *Language) string {
	switch n.kind {
	case flashWelcome:
		if n.amount > 0 {
			return l.T("note.welcome", l.Credits(n.amount))
		}
		return l.T("note.opened")
	case flashDeposit:
		return l.T("note.deposit", l.Credits(n.amount))
	case flashWithdraw:
		return l.T("note.withdraw", l.Credits(n.amount))
	case flashAdjust:
		return l.T("note.adjust", l.Signed(n.amount))
	case flashRefund:
		return l.T("note.refund", l.Credits(n.amount))
	case flashFound:
		return l.T("note.found")
	case flashSignOut:
		return l.T("note.signout")
	case flashPassword:
		return l.T("note.password")
	case flashReset:
		return l.T("note.reset")
	case flashForgot:
		return l.T("note.forgot")
	case flashSession:
		return l.T("note.session")
	case flashSessions:
		return l.T("note.sessions")
	case flashToken:
		return l.T("note.token")
	case flashFactor:
		return l.T("note.factor")
	case flashNoFactor:
		return l.T("note.nofactor")
	case flashPasskey:
		return l.T("note.passkey")
	case flashNoPasskey:
		return l.T("note.nopasskey")
	case flashNoCopy:
		return l.T("note.nocopy")
	case flashSlow:
		return l.T("note.slow")
	case flashErasure:
		return l.T("note.erasure")
	case flashKept:
		return l.T("note.kept")
	case flashOrdered:
		return l.T("note.ordered")
	case flashKeptOther:
		return l.T("note.keptother")
	case flashAccess:
		if n.position == 0 {
			return l.T("note.unchanged")
		}
		return l.T("note.access")
	case flashEndedAll:
		return l.T("note.ended_all")
	case flashProposed:
		return l.T("note.proposed")
	case flashRejected:
		return l.T("note.rejected")
	case flashFilmSaved, flashFilmSame, flashFilmRemoved, flashFilmsTaken, flashUndone, flashFilmsBehind, flashSynonyms, flashNoSynonyms:
		return l.T("note." + string(n.kind))
	}
	return ""
}
