// Package bustest gives tests a virtual host of their own on a RabbitMQ, and ways
// to disturb what goes on there.
package bustest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// Broker is a virtual host of its own on the test's RabbitMQ.
type Broker struct {
	Address    string // amqp:// of the virtual host, for a user who may do all there
	vhost      string
	management *url.URL
	rights     map[string]string // of each user, in the form that the management API takes
}

// New makes a virtual host, which goes when the test ends. A test that needs one
// fails where there is no broker: a test that was left out proves nothing.
func New(t testing.TB) *Broker {
	t.Helper()
	address, err := url.Parse(os.Getenv("KASSA_AMQP_URL"))
	management, err2 := url.Parse(os.Getenv("KASSA_RABBITMQ_MANAGEMENT_URL"))
	if err != nil || err2 != nil || address.Host == "" || management.Host == "" {
		t.Fatal(`this test needs RabbitMQ, and KASSA_AMQP_URL and KASSA_RABBITMQ_MANAGEMENT_URL are not set: run it with go tool task test, or after eval "$(docker/services env)"`)
	}
	b := &Broker{vhost: "test-" + strings.ToLower(rand.Text()), management: management,
		rights: map[string]string{address.User.Username(): permissions(".*", ".*", ".*")}}
	address.Path = "/" + b.vhost
	b.Address = address.String()
	must(t, b.make())
	t.Cleanup(func() { must(t, b.manage("DELETE", "/api/vhosts/"+b.vhost, "", nil)) })
	return b
}

// DeleteQueue deletes a queue with all that waits in it. One that is not there is an
// error: the test has its name wrong.
func (b *Broker) DeleteQueue(name string) error {
	path := "/api/queues/" + b.vhost + "/" + name
	var found struct{ Name string }
	if err := b.manage("GET", path, "", &found); err != nil || found.Name != name {
		return fmt.Errorf("there is no queue %s: %w", name, err)
	}
	return b.manage("DELETE", path, "", nil)
}

// Queues are the names of all queues, with how many messages each has.
func (b *Broker) Queues() (map[string]int, error) {
	var list []struct {
		Name     string
		Messages int
	}
	err := b.manage("GET", "/api/queues/"+b.vhost, "", &list)
	queues := map[string]int{}
	for _, q := range list {
		queues[q.Name] = q.Messages
	}
	return queues, err
}

// Connections are the names that the clients of the virtual host have given theirs.
func (b *Broker) Connections() (names []string, err error) {
	var open []struct {
		Properties struct {
			Name string `json:"connection_name"`
		} `json:"client_properties"`
	}
	err = b.manage("GET", "/api/vhosts/"+b.vhost+"/connections", "", &open)
	for _, c := range open {
		names = append(names, c.Properties.Name)
	}
	return names, err
}

// LoseEverything is a broker that comes back on an empty disk.
func (b *Broker) LoseEverything() error {
	if err := b.manage("DELETE", "/api/vhosts/"+b.vhost, "", nil); err != nil {
		return err
	}
	return b.make()
}

func (b *Broker) make() error {
	if err := b.manage("PUT", "/api/vhosts/"+b.vhost, "", nil); err != nil {
		return err
	}
	return b.grant(b.rights)
}

func permissions(configure, write, read string) string {
	return fmt.Sprintf(`{"configure":%q,"write":%q,"read":%q}`, configure, write, read)
}

func (b *Broker) grant(rights map[string]string) error {
	for user, may := range rights {
		if err := b.manage("PUT", "/api/permissions/"+b.vhost+"/"+user, may, nil); err != nil {
			return err
		}
	}
	return nil
}

// As gives the address of the virtual host for a user of its own, with these rights
// there and nowhere else. The user goes when the test ends.
func (b *Broker) As(t testing.TB, configure, write, read string) (address string) {
	t.Helper()
	user, password := "test-"+strings.ToLower(rand.Text()), rand.Text()
	must(t, b.manage("PUT", "/api/users/"+user, fmt.Sprintf(`{"password":%q,"tags":""}`, password), nil))
	t.Cleanup(func() { must(t, b.manage("DELETE", "/api/users/"+user, "", nil)) })
	b.rights[user] = permissions(configure, write, read)
	must(t, b.grant(map[string]string{user: b.rights[user]}))
	at, err := url.Parse(b.Address)
	must(t, err)
	at.User = url.UserPassword(user, password)
	return at.String()
}

// DeleteExchange deletes an exchange and its bindings.
func (b *Broker) DeleteExchange(name string) error {
	return b.manage("DELETE", "/api/exchanges/"+b.vhost+"/"+name, "", nil)
}

// Announce publishes to every exchange that gives a message to all, as a client can that
// has the right to publish there.
func (b *Broker) Announce(body string) error {
	var all []struct{ Name, Type string }
	if err := b.manage("GET", "/api/exchanges/"+b.vhost, "", &all); err != nil {
		return err
	}
	for _, exchange := range all {
		if exchange.Type != "fanout" || strings.HasPrefix(exchange.Name, "amq.") {
			continue
		}
		message, err := json.Marshal(map[string]any{"properties": map[string]any{}, "routing_key": "", "payload": body, "payload_encoding": "string"})
		if err != nil {
			return err
		}
		if err := b.manage("POST", "/api/exchanges/"+b.vhost+"/"+exchange.Name+"/publish", string(message), nil); err != nil {
			return err
		}
	}
	return nil
}

// CutConnections closes every connection of the virtual host.
func (b *Broker) CutConnections() error {
	var open []struct{ Name string }
	if err := b.manage("GET", "/api/vhosts/"+b.vhost+"/connections", "", &open); err != nil {
		return err
	}
	for _, c := range open {
		if err := b.manage("DELETE", "/api/connections/"+url.PathEscape(c.Name), "", nil); err != nil {
			return err
		}
	}
	return nil
}

// MayRead gives back the right to consume, or takes it from all; a consumer that
// is there goes on.
func (b *Broker) MayRead(may bool) error {
	if may {
		return b.grant(b.rights)
	}
	none := map[string]string{}
	for user := range b.rights {
		none[user] = permissions(".*", ".*", "^$")
	}
	return b.grant(none)
}

// manage calls the broker's management API; what is not there is no fault.
func (b *Broker) manage(method, path, body string, answer any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, b.management.String()+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Close = true // the server may close a connection in the moment in which it is used again
	r.Header.Set("Content-Type", "application/json")
	secret, _ := b.management.User.Password()
	r.SetBasicAuth(b.management.User.Username(), secret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil || resp.StatusCode == http.StatusNotFound:
		return err
	case resp.StatusCode >= 300:
		return fmt.Errorf("%s %s: %s %s", method, path, resp.Status, text)
	case answer != nil:
		return json.Unmarshal(text, answer)
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
