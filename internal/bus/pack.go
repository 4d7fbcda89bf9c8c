package bus

import (
	"encoding/binary"
	"fmt"
	"time"

	"kassa/eventstore"
)

// packed is the first byte of the body of a message with several items: its form.
const packed = 1

// pack puts items behind each other, each with its fields in their order: numbers as
// varints, texts with their length before them.
func pack(items []Item) []byte {
	body := []byte{packed}
	for _, i := range items {
		body = appendText(body, []byte(i.Prediction))
		body = binary.AppendVarint(body, int64(i.Position))
		var until int64
		if !i.Until.IsZero() {
			until = i.Until.UnixMilli()
		}
		body = binary.AppendVarint(body, until)
		body = appendText(body, []byte(i.Failure))
		body = appendText(body, i.Body)
	}
	return body
}

func appendText(body, text []byte) []byte {
	return append(binary.AppendUvarint(body, uint64(len(text))), text...)
}

// unpack reads what pack made. It may be from an untrusted sender: what is cut short,
// names no job or has more items than are sent is refused.
func unpack(body []byte) ([]Item, error) {
	if len(body) == 0 || body[0] != packed {
		return nil, fmt.Errorf("%w: it has neither the headers of a job nor several jobs", errMalformed)
	}
	r := reader{rest: body[1:]}
	var items []Item
	for len(r.rest) > 0 {
		var i Item
		i.Prediction = string(r.text())
		i.Position = eventstore.Position(r.number())
		if until := r.number(); until != 0 {
			i.Until = time.UnixMilli(until)
		}
		i.Failure = string(r.text())
		i.Body = r.text()
		if r.broken || !i.valid() || len(items) == MaxItems {
			return nil, fmt.Errorf("%w: its item %d is no job, or one too many", errMalformed, len(items)+1)
		}
		items = append(items, i)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: it has no job", errMalformed)
	}
	return items, nil
}

// reader takes fields off a body. Once one is broken, so are all behind it.
type reader struct {
	rest   []byte
	broken bool
}

func (r *reader) number() int64 {
	value, n := binary.Varint(r.rest)
	if r.broken = r.broken || n <= 0; r.broken {
		return 0
	}
	r.rest = r.rest[n:]
	return value
}

func (r *reader) text() []byte {
	length, n := binary.Uvarint(r.rest)
	if r.broken = r.broken || n <= 0 || length > uint64(len(r.rest)-n); r.broken {
		return nil
	}
	text := r.rest[n : n+int(length)]
	r.rest = r.rest[n+int(length):]
	return text
}
