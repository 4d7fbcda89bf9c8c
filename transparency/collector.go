package transparency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
)

const (
	// witnessTimeout is how long one witness is waited for.
	witnessTimeout = 5 * time.Second
	// cosignedAgain is the age from which a head is cosigned again though the log has not
	// grown: a cosignature says that at its time no larger head was seen.
	cosignedAgain = time.Minute
	// answerMost limits what is read of a witness's answer, in bytes.
	answerMost = 64 << 10
)

// Collector asks witnesses for cosignatures of the last signed head (C2SP tlog-witness). It
// is used by one goroutine.
type Collector struct {
	Log    *eventstore.Store
	Heads  Heads
	Policy Policy

	sizes map[string]eventstore.Position // of the last head that each has cosigned
}

var (
	// ErrContradicted means that a witness has cosigned a head which this log does not
	// continue: it was restored from an older backup, or rewritten.
	ErrContradicted = errors.New("a witness has cosigned a head that the log does not continue")
	// ErrNoQuorum means that fewer witnesses than the policy wants have cosigned the head.
	ErrNoQuorum = errors.New("too few witnesses have cosigned the last signed head")
)

// Collect asks all witnesses at once, and keeps the head with their cosignatures. Of a head
// that enough witnesses cosigned within the last minute nothing is asked again. Errors wrap
// ErrContradicted or ErrNoQuorum, or are those of the database.
func (c *Collector) Collect(ctx context.Context) error {
	signed, err := c.Heads.Last(ctx)
	if err != nil || signed.Note == nil {
		return err
	}
	kept, err := c.Heads.Cosigned(ctx)
	if err != nil {
		return err
	}
	if kept.Quorum && bytes.HasPrefix(kept.Note, signed.Note) && time.Since(kept.At) < cosignedAgain {
		return nil
	}
	lines, failed := c.askAll(ctx, signed)
	signed.Note = append(bytes.Clone(signed.Note), bytes.Join(lines, nil)...)
	now := c.Policy.cosigned(signed.Note)
	now.Checkpoint = signed
	if now.Witnesses > 0 && (now.Quorum || !kept.Quorum) {
		if err := c.Heads.table.keepCosigned(ctx, now); err != nil {
			return fmt.Errorf("keep the cosigned head of size %d: %w", signed.Head.Size, err)
		}
	}
	switch {
	case errors.Is(failed, ErrContradicted):
		return failed
	case !now.Quorum:
		return fmt.Errorf("%w: %d of %d (%w)", ErrNoQuorum, now.Witnesses, now.Asked, failed)
	}
	return nil
}

// askAll gives the lines of those that have cosigned, and what failed with the others.
func (c *Collector) askAll(ctx context.Context, signed Checkpoint) (lines [][]byte, failed error) {
	if c.sizes == nil {
		c.sizes = map[string]eventstore.Position{}
	}
	addresses := c.Policy.addresses()
	asked := make([]answer, len(addresses))
	var all sync.WaitGroup
	for i, address := range addresses {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, witnessTimeout)
			defer cancel()
			asked[i] = c.ask(ctx, signed, address, c.sizes[address])
		})
	}
	all.Wait()
	for i, a := range asked {
		c.sizes[addresses[i]] = a.size
		if a.err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", addresses[i], a.err))
			continue
		}
		lines = append(lines, a.line)
	}
	return lines, failed
}

// answer is that of one witness: the line of its cosignature, and the size of the last head
// that it has cosigned.
type answer struct {
	line []byte
	size eventstore.Position
	err  error
}

// ask asks one witness, and once more where it has cosigned another head than was expected.
func (c *Collector) ask(ctx context.Context, signed Checkpoint, address string, old eventstore.Position) answer {
	for range 2 {
		status, body, size, err := c.post(ctx, signed, address, old)
		switch {
		case err != nil:
			return answer{size: old, err: err}
		case status == http.StatusOK:
			line, err := cosignature(signed.Note, body, c.Policy.endpoints[address])
			return answer{line, signed.Head.Size, err}
		case status == http.StatusConflict && size > signed.Head.Size:
			return answer{size: size, err: fmt.Errorf("%w: that has %d entries, and the last signed head %d", ErrContradicted, size, signed.Head.Size)}
		case status == http.StatusConflict && size >= 0 && size != old:
			old = size
			continue
		case status == http.StatusConflict || status == http.StatusUnprocessableEntity:
			return answer{size: old, err: fmt.Errorf("%w: of size %d it has another root (HTTP status %d)", ErrContradicted, old, status)}
		default:
			return answer{size: old, err: fmt.Errorf("HTTP status %d", status)}
		}
	}
	return answer{size: old, err: errors.New("it has cosigned another head meanwhile")}
}

// post sends a head with the proof that it continues that of the old size. The size is what
// a witness names in a conflict; -1 for none.
func (c *Collector) post(ctx context.Context, signed Checkpoint, address string, old eventstore.Position) (status int, body []byte, size eventstore.Position, err error) {
	text, err := c.request(ctx, signed, old)
	if err != nil {
		return 0, nil, -1, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(text))
	if err != nil {
		return 0, nil, -1, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, -1, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, answerMost))
	if err != nil {
		return 0, nil, -1, err
	}
	size = -1
	if response.Header.Get("Content-Type") == sizeType {
		if n, err := strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64); err == nil && n >= 0 {
			size = eventstore.Position(n)
		}
	}
	return response.StatusCode, body, size, nil
}

// sizeType is the type of a conflict that names a size.
const sizeType = "text/x.tlog.size"

// request is the body of add-checkpoint.
func (c *Collector) request(ctx context.Context, signed Checkpoint, old eventstore.Position) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "old %d\n", old)
	if 0 < old && old < signed.Head.Size {
		proof, err := tlog.ProveTree(int64(signed.Head.Size), int64(old), c.Log.Nodes(ctx))
		if err != nil {
			return "", fmt.Errorf("prove that the log continues the head of size %d: %w", old, err)
		}
		for _, hash := range proof {
			fmt.Fprintln(&text, hash) // in base64
		}
	}
	fmt.Fprintf(&text, "\n%s", signed.Note)
	return text.String(), nil
}
