package deadline_test

import (
	"context"
	"testing"
	"time"

	"kassa/httpapi/deadline"
)

type key struct{}

func TestDeadlines(t *testing.T) {
	client, leave := context.WithCancel(t.Context())
	limited, cancel := deadline.Limit(client, time.Nanosecond)
	defer cancel()
	<-limited.Done()
	valued := context.WithValue(limited, key{}, "ada")
	firm, end := deadline.Firm(valued)
	defer end()
	lifted := deadline.Lifted(valued)
	if firm.Err() != context.DeadlineExceeded || firm.Value(key{}) != "ada" {
		t.Errorf("after the deadline a command's context is %v, of %v", firm.Err(), firm.Value(key{}))
	}
	if _, ok := lifted.Deadline(); ok || lifted.Err() != nil || lifted.Value(key{}) != "ada" {
		t.Errorf("without its deadline the context is %v, of %v", lifted.Err(), lifted.Value(key{}))
	}
	far, cancel := deadline.Limit(client, time.Hour)
	defer cancel()
	firm, end = deadline.Firm(far)
	defer end()
	leave()
	if far.Err() == nil || deadline.Lifted(far).Err() == nil {
		t.Error("the client has left, and its request goes on")
	}
	if firm.Err() != nil {
		t.Errorf("the client has left, and its command ends: %v", firm.Err())
	}
}
