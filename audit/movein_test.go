package audit_test

import (
	"path/filepath"
	"strings"
	"testing"

	"kassa/audit"
	"kassa/domain"
)

// accept adds an acceptance: 30 bought credits and 3 given ones, of one person.
func accept(c *logBuilder, final bool) *forged {
	return c.by("operator", domain.MoveInAccepted{By: "olga", Report: strings.Repeat("0af9", 16), People: 1, Bought: 30, Given: 3, Final: final})
}

// moveIn takes three positions.
func moveIn(c *logBuilder, u domain.UserID) *forged {
	return c.by("operator", append([]domain.Event{domain.EmailClaimed{User: u}},
		decided(c.of(u).MoveIn(u, nil, domain.MovedCredits{Bought: 30, Given: 3}, false))...)...)
}

func difference(c *logBuilder, u domain.UserID, by domain.MovedCredits) *forged {
	return c.by("operator", decided(c.of(u).MoveBalance(by))...)
}

func TestMoveInRules(t *testing.T) {
	for _, tt := range []struct {
		name string
		want []want
		lie  func(*logBuilder) // from position 11
	}{
		{"a move as it should be", nil, func(c *logBuilder) { accept(c, false); moveIn(c, eve); accept(c, true) }},
		{"without acceptance", []want{{audit.MoveOver, 12}, {audit.MoveOver, 13}}, func(c *logBuilder) { moveIn(c, eve) }},
		{"a difference without acceptance", []want{{audit.MoveOver, 11}}, func(c *logBuilder) { difference(c, ada, domain.MovedCredits{Bought: 5}) }},
		{"a difference after the end", []want{{audit.MoveOver, 16}},
			func(c *logBuilder) {
				accept(c, false)
				moveIn(c, eve)
				accept(c, true)
				difference(c, eve, domain.MovedCredits{Bought: 5})
			}},
		{"an acceptance after the end", []want{{audit.MoveOver, 16}},
			func(c *logBuilder) { accept(c, false); moveIn(c, eve); accept(c, true); accept(c, false) }},
		{"an end that says too much", []want{{audit.MoveDiffers, 16}},
			func(c *logBuilder) {
				accept(c, false)
				moveIn(c, eve)
				difference(c, eve, domain.MovedCredits{Bought: -1})
				accept(c, true)
			}},
		{"an end of people who did not come", []want{{audit.MoveDiffers, 13}},
			func(c *logBuilder) {
				accept(c, false)
				difference(c, ada, domain.MovedCredits{Bought: 30, Given: 3})
				accept(c, true)
			}},
		{"a difference by its person", []want{{audit.ActorNotAllowed, 12}},
			func(c *logBuilder) {
				accept(c, false)
				difference(c, ada, domain.MovedCredits{Bought: 30}).actor = "user:u_ada"
			}},
		{"an acceptance by a person", []want{{audit.ActorNotAllowed, 11}}, func(c *logBuilder) { accept(c, false).actor = "user:u_bob" }},
		{"an acceptance in an account's stream", []want{{audit.WrongStream, 11}}, func(c *logBuilder) { accept(c, false).stream = "account-u_bob" }},
		{"an acceptance of no report", []want{{audit.FactBroken, 11}}, func(c *logBuilder) {
			f := accept(c, false)
			f.event = domain.MoveInAccepted{By: "olga", Report: "no hash"}
		}},
		{"an acceptance left out", []want{{audit.VersionGap, 11}}, func(c *logBuilder) { accept(c, false).version = 2 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := validLog()
			tt.lie(c)
			_, err := forge(t, c.log).verify(t)
			if len(tt.want) == 0 {
				must(t, err)
			} else {
				finds(t, err, tt.want...)
			}
			resumes(t, c, err)
		})
	}
}

// A replay that goes on from the middle of a move knows what was accepted and moved before.
func TestMoveInResumed(t *testing.T) {
	for name, end := range map[string]struct {
		by   domain.MovedCredits
		want []want
	}{"as it should be": {}, "ended with other sums": {domain.MovedCredits{Given: -1}, []want{{audit.MoveDiffers, 16}}}} {
		c, proved := validLog(), filepath.Join(t.TempDir(), "proved")
		accept(c, false)
		moveIn(c, eve)
		_, err := forge(t, c.log).verifyProved(t, proved)
		must(t, err)
		if end.by != (domain.MovedCredits{}) {
			difference(c, eve, end.by)
		}
		accept(c, true)
		if _, err = forge(t, c.log).verifyProved(t, proved); len(end.want) > 0 {
			finds(t, err, end.want...)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
