//go:build cluster

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kassa/internal/bus"
	"kassa/schema/schematest"
)

// A cluster of three nodes of RabbitMQ, each of which is lost in turn under load, and
// comes back: questions are answered all the while, and afterwards the ledger is whole.
// It has a task of its own (go tool task cluster), because three nodes take half a
// minute to start, and need root on a Debian-like system.
func TestEachNodeOfAClusterIsLost(t *testing.T) {
	t.Setenv("KASSA_CLUSTER_DIR", t.TempDir())
	t.Cleanup(func() { cluster(t, "wipe") })
	began := time.Now()
	_, addresses, _ := strings.Cut(strings.TrimSpace(cluster(t, "up")), "=")
	t.Logf("three nodes after %s", time.Since(began).Round(time.Second))

	key, err := bus.ParseKey(brokerKey)
	must(t, err)
	f := &fleet{t: t, data: withSecret(t, t.TempDir()), database: schematest.Postgres(t), http: newHTTP(),
		users: map[string]string{"backend": addUser(t, addresses, "backend", key.ServiceRights()), "worker": addUser(t, addresses, "worker", key.WorkerRights())}}
	f.closing, f.close = context.WithCancel(t.Context())
	t.Cleanup(f.shut)
	f.add("api", 1)
	f.add("backend", 2)
	f.add("worker", 2)
	f.begin()
	random := rand.New(rand.NewPCG(drawSeed(t), 0))
	actors := f.people("actor", 8)
	stop := f.load(actors, random.Uint64())
	canary := f.people("canary", 1)[0]
	f.recover(canary, random)
	for i, how := range []string{"kill", "stop", "kill"} {
		node := fmt.Sprint(i + 1)
		cluster(t, how, node)
		for n := range 3 {
			t.Logf("%s of node %s: question %d is answered after %s", how, node, n+1, f.recover(canary, random).Round(time.Millisecond))
		}
		cluster(t, "start", node)
		cluster(t, "rabbitmqctl", node, "await_online_nodes", "3")
		t.Logf("node %s is back: a question is answered after %s", node, f.recover(canary, random).Round(time.Millisecond))
	}
	stop()

	// The doctor names a node that is away, and an alarm.
	cluster(t, "stop", "3")
	if said := doctorSays(t, f.users["backend"]); !strings.HasPrefix(said["broker"], "warning RabbitMQ 4") || !strings.Contains(said["broker"], "nothing listens there") {
		t.Errorf("with a node away the doctor says %q", said["broker"])
	}
	cluster(t, "rabbitmqctl", "1", "set_vm_memory_high_watermark", "0.0001")
	if said := doctorSays(t, f.users["backend"]); !strings.HasPrefix(said["broker's alarms"], "fault it takes no messages") {
		t.Errorf("with the memory alarm raised the doctor says %q", said["broker's alarms"])
	}
	cluster(t, "rabbitmqctl", "1", "set_vm_memory_high_watermark", "absolute", "512MiB")
	cluster(t, "start", "3")
	f.http.CloseIdleConnections()
	f.awaitReady()
	actors = append(actors, canary)
	v := f.prove(actors)
	f.stop()
	t.Log(f.table(nil, actors, v, time.Since(began)))
}

// cluster runs docker/cluster.
func cluster(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join("..", "..", "docker", "cluster"), args...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker/cluster %s: %v\n%s", strings.Join(args, " "), err, complaints.String())
	}
	return string(out)
}

// addUser makes a user with these rights, and gives the addresses for it.
func addUser(t *testing.T, addresses, name string, r bus.Rights) string {
	t.Helper()
	cluster(t, "rabbitmqctl", "1", "add_user", name, "a password")
	cluster(t, "rabbitmqctl", "1", "set_permissions", "--vhost", "kassa", name, r.Configure, r.Write, r.Read)
	var list []string
	for _, address := range strings.Split(addresses, ",") {
		u, err := url.Parse(address)
		must(t, err)
		u.User = url.UserPassword(name, "a password")
		list = append(list, u.String())
	}
	return strings.Join(list, ",")
}
