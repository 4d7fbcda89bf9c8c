package bus

import (
	"bufio"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/crypto/chacha20poly1305"
)

// Key is what the processes of one installation share at a broker. Its name is in the
// name of every queue and exchange, so that two installations on one virtual host do
// not take each other's messages. Its secrets seal what is sent: a question lies on
// the broker's disk, and is deleted there late, and by parts.
//
// The text form has a line for each secret, "NAME SECRET", with the secret in
// hexadecimal. The first line seals, all open: a secret is replaced by adding the new
// one as the last line everywhere, then moving it to the first everywhere, then
// deleting the old one.
type Key struct {
	Installation string
	secrets      []cipher.AEAD
}

var installationName = regexp.MustCompile(`^[a-z0-9]{4,20}$`)

// NewKeyLine gives a line with a new secret; without a name, for a new installation.
func NewKeyLine(installation string) (string, error) {
	if installation == "" {
		installation = randomHex(4)
	}
	if !installationName.MatchString(installation) {
		return "", fmt.Errorf("an installation's name has 4 to 20 small letters and digits, not %q", installation)
	}
	return installation + " " + randomHex(chacha20poly1305.KeySize), nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// ParseKey reads the text form. Empty lines and those that begin with # are comments.
// Its errors do not repeat the text.
func ParseKey(text string) (Key, error) {
	var k Key
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 || !installationName.MatchString(fields[0]) {
			return Key{}, fmt.Errorf("the broker key's line %d is not a name of small letters and digits and a secret in hexadecimal: kassa broker key makes one", n)
		}
		if k.Installation != "" && k.Installation != fields[0] {
			return Key{}, errors.New("the broker key has secrets of two installations; all lines have one name")
		}
		k.Installation = fields[0]
		secret, err := hex.DecodeString(fields[1])
		if err != nil || len(secret) != chacha20poly1305.KeySize {
			return Key{}, fmt.Errorf("the broker key's line %d must have a secret of %d bytes in hexadecimal", n, chacha20poly1305.KeySize)
		}
		aead, err := chacha20poly1305.NewX(secret) // its nonces are long enough to be drawn at random for ever
		if err != nil {
			return Key{}, fmt.Errorf("read the broker key: %w", err)
		}
		k.secrets = append(k.secrets, aead)
	}
	if len(k.secrets) == 0 {
		return Key{}, errors.New("the broker key is empty: kassa broker key makes one")
	}
	return k, lines.Err()
}

// errSealed marks what does not open: it was sealed under another key, changed, or
// moved from another queue.
var errSealed = Permanent(errors.New("sealed by another key, or changed"))

// seal encrypts a body. It opens only as a message of the same kind with the same id
// and headers.
func (k Key) seal(kind string, m *message.Message) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(m.Payload)+chacha20poly1305.Overhead)
	rand.Read(nonce)
	return k.secrets[0].Seal(nonce, nonce, m.Payload, boundTo(kind, m))
}

func (k Key) open(kind string, m *message.Message, sealed []byte) ([]byte, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, errSealed
	}
	nonce, rest := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	for _, secret := range k.secrets {
		if body, err := secret.Open(nil, nonce, rest, boundTo(kind, m)); err == nil {
			return body, nil
		}
	}
	return nil, errSealed
}

// boundTo is the additional data of a seal.
func boundTo(kind string, m *message.Message) []byte {
	bound := []string{kind, m.UUID}
	for _, name := range sealedHeaders {
		bound = append(bound, m.Metadata.Get(name))
	}
	return []byte(strings.Join(slices.Clip(bound), "\x00"))
}
