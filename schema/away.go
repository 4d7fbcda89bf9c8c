package schema

import (
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// IsAway says whether an error tells that the database cannot be reached for now: it
// restarts, the network is cut, or it takes no more connections. The same again,
// later, may succeed.
func IsAway(err error) bool {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch said.Code {
		case "57P01", "57P02", "57P03", "53300": // shut down, crashed, starts, too many connections
			return true
		}
		return strings.HasPrefix(said.Code, "08") // connection exceptions
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	_, refused := errors.AsType[*pgconn.ConnectError](err)
	return refused || pgconn.SafeToRetry(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
