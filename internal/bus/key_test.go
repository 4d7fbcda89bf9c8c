package bus

import (
	"errors"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	amqp091 "github.com/rabbitmq/amqp091-go"
)

func TestParseKey(t *testing.T) {
	const secret = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	for text, good := range map[string]bool{
		"kassa1 " + secret:                                   true,
		"# ours\n\n  kassa1   " + secret + " \r\n":           true,
		"kassa1 " + secret + "\nkassa1 " + secret[2:] + "ab": true,
		"":                                  false,
		"# nothing":                         false,
		secret:                              false,
		"kassa1":                            false,
		"kassa1 " + secret[2:]:              false,
		"kassa1 " + secret + "00":           false,
		"kassa1 " + strings.Repeat("x", 64): false,
		"Kassa1 " + secret:                  false,
		"k.a*s1 " + secret:                  false,
		"abc " + secret:                     false,
		"kassa1 " + secret + "\nkassa2 " + secret:  false,
		"kassa1 " + secret + " " + secret:          false,
		"kassa1 " + secret + "\nkassa1 " + "junk":  false,
		strings.Repeat("a", 21) + " " + secret:     false,
		"kassa1 " + secret + "\n" + secret + "\n#": false,
	} {
		key, err := ParseKey(text)
		if (err == nil) != good || good && key.Installation != "kassa1" || err != nil && strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("%.30q…: %v", text, err)
		}
	}
	for _, name := range []string{"", "kassa1"} {
		line, err := NewKeyLine(name)
		must(t, err)
		again, err := NewKeyLine(name)
		must(t, err)
		if _, err := ParseKey(line); err != nil || line == again || !strings.HasPrefix(line, name) {
			t.Errorf("a new key for %q: %v, twice the same: %t", name, err, line == again)
		}
	}
	if _, err := NewKeyLine("Not a name"); err == nil {
		t.Error("an installation may be called anything")
	}
}

// A message opens only with a key of the installation, and as what it was sent as: not
// as another kind, not about another prediction, not with another word for a failure.
func TestSealedMessages(t *testing.T) {
	key, other := newKey(t, ""), newKey(t, "")
	m := Item{Job: job(1), Body: []byte("text")}.message()
	m.Metadata.Set(headerFailure, "worker_failed")
	sent := marshal(key, kindAnswers, m)
	if strings.Contains(string(sent.Body), "text") {
		t.Error("the body is not sealed")
	}
	open := func(k Key, kind string, change func(*amqp091.Delivery)) (*message.Message, error) {
		headers := amqp091.Table{}
		for name, value := range sent.Headers {
			headers[name] = value
		}
		d := amqp091.Delivery{Acknowledger: &amqp091.Channel{}, Headers: headers, Body: append([]byte{}, sent.Body...)}
		if change != nil {
			change(&d)
		}
		return unmarshal(k, kind, d)
	}
	if got, err := open(key, kindAnswers, nil); err != nil || string(got.Payload) != "text" || got.Metadata.Get(headerFailure) != "worker_failed" {
		t.Errorf("it opens as %+v, %v", got, err)
	}
	asDead := func(from string) func(*amqp091.Delivery) {
		return func(d *amqp091.Delivery) {
			d.Headers["x-first-death-queue"], d.Headers["x-first-death-reason"] = namesOf(key.Installation).work[:len("kassa.00000000.")]+from, "rejected"
		}
	}
	if got, err := open(key, kindDead, asDead(kindAnswers)); err != nil || got.Metadata.Get(deadFrom) != kindAnswers || got.Metadata.Get(deadReason) != "rejected" {
		t.Errorf("as a dead letter it opens as %+v, %v", got, err)
	}
	header := func(name, value string) func(*amqp091.Delivery) {
		return func(d *amqp091.Delivery) { d.Headers[name] = value }
	}
	for name, try := range map[string]func() (*message.Message, error){
		"another installation": func() (*message.Message, error) { return open(other, kindAnswers, nil) },
		"as work":              func() (*message.Message, error) { return open(key, kindWork, nil) },
		"as dead work":         func() (*message.Message, error) { return open(key, kindDead, asDead(kindWork)) },
		"as dead from nowhere": func() (*message.Message, error) { return open(key, kindDead, nil) },
		"another prediction":   func() (*message.Message, error) { return open(key, kindAnswers, header(headerPrediction, "p_2")) },
		"another position":     func() (*message.Message, error) { return open(key, kindAnswers, header(headerPosition, "2")) },
		"another failure":      func() (*message.Message, error) { return open(key, kindAnswers, header(headerFailure, "other")) },
		"an asker added":       func() (*message.Message, error) { return open(key, kindAnswers, header(headerReply, "q")) },
		"another id":           func() (*message.Message, error) { return open(key, kindAnswers, header(headerID, "id")) },
		"a bit changed": func() (*message.Message, error) {
			return open(key, kindAnswers, func(d *amqp091.Delivery) { d.Body[30]++ })
		},
		"cut short": func() (*message.Message, error) {
			return open(key, kindAnswers, func(d *amqp091.Delivery) { d.Body = d.Body[:20] })
		},
		"in clear": func() (*message.Message, error) {
			return open(key, kindAnswers, func(d *amqp091.Delivery) { d.Body = []byte("text") })
		},
	} {
		if m, err := try(); !errors.Is(err, errSealed) || !IsPermanent(err) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// While a secret is replaced, each process opens what any other seals.
func TestASecretIsReplacedByAndBy(t *testing.T) {
	before, err := NewKeyLine("kassa1")
	must(t, err)
	after, err := NewKeyLine("kassa1")
	must(t, err)
	steps := []string{before, before + "\n" + after, after + "\n" + before, after}
	for i := range len(steps) - 1 {
		a, err := ParseKey(steps[i])
		must(t, err)
		b, err := ParseKey(steps[i+1])
		must(t, err)
		for _, way := range [][2]Key{{a, b}, {b, a}} {
			m := Item{Job: job(1), Body: []byte("text")}.message()
			if got, err := way[1].open(kindWork, m, way[0].seal(kindWork, m)); err != nil || string(got) != "text" {
				t.Errorf("step %d: %q, %v", i, got, err)
			}
		}
	}
}
