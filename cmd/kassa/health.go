package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// healthCommand is for containers that have no other program.
type healthCommand struct {
	Addr  string `default:"127.0.0.1:8080" env:"KASSA_HEALTH_ADDR,KASSA_ADDR" placeholder:"HOST:PORT" help:"Address at which the process answers. Default: ${default}."`
	Ready bool   `help:"Ask whether it is ready, not only alive."`
}

func (h healthCommand) Run(ctx context.Context, c *console) error {
	path := "health"
	if h.Ready {
		path = "ready"
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(h.Addr)+"/api/"+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("ask for its health: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	fmt.Fprintln(c.out, "ok")
	return nil
}

// reachable is the address at which a process is found that listens on one.
func reachable(listens string) string {
	host, port, err := net.SplitHostPort(listens)
	if err != nil {
		return listens
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens on all addresses
	}
	return net.JoinHostPort(host, port)
}
