// Package problem writes error answers: RFC 9457 problem details, with one table from
// code to status for the API and the pages alike.
package problem

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kassa/catalog"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
	"kassa/schema"
	"kassa/vault"
)

// The refusals of HTTP, in addition to those of domain.
const (
	AuthenticationRequired domain.Code = "authentication_required"
	CrossOrigin            domain.Code = "cross_origin"
	UnknownHost            domain.Code = "unknown_host"
	NotFound               domain.Code = "not_found"
	BadRequest             domain.Code = "bad_request"      // written by nginx
	HeaderTooLarge         domain.Code = "header_too_large" // written by nginx
	PredictionNotFound     domain.Code = "prediction_not_found"
	SessionNotFound        domain.Code = "session_not_found"
	TokenNotFound          domain.Code = "token_not_found"
	TooManyTokens          domain.Code = "too_many_tokens"
	InsufficientScope      domain.Code = "insufficient_scope"
	SessionRequired        domain.Code = "session_required"
	InvalidName            domain.Code = "invalid_name"
	InvalidScope           domain.Code = "invalid_scope"
	InvalidExpiry          domain.Code = "invalid_expiry"
	WrongPassword          domain.Code = "wrong_password"
	SecondFactorRequired   domain.Code = "second_factor_required"
	WrongCode              domain.Code = "wrong_code"
	CodeRequired           domain.Code = "code_required"
	FactorRequired         domain.Code = "factor_required"
	FactorActive           domain.Code = "factor_active"
	NoFactor               domain.Code = "no_factor"
	WrongPasskey           domain.Code = "wrong_passkey"
	PasskeyCopied          domain.Code = "passkey_copied"
	NoPasskey              domain.Code = "no_passkey"
	PasskeyNotFound        domain.Code = "passkey_not_found"
	TooManyPasskeys        domain.Code = "too_many_passkeys"
	PasskeysUnavailable    domain.Code = "passkeys_unavailable"
	AuditorRequired        domain.Code = "auditor_required"
	InvalidResetToken      domain.Code = "invalid_reset_token"
	InvalidLanguage        domain.Code = "invalid_language"
	MailOff                domain.Code = "mail_off"
	MethodNotAllowed       domain.Code = "method_not_allowed"
	BodyTooLarge           domain.Code = "body_too_large"
	UnsupportedMedia       domain.Code = "unsupported_media_type"
	InvalidJSON            domain.Code = "invalid_json"
	UnknownField           domain.Code = "unknown_field"
	InvalidField           domain.Code = "invalid_field"
	InvalidCursor          domain.Code = "invalid_cursor"
	InvalidFilter          domain.Code = "invalid_filter"
	ConditionNotRead       domain.Code = "condition_not_read" // of filters, out of the text
	FilmNotFound           domain.Code = "film_not_found"
	FilmChanged            domain.Code = "film_changed"   // since it was read
	FilmShipped            domain.Code = "film_shipped"   // with the program
	InvalidFilm            domain.Code = "invalid_film"   // by the rules of the catalogue
	InvalidFile            domain.Code = "invalid_file"   // of films
	TooManyFilms           domain.Code = "too_many_films" // for one edition
	NotUndoable            domain.Code = "not_undoable"   // of an edition
	UploadNotFound         domain.Code = "upload_not_found"
	SynonymsNotFound       domain.Code = "synonyms_not_found"
	InvalidSynonyms        domain.Code = "invalid_synonyms"
	TooManySynonyms        domain.Code = "too_many_synonyms"
	InvalidPosition        domain.Code = "invalid_position"
	InvalidMoment          domain.Code = "invalid_moment"  // of the log: a position, a time, or a date
	InvalidPeriod          domain.Code = "invalid_period"  // a month of a time zone, or some days
	PeriodTooLong          domain.Code = "period_too_long" // for a statement
	Archived               domain.Code = "archived"
	InvalidQuery           domain.Code = "invalid_query"
	UnknownParameter       domain.Code = "unknown_parameter"
	RepeatedHeader         domain.Code = "repeated_header"
	RateLimited            domain.Code = "rate_limited"
	PositionNotReached     domain.Code = "position_not_reached"
	NotReady               domain.Code = "not_ready"
	StorageFull            domain.Code = "storage_full"
	Unavailable            domain.Code = "unavailable"
	Internal               domain.Code = "internal_error"
)

