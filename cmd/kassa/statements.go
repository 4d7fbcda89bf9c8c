package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"kassa/internal/process"
)

// statementSettings are of the statements of account that persons make.
type statementSettings struct {
	Zone   string `default:"UTC" placeholder:"ZONE" help:"Time zone in which the days and months of statements begin, such as Europe/Moscow; the same in all processes, and for kassa audit close. Default: ${default}."`
	Issuer string `placeholder:"TEXT" help:"Name, address and tax number of who issues statements of account; a | begins another line. Default: the host of the page's address."`
}

// maxIssuer is long enough for a name, an address and a tax number.
const maxIssuer = 1000

func (s statementSettings) check() error {
	if _, err := time.LoadLocation(s.Zone); err != nil || s.Zone == "" || s.Zone == "Local" {
		return fmt.Errorf("--zone: %q is no time zone such as Europe/Moscow", s.Zone)
	}
	if len(s.Issuer) > maxIssuer || strings.ContainsFunc(s.Issuer, unicode.IsControl) {
		return fmt.Errorf("--issuer must have at most %d bytes, and no control characters", maxIssuer)
	}
	return nil
}

// set passes the settings on, once they were checked.
func (s statementSettings) set(surface *process.Surface) (err error) {
	for line := range strings.SplitSeq(s.Issuer, "|") {
		surface.Issuer = strings.TrimPrefix(surface.Issuer+"\n"+strings.TrimSpace(line), "\n")
	}
	surface.Zone, err = time.LoadLocation(s.Zone)
	return err
}
