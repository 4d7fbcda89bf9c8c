package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	amqp091 "github.com/rabbitmq/amqp091-go"
	"go.yaml.in/yaml/v3"

	"kassa/internal/bus"
	"kassa/internal/bus/bustest"
)

// doctorSays runs the doctor on a broker alone, and gives its lines by what they are
// about, in the form "state text".
func doctorSays(t *testing.T, addresses string) map[string]string {
	t.Helper()
	_, out, complaints := kassa(t, "doctor", "--data", filepath.Join(t.TempDir(), "none"), "--amqp-url", addresses)
	said := map[string]string{}
	for _, line := range strings.Split(out, "\n") {
		if len(line) > 32 {
			said[strings.TrimSpace(line[9:31])] = strings.TrimSpace(line[:9]) + " " + line[32:]
		}
	}
	if said["broker"] == "" || strings.Contains(out+complaints, "hush") {
		t.Fatalf("the doctor says\n%s%s", out, complaints)
	}
	return said
}

// The doctor distinguishes the faults of a broker, and changes nothing there.
func TestDoctorAtTheBroker(t *testing.T) {
	broker := bustest.New(t)
	key, err := bus.ParseKey(brokerKey)
	must(t, err)
	rights := key.ServiceRights()
	address := broker.As(t, rights.Configure, rights.Write, rights.Read)
	wants := func(when, addresses string, lines map[string]string) {
		t.Helper()
		var faults []string
		// Each look waits only so long for an answer, and a machine at its limit may take
		// longer: the doctor, who changes nothing, is asked some times more.
		for n := 0; n == 0 || n < 5 && len(faults) > 0; n++ {
			said := doctorSays(t, addresses)
			faults = nil
			for what, want := range lines {
				state, text, _ := strings.Cut(want, " ")
				if !strings.HasPrefix(said[what], state+" ") || !strings.Contains(said[what], text) {
					faults = append(faults, fmt.Sprintf("%s, of the %s: %q, want %q", when, what, said[what], want))
				}
			}
		}
		for _, fault := range faults {
			t.Error(fault)
		}
	}
	wants("before the first start", address, map[string]string{"broker": "ok RabbitMQ 4", "broker's queues": "warning makes them", "older queues": "ok none", "dead letters": "ok none"})
	if queues, err := broker.Queues(); err != nil || len(queues) != 0 {
		t.Errorf("the doctor made queues: %v, %v", queues, err)
	}
	service, err := testBroker(t, address).Open(t.Context(), slog.New(slog.DiscardHandler))
	must(t, err)
	service.Close()
	wants("as it should be", address, map[string]string{"broker": "ok RabbitMQ 4", "broker's queues": "ok all there", "broker's rights": "ok this installation only",
		"broker's alarms": "ok it takes messages", "older queues": "ok none", "dead letters": "ok none"})
	wants("as a user who may do all", broker.Address, map[string]string{"broker's rights": "warning kassa broker rights"})
	worker := key.WorkerRights()
	wants("as a worker's user", broker.As(t, worker.Configure, worker.Write, worker.Read), map[string]string{"broker's queues": "ok", "broker's rights": "ok", "broker's alarms": "ok"})

	at, err := url.Parse(address)
	must(t, err)
	gone := bustest.NewProxy(t, address, "127.0.0.1")
	gone.Close()
	silent := bustest.NewProxy(t, address, "127.0.0.1")
	silent.Freeze()
	wants("of two nodes one is away", gone.Address()+","+address, map[string]string{"broker": "warning nothing listens there", "broker's queues": "ok"})
	for says, change := range map[string]func(*url.URL){
		"fault the user or the password is wrong": func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "hush") },
		"fault there is no such virtual host":     func(u *url.URL) { u.Path = "/none" },
		"fault nothing listens there":             func(u *url.URL) { u.Host = strings.TrimPrefix(gone.Address(), "amqp://") },
		"fault does not speak TLS":                func(u *url.URL) { u.Scheme = "amqps" },
	} {
		wrong := *at
		change(&wrong)
		wrong.Host = strings.Split(wrong.Host[strings.Index(wrong.Host, "@")+1:], "/")[0]
		wants(says, wrong.String(), map[string]string{"broker": says})
	}
	wants("a firewall", silent.Address(), map[string]string{"broker": "fault it does not answer in time"})

	// An older version's queue, and one of ours with other arguments.
	conn, err := amqp091.Dial(broker.Address)
	must(t, err)
	defer conn.Close()
	channel, err := conn.Channel()
	must(t, err)
	for _, queue := range []string{"kassa.dead.kept", "kassa.events.views"} {
		_, err = channel.QueueDeclare(queue, true, false, false, false, nil)
		must(t, err)
	}
	kept := "kassa." + key.Installation + ".kept"
	must(t, broker.DeleteQueue(kept))
	_, err = channel.QueueDeclare(kept, true, false, false, false, amqp091.Table{"x-queue-type": "quorum"})
	must(t, err)
	wants("after an older version", address, map[string]string{"older queues": "warning kassa.dead.kept (0 messages), kassa.events.views (0 messages)",
		"broker's queues": "fault " + kept + " has other arguments"})
}

