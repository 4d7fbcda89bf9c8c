// Package problem answers with refusals and faults: RFC 9457 problem details,
// with one table from code to status for the API and the pages alike.
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
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
	"kassa/schema"
	"kassa/vault"
)

// The refusals that HTTP adds to those of the rule book.
const (
	AuthenticationRequired domain.Code = "authentication_required"
	CrossOrigin            domain.Code = "cross_origin"
	UnknownHost            domain.Code = "unknown_host"
	NotFound               domain.Code = "not_found"
	BadRequest             domain.Code = "bad_request"      // of nginx before us
	HeaderTooLarge         domain.Code = "header_too_large" // of nginx before us
	PredictionNotFound     domain.Code = "prediction_not_found"
	MethodNotAllowed       domain.Code = "method_not_allowed"
	BodyTooLarge           domain.Code = "body_too_large"
	UnsupportedMedia       domain.Code = "unsupported_media_type"
	InvalidJSON            domain.Code = "invalid_json"
	UnknownField           domain.Code = "unknown_field"
	InvalidField           domain.Code = "invalid_field"
	InvalidCursor          domain.Code = "invalid_cursor"
	InvalidFilter          domain.Code = "invalid_filter"
	InvalidPosition        domain.Code = "invalid_position"
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

// statuses is the only place that gives a code its status.
var statuses = map[domain.Code]int{
	domain.InvalidCredentials: http.StatusUnauthorized,
	AuthenticationRequired:    http.StatusUnauthorized,

	domain.InsufficientFunds: http.StatusPaymentRequired,
	domain.PaymentDeclined:   http.StatusPaymentRequired,

	domain.NotAdmin:      http.StatusForbidden,
	domain.OwnAdjustment: http.StatusForbidden,
	CrossOrigin:          http.StatusForbidden,

	domain.AccountNotFound: http.StatusNotFound,
	PredictionNotFound:     http.StatusNotFound,
	NotFound:               http.StatusNotFound,

	BadRequest:       http.StatusBadRequest,
	HeaderTooLarge:   http.StatusRequestHeaderFieldsTooLarge,
	MethodNotAllowed: http.StatusMethodNotAllowed,

	domain.EmailTaken:       http.StatusConflict,
	domain.AccountExists:    http.StatusConflict,
	domain.PredictionExists: http.StatusConflict,
	domain.BalanceLimit:     http.StatusConflict,
	domain.TooManyOpen:      http.StatusConflict,
	domain.KeyInProgress:    http.StatusConflict,
	domain.Busy:             http.StatusConflict,

	BodyTooLarge:     http.StatusRequestEntityTooLarge,
	UnsupportedMedia: http.StatusUnsupportedMediaType,
	UnknownHost:      http.StatusMisdirectedRequest,

	domain.InvalidAmount:    http.StatusUnprocessableEntity,
	domain.InvalidEmail:     http.StatusUnprocessableEntity,
	domain.InvalidText:      http.StatusUnprocessableEntity,
	domain.InvalidLimit:     http.StatusUnprocessableEntity,
	domain.InvalidKind:      http.StatusUnprocessableEntity,
	domain.InvalidReason:    http.StatusUnprocessableEntity,
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
	InvalidPosition:         http.StatusUnprocessableEntity,
	InvalidQuery:            http.StatusUnprocessableEntity,
	UnknownParameter:        http.StatusUnprocessableEntity,
	RepeatedHeader:          http.StatusUnprocessableEntity,

	RateLimited: http.StatusTooManyRequests,

	Internal: http.StatusInternalServerError,

	PositionNotReached: http.StatusServiceUnavailable,
	NotReady:           http.StatusServiceUnavailable,
	StorageFull:        http.StatusServiceUnavailable,
	Unavailable:        http.StatusServiceUnavailable,
}

// Status gives the status of a code; 500 for one that is not a refusal's.
func Status(code domain.Code) int {
	return cmp.Or(statuses[code], http.StatusInternalServerError)
}

// Known says whether the table has the code.
func Known(code domain.Code) bool { return statuses[code] != 0 }

// TooMany is a refusal that time alone heals.
type TooMany struct{ After time.Duration }

func (e *TooMany) Error() string { return "too many requests, wait " + e.After.String() }

// Seconds is After for a Retry-After header: whole seconds, at least one.
func (e *TooMany) Seconds() int { return max(1, int(math.Ceil(e.After.Seconds()))) }

// Details is the body of an answer that is not a success.
type Details struct {
	Type     string      `json:"type"`
	Title    string      `json:"title"`
	Status   int         `json:"status"`
	Detail   string      `json:"detail"`
	Code     domain.Code `json:"code"`
	Instance string      `json:"instance"` // names the request, as the log does
}

// RequestID is the header that names a request, in the answer and in the log.
const RequestID = "X-Request-Id"

// retryShortly is the Retry-After of what heals by itself, in seconds.
const retryShortly = "1"

// Writer answers errors. The zero value logs to slog's default.
type Writer struct {
	Log *slog.Logger
	// Broken is called with an error that says that the ledger itself is wrong: the
	// process must stop. It may return; the request is then answered 500.
	Broken func(error)
}

// Refuse answers the request with the error: a refusal by its code, anything
// else without a word of its inner text, which goes to the log.
func (p *Writer) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	code, detail := p.Explain(w, r, err)
	d := Details{Type: "urn:kassa:problem:" + string(code), Title: http.StatusText(Status(code)), Status: Status(code),
		Detail: detail, Code: code, Instance: "urn:kassa:request:" + w.Header().Get(RequestID)}
	header := w.Header()
	switch many, ok := errors.AsType[*TooMany](err); {
	case ok:
		header.Set("Retry-After", strconv.Itoa(many.Seconds()))
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
	_, _ = w.Write(append(body, '\n')) // the client has gone, or has not
}

// challenge asks for Basic credentials, except of a script in a browser: there the
// browser would open a box of its own over the page that wants to say it itself.
func challenge(r *http.Request) string {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return `Session realm="Kassa"`
	}
	return `Basic realm="Kassa", charset="UTF-8"`
}

// Explain gives an error's code and sentence, and logs what is not a refusal. The
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
	// First what may have been done: whatever else the error says came after it, and
	// would read as if nothing had been.
	case errors.Is(err, eventstore.ErrUnknown):
		log.ErrorContext(r.Context(), "the outcome of a request is unknown", "request", id, "error", err)
		return Unavailable, "it is not known whether this was done; the same request with the same Idempotency-Key finds out"
	case broken:
		return Internal, ourFault
	case errors.Is(r.Context().Err(), context.Canceled):
		return Unavailable, "the request was given up" // nobody reads this
	case errors.Is(err, projections.ErrBehind):
		return PositionNotReached, "what is shown is behind what was written, try again"
	case errors.Is(err, eventstore.ErrClosed):
		return Unavailable, "Kassa is shutting down, try again"
	case errors.Is(err, vault.ErrBusy): // no line in the log: a flood would write it
		return Unavailable, "too many passwords are being checked, try again"
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

// databaseFault gives the answer to an error with which a database says that it
// cannot serve for now. An outcome that is unknown was answered before: nothing was
// done. The code is empty for any other error.
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
