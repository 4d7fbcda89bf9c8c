package unigram

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// charsmap replaces letters by others, by the table that SentencePiece has compiled into
// a model: a double-array trie over the bytes to be replaced, whose values are places
// in a text of replacements, each of which ends with a zero byte.
type charsmap struct {
	trie         []uint32
	replacements string
}

var errCharsmap = errors.New("precompiled_charsmap is damaged")

func readCharsmap(encoded string) (charsmap, error) {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return charsmap{}, fmt.Errorf("%w: %w", errCharsmap, err)
	}
	if len(data) < 4 {
		return charsmap{}, errCharsmap
	}
	size := binary.LittleEndian.Uint32(data)
	data = data[4:]
	if size == 0 || size%4 != 0 || int64(size) > int64(len(data)) {
		return charsmap{}, errCharsmap
	}
	c := charsmap{make([]uint32, size/4), string(data[size:])}
	for i := range c.trie {
		c.trie[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	return c, nil
}

// Parts of a unit of the trie.
func offset(unit uint32) int   { return int(unit>>10) << (unit >> 6 & 8) }
func label(unit uint32) uint32 { return unit & (1<<31 | 0xff) }
func hasLeaf(unit uint32) bool { return unit>>8&1 == 1 }
func value(unit uint32) int    { return int(unit & (1<<31 - 1)) }

// replacement is that of the shortest part with which the text begins that has one. That
// it then replaces the whole text is what the tokenizers library does.
func (c charsmap) replacement(text string) (string, bool) {
	at := offset(c.trie[0])
	for i := range len(text) {
		if at ^= int(text[i]); at >= len(c.trie) || label(c.trie[at]) != uint32(text[i]) || text[i] == 0 {
			return "", false
		}
		leaf := hasLeaf(c.trie[at])
		if at ^= offset(c.trie[at]); at >= len(c.trie) {
			return "", false
		}
		if from := value(c.trie[at]); leaf && from < len(c.replacements) {
			found, _, _ := strings.Cut(c.replacements[from:], "\x00")
			return found, true
		}
	}
	return "", false
}

// wholeBytesMax is the longest cluster of letters and marks that is replaced as one.
const wholeBytesMax = 5

func (c charsmap) apply(text string) string {
	var out strings.Builder
	clusters := graphemes.FromString(text)
	for clusters.Next() {
		cluster := clusters.Value()
		if len(cluster) <= wholeBytesMax {
			if found, ok := c.replacement(cluster); ok {
				out.WriteString(found)
				continue
			}
		}
		for _, r := range cluster {
			letter := string(r)
			if found, ok := c.replacement(letter); ok {
				letter = found
			}
			out.WriteString(letter)
		}
	}
	return out.String()
}
