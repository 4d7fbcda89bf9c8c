package commands

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// inOrder writes bytes so that the texts sort as the bytes do.
var inOrder = base32.NewEncoding("234567abcdefghijklmnopqrstuvwxyz").WithPadding(base32.NoPadding)

// newID gives a random id that begins with the time in milliseconds, as a UUID of version 7
// does: new entries then go to the same few pages of the unique indexes, however long the
// log is. The first 10 characters are the time, so an id shows when it was made. Of the first
// 20 characters 52 bits are random, of all 80.
func newID(now time.Time) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16)
	_, _ = rand.Read(id[6:]) // never fails
	return inOrder.EncodeToString(id[:])
}