// What docker/make-secrets writes for RabbitMQ are the rights that the program names as
// needed, for the users of the addresses that it writes, and compose.yaml gives each
// container its own address alone.
func TestMakeSecretsGivesLeastRights(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	make := exec.Command(filepath.Join("..", "..", "docker", "make-secrets"))
	make.Env = append(os.Environ(), "KASSA_SECRETS="+dir)
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		return strings.TrimSpace(string(text))
	}
	key, err := bus.ParseKey(read("broker-key"))
	must(t, err)
	var definitions struct {
		Users       []struct{ Name, Password string }
		Permissions []struct {
			User string
			bus.Rights
		}
	}
	must(t, json.Unmarshal([]byte(read("rabbitmq-definitions.json")), &definitions))
	for file, want := range map[string]bus.Rights{"amqp-url": key.ServiceRights(), "amqp-worker-url": key.WorkerRights()} {
		address, err := url.Parse(read(file))
		must(t, err)
		for _, p := range definitions.Permissions {
			if p.User == address.User.Username() && p.Rights != want {
				t.Errorf("%s has %+v, want %+v", p.User, p.Rights, want)
			}
		}
		password, _ := address.User.Password()
		if !slices.Contains(definitions.Users, struct{ Name, Password string }{address.User.Username(), password}) {
			t.Errorf("%s: RabbitMQ does not have this user", file)
		}
	}
	if len(definitions.Permissions) != 3 || definitions.Permissions[2].User != "admin" {
		t.Errorf("permissions for %+v", definitions.Permissions)
	}
	code, out, complaints := kassa(t, "broker", "rights", "--broker-key", read("broker-key"))
	if worker := key.WorkerRights(); code != 0 || !strings.Contains(out, "kassa_worker '^$' '"+worker.Write+"' '"+worker.Read+"'") {
		t.Errorf("kassa broker rights: exit code %d, %s%s", code, out, complaints)
	}

	compose, err := os.ReadFile(filepath.Join("..", "..", "docker", "compose.yaml"))
	must(t, err)
	var file struct {
		Services map[string]struct{ Secrets []string }
	}
	must(t, yaml.Unmarshal(compose, &file))
	for name, service := range file.Services {
		want := map[string][]string{"backend": {"amqp-url", "broker-key"}, "worker": {"amqp-worker-url", "broker-key"}, "rabbitmq": {"rabbitmq-definitions"}}[name]
		of := slices.DeleteFunc(slices.Clone(service.Secrets), func(s string) bool {
			return !strings.HasPrefix(s, "amqp") && !strings.Contains(s, "broker") && !strings.Contains(s, "rabbit")
		})
		if !slices.Equal(of, want) {
			t.Errorf("%s is given %v of the broker's secrets, want %v", name, of, want)
		}
	}
}

// After an upgrade docker/make-secrets adds what is missing, and leaves what is there.
func TestMakeSecretsAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	secrets := func() map[string]string {
		t.Helper()
		make := exec.Command(filepath.Join("..", "..", "docker", "make-secrets"))
		make.Env = append(os.Environ(), "KASSA_SECRETS="+dir)
		if out, err := make.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		must(t, err)
		is := map[string]string{}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil { // else it is a folder
				is[filepath.Base(file)] = string(text)
			}
		}
		return is
	}
	first := secrets()
	for _, missing := range []string{"pgbouncer-users", "amqp-worker-url", "database-url", "rabbitmq-definitions.json"} {
		must(t, os.Remove(filepath.Join(dir, missing)))
		if again := secrets(); !maps.Equal(again, first) {
			t.Errorf("without %s it made other secrets, or not all: %d of %d", missing, len(again), len(first))
		}
	}
}

// A key that is replaced keeps its installation, and its old secret until that is taken
// out.
func TestBrokerKeyCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "broker-key")
	code, first, complaints := kassa(t, "broker", "key")
	if code != 0 {
		t.Fatalf("exit code %d, %s", code, complaints)
	}
	must(t, os.WriteFile(file, []byte(first), 0o600))
	code, both, complaints := kassa(t, "broker", "key", "--for", file)
	lines := strings.Split(strings.TrimSpace(both), "\n")
	if code != 0 || len(lines) != 2 || lines[0] != strings.TrimSpace(first) || strings.Fields(lines[1])[0] != strings.Fields(first)[0] || lines[0] == lines[1] {
		t.Errorf("exit code %d, %q after %q, %s", code, both, first, complaints)
	}
	if _, err := bus.ParseKey(both); err != nil {
		t.Error(err)
	}
	code, _, complaints = kassa(t, "serve", "--data", t.TempDir(), "--database-url", "postgres://127.0.0.1:1/x", "--amqp-url", "amqp://127.0.0.1:1", "--broker-key", "nonsense")
	if code != exitUsage || !strings.Contains(complaints, "broker key") || strings.Contains(complaints, "nonsense") {
		t.Errorf("a key that is none: exit code %d, %s", code, complaints)
	}
}
