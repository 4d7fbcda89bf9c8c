package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"kassa/audit"
	"kassa/eventstore"
)

// progressOn prints on one line of a terminal how far a replay has come. It prints
// nothing where w is none. done removes the line.
func progressOn(w io.Writer) (each audit.Progress, done func()) {
	file, ok := w.(*os.File)
	if !ok {
		return nil, func() {}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil, func() {}
	}
	return progressLine(w, time.Now)
}

const progressEvery = 200 * time.Millisecond

// progressLine is progressOn for any writer.
func progressLine(w io.Writer, now func() time.Time) (each audit.Progress, done func()) {
	began, printed := now(), time.Time{}
	var from eventstore.Position
	each = func(at, of eventstore.Position) {
		if printed.IsZero() {
			from = at
		}
		if now().Sub(printed) < progressEvery || of == 0 {
			return
		}
		printed = now()
		text := fmt.Sprintf("%3d %%  %d of %d entries", 100*at/of, at, of)
		if took := now().Sub(began).Seconds(); took > 1 && at > from {
			rate := float64(at-from) / took
			text += fmt.Sprintf(", %.0f a second, %s more", rate, (time.Duration(float64(of-at)/rate) * time.Second).Round(time.Second))
		}
		fmt.Fprintf(w, "\r\x1b[K%s", text)
	}
	return each, func() {
		if !printed.IsZero() {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}
