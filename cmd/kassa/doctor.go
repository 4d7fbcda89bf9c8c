package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// doctorCommand looks at all that the service stands on, changes nothing, and says
// what to do about what it finds.
type doctorCommand struct {
	dataSettings
	productionSettings
	modelSettings
	Addr string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address on which kassa serve is to listen, or listens. Default: ${default}."`
}

// The states of a finding.
const (
	stateOK      = "ok"
	stateWarning = "warning" // the service runs, not as well as it could
	stateFault   = "fault"   // the service does not run, or not safely
	stateUnseen  = "unseen"  // it could not be looked at
)

// finding is one line of the report.
type finding struct {
	what, state, says string
}

// check is one thing that is looked at. A nil error is ok; a *warning does not fail, an
// unableError is no verdict, and errors that were joined are a line each.
type check struct {
	what string
	look func(context.Context) (says string, err error)
}

// warning is a finding with which the service runs, not as well as it could.
type warning struct{ mend string }

func (w *warning) Error() string { return w.mend }

func warn(format string, args ...any) error { return &warning{fmt.Sprintf(format, args...)} }

// notLooked is for checks that rest on another one, which failed.
func notLooked(why string) error { return unableError{errors.New("not looked at: " + why)} }

func (d doctorCommand) Run(ctx context.Context, c *console) error {
	checks, err := d.checks()
	if err != nil {
		return err
	}
	count := map[string]int{}
	for _, k := range checks {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		findings := k.examine(ctx)
		cancel()
		for _, f := range findings {
			count[f.state]++
			fmt.Fprintf(c.out, "%-8s %-22s %s\n", f.state, f.what, f.says)
		}
	}
	switch {
	case count[stateFault] > 0:
		return fmt.Errorf("%d faults were found, by %d checks", count[stateFault], len(checks))
	case count[stateUnseen] > 0:
		return unableError{fmt.Errorf("%d of %d checks could not look", count[stateUnseen], len(checks))}
	}
	return nil
}

func (k check) examine(ctx context.Context) (list []finding) {
	says, err := k.look(ctx)
	if err == nil {
		return []finding{{k.what, stateOK, says}}
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, err := range all {
		list = append(list, finding{k.what, stateOf(err), err.Error()})
	}
	return list
}

func stateOf(err error) string {
	if _, ok := errors.AsType[*warning](err); ok {
		return stateWarning
	}
	if _, ok := errors.AsType[unableError](err); ok || errors.Is(err, context.DeadlineExceeded) {
		return stateUnseen
	}
	return stateFault
}

// checks are those of the shape that the settings name.
func (d doctorCommand) checks() ([]check, error) {
	url, err := d.url()
	if err != nil {
		return nil, err
	}
	broker, err := d.broker("doctor")
	if err != nil {
		return nil, err
	}
	list := d.hostChecks()
	if url == "" {
		list = append(list, check{"ledger", d.lookAtFile})
	} else {
		list = append(list, d.databaseChecks(url)...)
	}
	if broker != nil {
		list = append(list, brokerChecks(*broker)...)
	}
	return list, nil
}
