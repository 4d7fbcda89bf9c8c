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
	Address    string // amqp:// of the virtual host
	vhost      string
	user       string
	management *url.URL
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
	b := &Broker{vhost: "test-" + strings.ToLower(rand.Text()), user: address.User.Username(), management: management}
	address.Path = "/" + b.vhost
	b.Address = address.String()
	must(t, b.make())
	t.Cleanup(func() { must(t, b.manage("DELETE", "/api/vhosts/"+b.vhost, "", nil)) })
	return b
}

// DeleteQueue deletes a queue with all that waits in it.
func (b *Broker) DeleteQueue(name string) error {
	return b.manage("DELETE", "/api/queues/"+b.vhost+"/"+name, "", nil)
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
	return b.MayRead(true)
}

// DeleteExchange deletes an exchange and its bindings.
func (b *Broker) DeleteExchange(name string) error {
	return b.manage("DELETE", "/api/exchanges/"+b.vhost+"/"+name, "", nil)
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

// MayRead gives the right to consume, or takes it away; who consumes already goes
// on.
func (b *Broker) MayRead(may bool) error {
	read := ".*"
	if !may {
		read = "^$"
	}
	return b.manage("PUT", "/api/permissions/"+b.vhost+"/"+b.user, fmt.Sprintf(`{"configure":".*","write":".*","read":%q}`, read), nil)
}

// manage calls the broker's management API; what is not there is no fault.
func (b *Broker) manage(method, path, body string, answer any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, b.management.String()+path, strings.NewReader(body))
	if err != nil {
		return err
	}
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
