package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"kassa/internal/security"
)

// open opens the security log of the process for c, and returns how it is closed.
func (s securitySettings) open(ctx context.Context, c *console) (closing func(), err error) {
	closing = func() {}
	switch s.SecurityLog {
	case "":
		c.security = security.New(c.log)
	case "-":
		c.security = security.New(security.Lines(c.out))
	case "stderr":
		c.security = security.New(security.Lines(c.err))
	default:
		file, err := security.OpenFile(s.SecurityLog, c.log)
		if err != nil {
			return nil, err
		}
		c.security = security.New(security.Lines(file))
		stop := reopenAtHangup(ctx, file, c.log)
		closing = func() {
			stop()
			_ = file.Close() // each line was written, or reported
		}
	}
	return closing, nil
}

// reopenAtHangup opens the file again at each SIGHUP, as logrotate asks for.
func reopenAtHangup(ctx context.Context, file *security.File, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-hangup:
				if err := file.Reopen(); err != nil {
					log.Error("the security log cannot be opened again, the old file stays in use", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { signal.Stop(hangup); cancel(); <-ended }
}

// onConsole marks what is done with the context as done by the operating system's user.
func onConsole(ctx context.Context) context.Context {
	return security.WithOrigin(ctx, security.Origin{Console: operatorName("")})
}
