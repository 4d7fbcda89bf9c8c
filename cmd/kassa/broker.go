package main

import (
	"fmt"
	"os"
	"strings"

	"kassa/internal/bus"
)

// keySettings give the broker key.
type keySettings struct {
	BrokerKey     string `name:"broker-key" placeholder:"KEY" help:"What all processes of an installation share at RabbitMQ: its name, which is part of every queue's, and the secret that seals what lies there. kassa broker key makes one."`
	BrokerKeyFile string `name:"broker-key-file" type:"existingfile" placeholder:"FILE" help:"File that holds --broker-key; while a secret is replaced, with a line for each."`
}

func (k keySettings) key() (bus.Key, error) {
	text := k.BrokerKey
	switch {
	case text == "" && k.BrokerKeyFile == "":
		return bus.Key{}, wrongArgument("--broker-key-file is missing: kassa broker key > FILE makes one for an installation, and all of its processes and workers get the same")
	case text != "" && k.BrokerKeyFile != "":
		return bus.Key{}, wrongArgument("the broker key is given directly and by the file %s: leave one away", k.BrokerKeyFile)
	case text == "":
		lines, err := os.ReadFile(k.BrokerKeyFile)
		if err != nil {
			return bus.Key{}, wrongArgument("read the broker key: %w", err)
		}
		text = string(lines)
	}
	key, err := bus.ParseKey(text)
	if err != nil {
		return bus.Key{}, wrongArgument("--broker-key: %w", err)
	}
	return key, nil
}

// brokerSettings are the addresses of RabbitMQ, and the name of this installation there.
type brokerSettings struct {
	keySettings
	AMQPURL     string `name:"amqp-url" placeholder:"URL,..." help:"amqp:// or amqps:// addresses of RabbitMQ: one, or those of all nodes of a cluster, tried in turn. A comma in a password is written as %2C."`
	AMQPURLFile string `name:"amqp-url-file" type:"existingfile" placeholder:"FILE" help:"File that holds --amqp-url."`
}

// broker gives the broker of the settings for a process of this name, or nil where
// they name none.
func (b brokerSettings) broker(process string) (*bus.Broker, error) {
	text, err := oneOf(b.AMQPURL, b.AMQPURLFile)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, nil
	}
	addresses, err := bus.ParseAddresses(text)
	if err != nil {
		return nil, wrongArgument("--amqp-url: %w", err)
	}
	key, err := b.key()
	if err != nil {
		return nil, err
	}
	return &bus.Broker{Addresses: addresses, Key: key, Process: process, Version: version()}, nil
}

// brokerCommand is about what an installation needs at RabbitMQ.
type brokerCommand struct {
	Key    newBrokerKey `cmd:"" help:"Print a broker key for a new installation, or one more line for an installation whose secret is replaced."`
	Rights brokerRights `cmd:"" help:"Print the commands that give RabbitMQ's users the rights they need, and no others."`
}

type newBrokerKey struct {
	For string `placeholder:"FILE" type:"existingfile" help:"Broker key of an installation that has one: print it with a new secret as its last line. Give that to every process; then move the new line to the top, give it to every process again; then delete the old line. At no moment is a message lost."`
}

func (k newBrokerKey) Run(c *console) error {
	var before, installation string
	if k.For != "" {
		text, err := os.ReadFile(k.For)
		if err != nil {
			return err
		}
		key, err := bus.ParseKey(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", k.For, err)
		}
		before, installation = strings.TrimRight(string(text), "\n")+"\n", key.Installation
	}
	line, err := bus.NewKeyLine(installation)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s%s\n", before, line)
	return nil
}

type brokerRights struct {
	keySettings
	Vhost   string `default:"kassa" placeholder:"NAME" help:"Virtual host. Default: ${default}."`
	Service string `default:"kassa" placeholder:"USER" help:"User of the processes with the roles relay, projector and matcher, and of kassa catalog import, doctor and deadletters. Default: ${default}."`
	Worker  string `default:"kassa_worker" placeholder:"USER" help:"User of the workers. Default: ${default}."`
}

func (r brokerRights) Run(c *console) error {
	key, err := r.key()
	if err != nil {
		return err
	}
	for _, u := range []struct {
		name string
		bus.Rights
	}{{r.Service, key.ServiceRights()}, {r.Worker, key.WorkerRights()}} {
		fmt.Fprintf(c.out, "rabbitmqctl set_permissions --vhost %s %s '%s' '%s' '%s'\n", r.Vhost, u.name, u.Configure, u.Write, u.Read)
	}
	return nil
}
