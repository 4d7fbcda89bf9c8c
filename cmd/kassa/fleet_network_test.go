package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/internal/bus/bustest"
)

// One of two API processes is on a host of its own: a network namespace with one
// link to its clients and one to the database. The second link is cut under load, so
// that packets vanish and no connection breaks, and comes back. The other process
// goes on meanwhile; afterwards the same holds as after any other fault.
func TestFleetWhoseNetworkIsCut(t *testing.T) {
	seed, cut, began := drawSeed(t), 3*time.Second, time.Now()
	if os.Getenv("KASSA_FAULTS") != "" {
		cut = 10 * time.Second
	}
	f := newFleet(t)
	apart := newHost(t, rand.New(rand.NewPCG(seed, 0)))
	f.add("api", 2)
	f.add("backend", 1)
	f.add("worker", 1)
	lone := f.of("api")[1]
	lone.args = f.args("api", apart.front.there, bustest.NewProxy(t, f.database, apart.back.here).Address())
	lone.wrap = apart.run
	f.begin()
	actors := f.people("actor", 16)
	stop := f.load(actors, seed)
	<-time.After(2 * time.Second)
	before := f.asked.Load() - f.unknown.Load()
	apart.back.set(t, "down")
	<-time.After(cut)
	during := f.asked.Load() - f.unknown.Load() - before
	apart.back.set(t, "up")
	up := time.Now()
	f.await("the process behind the cut to be ready", func() bool { return f.ready(lone) })
	back := time.Since(up)
	<-time.After(2 * time.Second)
	stop()
	f.http.CloseIdleConnections()
	f.awaitReady()
	v := f.prove(actors)
	f.stop()
	t.Log(f.table(map[string]happened{fmt.Sprintf("link cut for %s", cut): {1, back}}, actors, v, time.Since(began)))
	if during == 0 {
		t.Error("the process that was not cut acknowledged nothing meanwhile")
	}
}

// host is a network namespace with two links to this one.
type host struct {
	namespace   string
	front, back link
}

// link is a pair of interfaces, by the address at either end.
type link struct{ name, here, there string }

func newHost(t *testing.T, random *rand.Rand) *host {
	t.Helper()
	id := fmt.Sprintf("%04x", random.IntN(1<<16))
	h := &host{namespace: "kassa-" + id}
	ip(t, "netns", "add", h.namespace)
	t.Cleanup(func() { ip(t, "netns", "del", h.namespace) }) // and its ends of the links, and so the links
	for i, l := range []*link{&h.front, &h.back} {
		net := fmt.Sprintf("10.%d.%d.", 200+i, random.IntN(256))
		*l = link{fmt.Sprintf("kassa%s%d", id, i), net + "1", net + "2"}
		ip(t, "link", "add", l.name, "type", "veth", "peer", "name", "host"+id, "netns", h.namespace)
		ip(t, "address", "add", l.here+"/24", "dev", l.name)
		ip(t, "link", "set", l.name, "up")
		ip(t, "-n", h.namespace, "link", "set", "host"+id, "name", l.name)
		ip(t, "-n", h.namespace, "address", "add", l.there+"/24", "dev", l.name)
		ip(t, "-n", h.namespace, "link", "set", l.name, "up")
	}
	ip(t, "-n", h.namespace, "link", "set", "lo", "up")
	return h
}

// set cuts the link, or restores it.
func (l link) set(t *testing.T, state string) {
	t.Helper()
	ip(t, "link", "set", l.name, state)
}

// run lets a command run on the host; ip becomes the command, so that signals reach
// it.
func (h *host) run(cmd *exec.Cmd) {
	inside := exec.Command("ip", slices.Concat([]string{"netns", "exec", h.namespace, cmd.Path}, cmd.Args[1:])...)
	cmd.Path, cmd.Args = inside.Path, inside.Args
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("this test needs network namespaces: run it as root, with iproute2 installed and the right to make them (in a container: --privileged). ip %s: %v %s",
			strings.Join(args, " "), err, out)
	}
}
