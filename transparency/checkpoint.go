package transparency

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"kassa/eventstore"
)

// Checkpoint is a head of the log as it is published (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string          // name of the log
	Head   eventstore.Head // of size 1 or more
	Note   []byte          // the signed note; nil before it is signed
}

// text is what is signed.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Head.Size, base64.StdEncoding.EncodeToString(c.Head.Root[:]))
}

// Parse reads a signed note without verifying its signatures.
func Parse(signed []byte) (Checkpoint, error) {
	text, _, found := strings.Cut(string(signed), "\n\n")
	if !found {
		return Checkpoint{}, errors.New("it is no signed checkpoint: there is no blank line before signatures")
	}
	c, err := parseText(text + "\n")
	c.Note = signed
	return c, err
}

// parseText reads the text of a checkpoint in its one canonical form: extension lines are
// refused.
func parseText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return Checkpoint{}, errors.New("a checkpoint is three lines: origin, size and root")
	}
	c := Checkpoint{Origin: lines[0]}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, badRoot := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || size < 1 || badRoot != nil || len(root) != len(c.Head.Root) {
		return Checkpoint{}, errors.New("a checkpoint has a size from 1 and a root of 32 bytes in base64")
	}
	c.Head.Size = eventstore.Position(size)
	copy(c.Head.Root[:], root)
	if c.text() != text {
		return Checkpoint{}, errors.New("a checkpoint is not in its canonical form")
	}
	return c, nil
}
