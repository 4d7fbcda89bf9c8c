package transparency

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// publicOf gives the public key of a private one. Package note has no function for it: the
// private key ends with the algorithm (1, Ed25519) and the seed, in base64.
func publicOf(private string) (string, error) {
	fields := strings.SplitN(private, "+", 5)
	if len(fields) != 5 {
		return "", errors.New("a private key has too few fields")
	}
	seed, err := base64.StdEncoding.DecodeString(fields[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize || seed[0] != 1 {
		return "", errors.New("a private key is not of Ed25519")
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("a private key is not of Ed25519")
	}
	return note.NewEd25519VerifierKey(fields[2], public)
}