// statuses maps each code to its status. It is the only such table.
var statuses = map[domain.Code]int{
	domain.InvalidCredentials: http.StatusUnauthorized,
	AuthenticationRequired:    http.StatusUnauthorized,
	SecondFactorRequired:      http.StatusUnauthorized,

	domain.InsufficientFunds: http.StatusPaymentRequired,
	domain.PaymentDeclined:   http.StatusPaymentRequired,

	domain.NotAdmin:      http.StatusForbidden,
	domain.OwnAdjustment: http.StatusForbidden,
	domain.OwnErasure:    http.StatusForbidden,
	domain.OwnRole:       http.StatusForbidden,
	domain.OwnLock:       http.StatusForbidden,
	domain.Locked:        http.StatusForbidden,
	AuditorRequired:      http.StatusForbidden,
	domain.OwnProposal:   http.StatusForbidden,
	CrossOrigin:          http.StatusForbidden,
	WrongPassword:        http.StatusForbidden,
	InsufficientScope:    http.StatusForbidden,
	SessionRequired:      http.StatusForbidden,
	WrongCode:            http.StatusForbidden,
	CodeRequired:         http.StatusForbidden,
	FactorRequired:       http.StatusForbidden,
	WrongPasskey:         http.StatusForbidden,
	PasskeyCopied:        http.StatusForbidden,

	domain.AccountNotFound:  http.StatusNotFound,
	domain.ProposalNotFound: http.StatusNotFound,
	PredictionNotFound:      http.StatusNotFound,
	SessionNotFound:         http.StatusNotFound,
	TokenNotFound:           http.StatusNotFound,
	PasskeyNotFound:         http.StatusNotFound,
	NotFound:                http.StatusNotFound,
	MailOff:                 http.StatusNotFound,
	Archived:                http.StatusNotFound,
	FilmNotFound:            http.StatusNotFound,
	UploadNotFound:          http.StatusNotFound,
	SynonymsNotFound:        http.StatusNotFound,

	BadRequest:       http.StatusBadRequest,
	HeaderTooLarge:   http.StatusRequestHeaderFieldsTooLarge,
	MethodNotAllowed: http.StatusMethodNotAllowed,

	domain.EmailTaken:         http.StatusConflict,
	domain.AccountExists:      http.StatusConflict,
	domain.PredictionExists:   http.StatusConflict,
	domain.BalanceLimit:       http.StatusConflict,
	domain.TooManyOpen:        http.StatusConflict,
	domain.AlreadyRefunded:    http.StatusConflict,
	domain.NotRefundable:      http.StatusConflict,
	domain.RefundsOff:         http.StatusConflict,
	domain.RefundLimit:        http.StatusConflict,
	domain.AccountTooNew:      http.StatusConflict,
	domain.ErasurePending:     http.StatusConflict,
	domain.NoErasure:          http.StatusConflict,
	domain.LastAdmin:          http.StatusConflict,
	FilmChanged:               http.StatusConflict,
	FilmShipped:               http.StatusConflict,
	NotUndoable:               http.StatusConflict,
	TooManySynonyms:           http.StatusConflict,
	FactorActive:              http.StatusConflict,
	NoFactor:                  http.StatusConflict,
	NoPasskey:                 http.StatusConflict,
	TooManyPasskeys:           http.StatusConflict,
	PasskeysUnavailable:       http.StatusConflict,
	TooManyTokens:             http.StatusConflict,
	domain.ProposalExists:     http.StatusConflict,
	domain.ProposalEnded:      http.StatusConflict,
	domain.TooManyProposals:   http.StatusConflict,
	domain.ApprovalRequired:   http.StatusConflict,
	domain.KeyInProgress:      http.StatusConflict,
	domain.Busy:               http.StatusConflict,
	domain.ConversationClosed: http.StatusConflict,
	domain.RefinementsOff:     http.StatusConflict,
	domain.RefinementLimit:    http.StatusConflict,
	domain.RefinementPending:  http.StatusConflict,
	domain.NewerAnswer:        http.StatusConflict,

	BodyTooLarge:     http.StatusRequestEntityTooLarge,
	UnsupportedMedia: http.StatusUnsupportedMediaType,
	UnknownHost:      http.StatusMisdirectedRequest,

	domain.InvalidAmount:    http.StatusUnprocessableEntity,
	domain.InvalidEmail:     http.StatusUnprocessableEntity,
	domain.InvalidText:      http.StatusUnprocessableEntity,
	domain.InvalidLimit:     http.StatusUnprocessableEntity,
	domain.InvalidMovies:    http.StatusUnprocessableEntity,
	domain.InvalidKind:      http.StatusUnprocessableEntity,
	domain.InvalidCredits:   http.StatusUnprocessableEntity,
	domain.InvalidReason:    http.StatusUnprocessableEntity,
	domain.InvalidRole:      http.StatusUnprocessableEntity,
	domain.InvalidReference: http.StatusUnprocessableEntity,
	domain.InvalidUser:      http.StatusUnprocessableEntity,
	domain.InvalidKey:       http.StatusUnprocessableEntity,
	domain.WeakPassword:     http.StatusUnprocessableEntity,
	domain.KeyReused:        http.StatusUnprocessableEntity,
	InvalidJSON:             http.StatusUnprocessableEntity,
	UnknownField:            http.StatusUnprocessableEntity,
	InvalidField:            http.StatusUnprocessableEntity,
	InvalidCursor:           http.StatusUnprocessableEntity,
	InvalidFilter:           http.StatusUnprocessableEntity,
	ConditionNotRead:        http.StatusUnprocessableEntity,
	InvalidFilm:             http.StatusUnprocessableEntity,
	InvalidFile:             http.StatusUnprocessableEntity,
	TooManyFilms:            http.StatusUnprocessableEntity,
	InvalidSynonyms:         http.StatusUnprocessableEntity,
	InvalidPosition:         http.StatusUnprocessableEntity,
	InvalidMoment:           http.StatusUnprocessableEntity,
	InvalidPeriod:           http.StatusUnprocessableEntity,
	PeriodTooLong:           http.StatusUnprocessableEntity,
	InvalidLanguage:         http.StatusUnprocessableEntity,
	InvalidName:             http.StatusUnprocessableEntity,
	InvalidScope:            http.StatusUnprocessableEntity,
	InvalidExpiry:           http.StatusUnprocessableEntity,
	InvalidResetToken:       http.StatusUnprocessableEntity,
	InvalidQuery:            http.StatusUnprocessableEntity,
	UnknownParameter:        http.StatusUnprocessableEntity,
	RepeatedHeader:          http.StatusUnprocessableEntity,

	RateLimited:            http.StatusTooManyRequests,
	domain.TooManyFree:     http.StatusTooManyRequests,
	domain.AdminDailyLimit: http.StatusTooManyRequests,

	Internal: http.StatusInternalServerError,

	PositionNotReached: http.StatusServiceUnavailable,
	NotReady:           http.StatusServiceUnavailable,
	StorageFull:        http.StatusServiceUnavailable,
	Unavailable:        http.StatusServiceUnavailable,
}

