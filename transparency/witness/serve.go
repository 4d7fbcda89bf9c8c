package witness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
)

const (
	submissionMost = 64 << 10 // bytes of a submission
	proofMost      = 63       // hashes of a proof, by C2SP tlog-witness
)

// Handler answers POST /add-checkpoint (C2SP tlog-witness), and GET /checkpoint with the
// newest head. Each refused or failed submission is given to tell, before its answer.
func (w *Witness) Handler(tell func(error)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", func(out http.ResponseWriter, r *http.Request) {
		line, err := w.submitted(http.MaxBytesReader(out, r.Body, submissionMost))
		if err != nil {
			tell(err)
			refuse(out, err)
			return
		}
		out.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = out.Write(line) // a failed write means that the client has left
	})
	mux.HandleFunc("GET /checkpoint", func(out http.ResponseWriter, r *http.Request) {
		last := w.Last()
		if last.Note == nil {
			http.NotFound(out, r)
			return
		}
		out.Header().Set("Content-Type", "text/plain; charset=utf-8")
		out.Header().Set("Cache-Control", "no-cache")
		_, _ = out.Write(last.Note)
	})
	return mux
}

func (w *Witness) submitted(body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	old, proof, signed, err := parseSubmission(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return w.Add(old, proof, signed)
}

// parseSubmission reads "old N", lines with the hashes of the proof, a blank line, and the
// signed head.
func parseSubmission(text []byte) (old eventstore.Position, proof tlog.TreeProof, signed []byte, err error) {
	head, signed, found := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	size, parsed := strings.CutPrefix(lines[0], "old ")
	n, err := strconv.ParseInt(size, 10, 64)
	switch {
	case !found || !parsed || err != nil || n < 0 || strconv.FormatInt(n, 10) != size:
		return 0, nil, nil, errors.New("it does not begin with old, a size, and a blank line behind the proof")
	case len(lines)-1 > proofMost:
		return 0, nil, nil, fmt.Errorf("the proof has more than %d hashes", proofMost)
	}
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return 0, nil, nil, errors.New("a line of the proof is no hash")
		}
		proof = append(proof, hash)
	}
	return eventstore.Position(n), proof, signed, nil
}

// refuse answers by the status that C2SP tlog-witness has for the error.
func refuse(out http.ResponseWriter, err error) {
	if stale, is := errors.AsType[StaleError](err); is {
		out.Header().Set("Content-Type", "text/x.tlog.size")
		out.WriteHeader(http.StatusConflict)
		fmt.Fprintf(out, "%d\n", stale.Size)
		return
	}
	status := 0
	_, contradiction := errors.AsType[*Contradiction](err)
	switch {
	case errors.Is(err, ErrMalformed):
		status = http.StatusBadRequest
	case errors.Is(err, ErrUnknownLog):
		status = http.StatusNotFound
	case errors.Is(err, ErrUnsigned):
		status = http.StatusForbidden
	case errors.Is(err, ErrProof):
		status = http.StatusUnprocessableEntity
	case contradiction:
		status = http.StatusConflict
	default: // a full disk, for example; the operator's log has it
		http.Error(out, "the witness could not keep the head", http.StatusInternalServerError)
		return
	}
	http.Error(out, err.Error(), status)
}
