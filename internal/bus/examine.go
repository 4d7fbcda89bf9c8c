package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	amqp091 "github.com/rabbitmq/amqp091-go"
)

// Examine looks at a broker and changes nothing. It says what is there, or in an
// error what is wrong and how to mend it.
func Examine(ctx context.Context, address string) (string, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(5 * time.Second)
	}
	conn, err := amqp091.DialConfig(address, amqp091.Config{Dial: amqp091.DefaultDial(time.Until(deadline) / 2)})
	if err != nil {
		return "", errors.New("it does not answer: is its address right, and may the user enter the virtual host?")
	}
	defer conn.Close()
	version, _ := conn.Properties["version"].(string)
	if major, _ := strconv.Atoi(strings.SplitN(version, ".", 2)[0]); major < 4 {
		return "", fmt.Errorf("RabbitMQ %s: 4.0 or later is needed, whose quorum queues count deliveries as we rely on", version)
	}
	missing, waiting := 0, 0
	for queue := range queues {
		channel, err := conn.Channel() // a failed look closes its channel
		if err != nil {
			return "", err
		}
		found, err := channel.QueueDeclarePassive(queue, true, false, false, false, queues[queue])
		switch {
		case err != nil:
			missing++
		case queue == keptQueue:
			waiting = found.Messages
		}
		_ = channel.Close()
	}
	if missing == len(queues) {
		return fmt.Sprintf("RabbitMQ %s, no queues yet: they are made when the service starts", version), nil
	}
	if missing > 0 {
		return "", fmt.Errorf("RabbitMQ %s: %d of %d queues are missing; the service makes them again when it connects", version, missing, len(queues))
	}
	if waiting > 0 {
		return fmt.Sprintf("RabbitMQ %s, all queues; %d messages that failed are kept in %s", version, waiting, keptQueue), nil
	}
	return fmt.Sprintf("RabbitMQ %s, all queues", version), nil
}
