package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kassa/internal/bus"
)

// brokerChecks look at RabbitMQ, each on a connection of its own. Where the first cannot
// connect, the others do not wait for the same.
func brokerChecks(broker bus.Broker) []check {
	away := false
	on := func(look func(*bus.Inspection) (string, error)) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			if away {
				return "", warn("not looked at: the broker is away")
			}
			i, err := broker.Inspect(ctx)
			if err != nil {
				away = true
				return "", err
			}
			defer i.Close()
			return look(i)
		}
	}
	return []check{
		{"broker", on(lookAtBroker)},
		{"broker's queues", on(lookAtQueues)},
		{"broker's rights", on(lookAtBrokerRights)},
		{"broker's alarms", on(lookAtAlarms)},
		{"older queues", on(lookAtOlderQueues)},
		{"dead letters", on(lookAtDeadLetters)},
	}
}

func lookAtBroker(i *bus.Inspection) (string, error) {
	if major, _ := strconv.Atoi(strings.SplitN(i.Version, ".", 2)[0]); major < 4 {
		return "", fmt.Errorf("RabbitMQ %s: 4.0 or later is needed, whose quorum queues count deliveries as we rely on", i.Version)
	}
	for _, host := range slices.Sorted(maps.Keys(i.Away)) {
		return "", warn("RabbitMQ %s; %s is away, of several addresses: %s", i.Version, host, i.Away[host])
	}
	return "RabbitMQ " + i.Version, nil
}

func lookAtQueues(i *bus.Inspection) (string, error) {
	missing, different, err := i.Queues()
	switch {
	case err != nil:
		return "", err
	case len(different) > 0:
		queue := slices.Sorted(maps.Keys(different))[0]
		return "", fmt.Errorf("%s has other arguments than this version wants (%s): stop the service, let it be empty, rabbitmqctl delete_queue %s, start again", queue, different[queue], queue)
	case len(missing) > 0:
		return "", warn("%s: not there; the process with the role relay makes them when it connects", strings.Join(missing, ", "))
	}
	return "all there", nil
}

func lookAtBrokerRights(i *bus.Inspection) (string, error) {
	may, err := i.Excess()
	switch {
	case err != nil:
		return "", err
	case len(may) > 0:
		return "", warn("this user may %s: kassa broker rights says what it needs", strings.Join(may, " and "))
	}
	return "this user reaches the queues of this installation only", nil
}

func lookAtAlarms(i *bus.Inspection) (string, error) {
	reason, err := i.Blocked()
	switch {
	case err != nil:
		return "", fmt.Errorf("it takes no message: %w; kassa broker rights says what the user needs", err)
	case reason != "":
		return "", fmt.Errorf("it takes no messages (%s): rabbitmqctl status names the alarm; free memory or disk", reason)
	}
	return "it takes messages", nil
}

func lookAtOlderQueues(i *bus.Inspection) (string, error) {
	left, err := i.Older()
	if err != nil {
		return "", err
	}
	if len(left) == 0 {
		return "none", nil
	}
	var all []string
	for _, queue := range slices.Sorted(maps.Keys(left)) {
		all = append(all, fmt.Sprintf("%s (%d messages)", queue, left[queue]))
	}
	return "", warn("%s: left by a version before names had the installation, which kept questions unsealed; when no process of that version runs, rabbitmqctl delete_queue each", strings.Join(all, ", "))
}

func lookAtDeadLetters(i *bus.Inspection) (string, error) {
	n, err := i.DeadLetters()
	if err != nil {
		return "", err
	}
	if n > 0 {
		return "", warn("%d messages failed for good: kassa deadletters list", n)
	}
	return "none", nil
}