// Status returns the status of a code; 500 for a code that is no refusal.
func Status(code domain.Code) int {
	return cmp.Or(statuses[code], http.StatusInternalServerError)
}

// Known reports whether the table has the code.
func Known(code domain.Code) bool { return statuses[code] != 0 }

// TooMany is a refusal of a rate limit.
type TooMany struct{ After time.Duration }

func (e *TooMany) Error() string { return "too many requests, wait " + e.After.String() }

// Seconds is After for a Retry-After header.
func (e *TooMany) Seconds() int { return seconds(e.After) }

// seconds rounds up to whole seconds, at least one.
func seconds(wait time.Duration) int { return max(1, int(math.Ceil(wait.Seconds()))) }

// Details is the body of an error answer.
type Details struct {
	Type     string      `json:"type"`
	Title    string      `json:"title"`
	Status   int         `json:"status"`
	Detail   string      `json:"detail"`
	Code     domain.Code `json:"code"`
	Instance string      `json:"instance"` // the request id, as in the log
}

// RequestID is the header with the request id, which is also in the log.
const RequestID = "X-Request-Id"

// retryShortly is the Retry-After of temporary failures, in seconds.
const retryShortly = "1"

// Writer writes error answers. The zero value logs to slog's default.
type Writer struct {
	Log *slog.Logger
	// Broken is called with an error that means that the ledger itself is broken: the
	// process must stop. It may return; the request is then answered 500.
	Broken func(error)
}

// Refuse writes the error: a refusal by its code, any other error without its text,
// which is only logged.
func (p *Writer) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	code, detail := p.Explain(w, r, err)
	d := Details{Type: "urn:kassa:problem:" + string(code), Title: http.StatusText(Status(code)), Status: Status(code),
		Detail: detail, Code: code, Instance: "urn:kassa:request:" + w.Header().Get(RequestID)}
	header, refusal := w.Header(), domain.RefusalIn(err)
	switch many, ok := errors.AsType[*TooMany](err); {
	case ok:
		header.Set("Retry-After", strconv.Itoa(many.Seconds()))
	case refusal != nil && refusal.RetryAfter > 0:
		header.Set("Retry-After", strconv.Itoa(seconds(refusal.RetryAfter)))
	case d.Status == http.StatusServiceUnavailable, code == domain.Busy, code == domain.KeyInProgress:
		header.Set("Retry-After", retryShortly)
	case d.Status == http.StatusUnauthorized:
		header.Set("WWW-Authenticate", challenge(r))
	}
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	body, err := json.Marshal(d)
	if err != nil {
		panic(err) // a struct of strings always encodes
	}
	w.WriteHeader(d.Status)
	_, _ = w.Write(append(body, '\n')) // a failed write means that the client has left
}

