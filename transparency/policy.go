package transparency

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	cosigning "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"

	"kassa/eventstore"
)

// Policy is which witnesses are asked for cosignatures, and how many are enough.
type Policy struct {
	group     witness.Group
	endpoints map[string]note.Verifier // by the address of add-checkpoint
}

// ParsePolicy reads a policy in the form of Sigsum, which Tessera reads too: lines of
// "witness NAME KEY URL", "group NAME any|all|N NAME…", and "quorum NAME".
func ParsePolicy(text []byte) (Policy, error) {
	group, err := witness.ParsePolicy(text)
	if err != nil {
		return Policy{}, fmt.Errorf("read the policy of witnesses: %w", err)
	}
	p := Policy{group: group, endpoints: group.Endpoints()}
	if group.N < 1 || len(p.endpoints) == 0 {
		return Policy{}, errors.New("read the policy of witnesses: the quorum needs a witness")
	}
	keys := map[string]bool{}
	for address, key := range p.endpoints {
		if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return Policy{}, fmt.Errorf("read the policy of witnesses: %s is no http:// or https:// URL", address)
		}
		name := fmt.Sprintf("%s+%08x", key.Name(), key.KeyHash())
		if keys[name] {
			return Policy{}, fmt.Errorf("read the policy of witnesses: %s counts twice", name)
		}
		keys[name] = true
	}
	return p, nil
}

// Witnesses is how many are asked; 0 where there is no policy.
func (p Policy) Witnesses() int { return len(p.endpoints) }

// addresses are those of add-checkpoint, in a fixed order.
func (p Policy) addresses() []string { return slices.Sorted(maps.Keys(p.endpoints)) }

// cosigned counts the cosignatures of a signed note by witnesses of the policy. The note
// has at least the signature of the log.
func (p Policy) cosigned(signed []byte) (c Cosigned) {
	c.Asked, c.Quorum = len(p.endpoints), p.group.Satisfied(signed)
	opened, err := note.Open(signed, note.VerifierList(slices.Collect(maps.Values(p.endpoints))...))
	if err != nil {
		return c // none of them has signed
	}
	for _, s := range opened.Sigs {
		at, err := cosigning.CoSigV1Timestamp(s)
		if err != nil {
			continue // Open has verified that it has one
		}
		if c.Witnesses == 0 || at.Before(c.At) {
			c.At = at
		}
		c.Witnesses++
	}
	return c
}

// cosignature finds the line by which one witness has cosigned a head in an answer of
// add-checkpoint, which may have lines of other keys too.
func cosignature(signed, answer []byte, key note.Verifier) ([]byte, error) {
	opened, err := note.Open(slices.Concat(signed, answer), note.VerifierList(key))
	if err != nil || len(opened.Sigs) != 1 {
		return nil, errors.New("the answer has no cosignature of the witness's key")
	}
	for line := range bytes.Lines(answer) {
		if bytes.Contains(line, []byte(opened.Sigs[0].Base64)) {
			return line, nil
		}
	}
	return nil, errors.New("the answer has no cosignature of the witness's key")
}

// Cosigned is a signed head with the cosignatures of witnesses.
type Cosigned struct {
	Checkpoint           // Note is nil where no witness has cosigned one
	Witnesses, Asked int // that have cosigned it; all of the policy
	Quorum           bool
	At               time.Time // when the first of them did
}

// CosignedSummary is a cosigned head as the API and the commands show it.
type CosignedSummary struct {
	Size       eventstore.Position `json:"size"`
	Witnesses  int                 `json:"witnesses"`
	Of         int                 `json:"of"`
	Quorum     bool                `json:"quorum"`
	At         time.Time           `json:"at"`
	Checkpoint string              `json:"checkpoint"`
}

// Summary is nil where no head was cosigned.
func (c Cosigned) Summary() *CosignedSummary {
	if c.Note == nil {
		return nil
	}
	return &CosignedSummary{c.Head.Size, c.Witnesses, c.Asked, c.Quorum, c.At.UTC(), string(c.Note)}
}
