package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"kassa/schema"
)

// doctorCommand checks what the service needs, changes nothing, and prints what to do
// about each fault.
type doctorCommand struct {
	dataSettings
	productionSettings
	modelSettings
	backupPlace
	BackupAge time.Duration `name:"backup-age" default:"26h" help:"Age from which the newest backup in --backups is too old. Default: ${default}."`
	Addr      string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address on which kassa serve is to listen, or listens. Default: ${default}."`
	JSON      bool          `name:"json" help:"Answer with one JSON object."`
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
	err               error // nil where the state is ok
}

// code names the check in the JSON form. Codes never change their meaning.
func (f finding) code() string { return strings.NewReplacer("'s", "", " ", "_").Replace(f.what) }

// MarshalJSON gives the finding as part of a diagnosis.
func (f finding) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Code  string `json:"code"`
		State string `json:"state"`
		Says  string `json:"says"`
	}{f.code(), f.state, f.says})
}

// diagnosis is the whole report in its JSON form.
type diagnosis struct {
	OK       bool      `json:"ok"`        // nothing is wrong, and all could be looked at
	ExitCode int       `json:"exit_code"` // of the command that printed this
	Version  string    `json:"version"`   // of the program that looked
	Faults   int       `json:"faults"`
	Warnings int       `json:"warnings"`
	Unseen   int       `json:"unseen"`
	Findings []finding `json:"findings"` // in the order of the checks
}

// check is one thing that is looked at. A nil error is ok; a *warning does not fail, an
// unableError is no verdict, and errors that were joined are a line each.
type check struct {
	what string
	look func(context.Context) (says string, err error)
}

// warning is a finding with which the service runs, not as well as it could.
type warning struct{ remedy string }

func (w *warning) Error() string { return w.remedy }

func warn(format string, args ...any) error { return &warning{fmt.Sprintf(format, args...)} }

// notLooked is for checks that rest on another one, which failed.
func notLooked(why string) error { return unableError{errors.New("not looked at: " + why)} }

// Run runs the checks, and prints the findings. Exit codes: exitFailed where there is a fault; else
// exitTooOld where a newer program has written there, exitUnable where a check could not
// look.
func (d doctorCommand) Run(ctx context.Context, c *console) error {
	checks, err := d.checks()
	if err != nil {
		return err
	}
	var findings []finding
	for _, k := range checks {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		found := k.examine(ctx)
		cancel()
		findings = append(findings, found...)
		if d.JSON {
			continue
		}
		for _, f := range found {
			fmt.Fprintf(c.out, "%-8s %-22s %s\n", f.state, f.what, f.says)
		}
	}
	count := countStates(findings)
	err = judge(findings, count, len(checks))
	if !d.JSON {
		return err
	}
	out := diagnosis{OK: err == nil, Version: version(), Findings: findings,
		Faults: count[stateFault], Warnings: count[stateWarning], Unseen: count[stateUnseen]}
	if err != nil {
		out.ExitCode = exitCode(err)
	}
	return errors.Join(json.NewEncoder(c.out).Encode(out), err)
}

func countStates(findings []finding) map[string]int {
	count := map[string]int{}
	for _, f := range findings {
		count[f.state]++
	}
	return count
}

// judge is what the findings come to.
func judge(findings []finding, count map[string]int, checks int) error {
	if n := count[stateFault]; n > 0 {
		return fmt.Errorf("%d faults were found, by %d checks", n, checks)
	}
	for _, f := range findings {
		if errors.Is(f.err, schema.ErrNewer) {
			return f.err
		}
	}
	if n := count[stateUnseen]; n > 0 {
		return unableError{fmt.Errorf("%d of %d checks could not look", n, checks)}
	}
	return nil
}

func (k check) examine(ctx context.Context) (list []finding) {
	says, err := k.look(ctx)
	if err == nil {
		return []finding{{k.what, stateOK, says, nil}}
	}
	for _, err := range joinedIn(err) {
		list = append(list, finding{k.what, stateOf(err), err.Error(), err})
	}
	return list
}

// joinedIn gives the errors that errors.Join put together. An error that wraps several in
// one sentence is one.
func joinedIn(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		if list := several.Unwrap(); errors.Join(list...).Error() == err.Error() {
			return list
		}
	}
	return []error{err}
}

func stateOf(err error) string {
	if _, ok := errors.AsType[*warning](err); ok {
		return stateWarning
	}
	_, unable := errors.AsType[unableError](err)
	if unable || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, schema.ErrNewer) {
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
	if d.Backups != "" {
		list = append(list, check{"backups", d.lookAtBackups})
	}
	if url == "" {
		list = append(list, check{"ledger", d.lookAtFile})
		if _, err := d.existing(); err == nil {
			list = append(list, check{"guards", d.lookAtGuards}, check{"films", d.lookAtFilms})
		}
	} else {
		list = append(list, d.databaseChecks(url)...)
	}
	if broker != nil {
		list = append(list, brokerChecks(*broker)...)
	}
	return list, nil
}