// challenge asks for Basic credentials or for another token, except when a script in a browser sent the
// request: the browser would open its own dialog over the page, which shows the error
// itself.
func challenge(r *http.Request) string {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return `Session realm="Kassa"`
	}
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return `Bearer realm="Kassa", error="invalid_token"`
	}
	return `Basic realm="Kassa", charset="UTF-8"`
}

// Explain returns an error's code and sentence, and logs it if it is not a refusal. The
// pages use it too, and write their own sentence for the code.
func (p *Writer) Explain(w http.ResponseWriter, r *http.Request, err error) (domain.Code, string) {
	if refusal := domain.RefusalIn(err); refusal != nil {
		return refusal.Code, refusal.Detail
	}
	if many, ok := errors.AsType[*TooMany](err); ok {
		return RateLimited, "too many requests, try again in " + strconv.Itoa(many.Seconds()) + " s"
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return BodyTooLarge, "the body may have at most " + strconv.FormatInt(large.Limit, 10) + " bytes"
	}
	id := w.Header().Get(RequestID)
	log := p.Log
	if log == nil {
		log = slog.Default()
	}
	broken := errors.Is(err, domain.ErrBroken) || errors.Is(err, eventstore.ErrCorrupt)
	if broken {
		log.ErrorContext(r.Context(), "the ledger is broken", "request", id, "error", err)
		if p.Broken != nil {
			p.Broken(err)
		}
	}
	switch {
	// An unknown outcome first: any other error in the chain came after it, and would
	// read as if nothing had been done.
	case errors.Is(err, eventstore.ErrUnknown):
		log.ErrorContext(r.Context(), "the outcome of a request is unknown", "request", id, "error", err)
		return Unavailable, "it is not known whether this was done; the same request with the same Idempotency-Key finds out"
	case broken:
		return Internal, ourFault
	case errors.Is(r.Context().Err(), context.Canceled):
		return Unavailable, "the request was given up" // the client has left
	case errors.Is(err, vault.ErrUnknown), errors.Is(err, catalog.ErrUnknown):
		log.ErrorContext(r.Context(), "the outcome of a request is unknown", "request", id, "error", err)
		return Unavailable, "it is not known whether this was done; look before it is sent again"
	case errors.Is(err, eventstore.ErrDoneBefore):
		return domain.KeyReused, "the request with this Idempotency-Key was done before, and its answer is archived; nothing was done now"
	case errors.Is(err, projections.ErrBehind):
		return PositionNotReached, "what is shown is behind what was written, try again"
	case errors.Is(err, eventstore.ErrClosed):
		return Unavailable, "Kassa is shutting down, try again"
	case errors.Is(err, vault.ErrBusy): // not logged: a flood of requests would fill the log
		return Unavailable, "too many passwords are being checked; nothing was done, try again in a moment"
	case errors.Is(err, context.DeadlineExceeded), r.Context().Err() != nil:
		log.WarnContext(r.Context(), "request ran out of time", "request", id, "error", err)
		return Unavailable, "this took too long, try again"
	case errors.Is(err, eventstore.ErrNewer):
		log.ErrorContext(r.Context(), "this program is too old for the ledger", "request", id, "error", err)
		return NotReady, "this process is too old to read what newer ones have written; nothing was done, try again"
	}
	if code, detail := databaseFault(err); code != "" {
		log.WarnContext(r.Context(), "the database failed a request", "request", id, "error", err)
		return code, detail
	}
	log.ErrorContext(r.Context(), "request failed", "request", id, "error", err)
	return Internal, ourFault
}

// Doubtful reports whether an error means that something may have been done.
func Doubtful(err error) bool {
	return errors.Is(err, eventstore.ErrUnknown) || errors.Is(err, vault.ErrUnknown) || errors.Is(err, catalog.ErrUnknown)
}

// databaseFault returns the answer to an error with which a database is temporarily
// unavailable. Nothing was done: an unknown outcome, of the log or of the vault, was answered
// before. The code is
// empty for any other error.
func databaseFault(err error) (domain.Code, string) {
	switch schema.FaultOf(err) {
	case schema.Away:
		return Unavailable, "the database cannot be reached for now; nothing was done, try again"
	case schema.Busy, schema.Raced:
		return Unavailable, "the database is too busy for now; nothing was done, try again"
	case schema.Full:
		return StorageFull, "there is no space left to store anything; nothing was done, try again later"
	}
	return "", ""
}

const ourFault = "something went wrong here; the request's name helps to find out what"
