package schema_test

import (
	"net"
	"syscall"
	"testing"

	"kassa/schema/schematest"
)

// A vanished server is detected by keep-alives, in the same time as a vanished client
// by the server (docker/postgres).
func TestGoneServersAreFoundOut(t *testing.T) {
	conn, err := schematest.Pool(t, 1).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	raw, err := conn.Conn().PgConn().Conn().(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	option := func(fd uintptr, level, name int) int {
		n, err := syscall.GetsockoptInt(int(fd), level, name)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	err = raw.Control(func(fd uintptr) {
		on := option(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
		after := option(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE) +
			option(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL)*option(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT)
		if on == 0 || after > 30 {
			t.Errorf("keep-alives are on: %t; a server is given up after %d s", on != 0, after)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
