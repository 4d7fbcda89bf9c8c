package process

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair is a certificate with its key, in PEM.
type pair struct{ certificate, key []byte }

func newPair(t *testing.T, serial int64) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	about := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	must(t, err)
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: plain})}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A renewed certificate is used whenever its files have other contents, also with the times
// and sizes of before; what cannot be used is tried at each look until it can, and logged once.
func TestARenewedCertificateIsUsed(t *testing.T) {
	folder := t.TempDir()
	files := Certificate{filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	write := func(certificate, key []byte) {
		t.Helper()
		for name, content := range map[string][]byte{files.File: certificate, files.KeyFile: key} {
			must(t, os.WriteFile(name, content, 0o600))
			must(t, os.Chtimes(name, then, then))
		}
	}
	var log bytes.Buffer
	first, second, third := newPair(t, 1), newPair(t, 2), newPair(t, 3)
	write(first.certificate, first.key)
	s, err := openCertificate(files, slog.New(slog.NewTextHandler(&log, nil)))
	must(t, err)
	served := func(want int64, lines int) {
		t.Helper()
		s.checked = time.Time{} // the next handshake looks again
		if got := s.current().Leaf.SerialNumber.Int64(); got != want {
			t.Errorf("certificate %d is served, want %d", got, want)
		}
		if got := strings.Count(log.String(), "\n"); got != lines {
			t.Errorf("%d lines are logged, want %d: %s", got, lines, log.String())
		}
	}
	served(1, 0)
	write(second.certificate, second.key)
	served(2, 1)
	write(third.certificate, second.key) // between the two files of a renewal
	served(2, 2)
	served(2, 2)
	write(third.certificate, third.key)
	served(3, 3)
	must(t, os.Remove(files.KeyFile))
	served(3, 4)
	served(3, 4)
	write(third.certificate, third.key) // as it was
	served(3, 4)
	must(t, os.Remove(files.KeyFile))
	served(3, 5) // it fails again, and that is another time
	write(first.certificate, first.key)
	served(1, 6)
	if strings.Contains(log.String(), "PRIVATE") {
		t.Error("the log has the key")
	}
}
