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
	detached, end := deadline.Detached(valued)
	defer end()
	lifted := deadline.WithoutLimit(valued)
	if detached.Err() != context.DeadlineExceeded || detached.Value(key{}) != "ada" {
		t.Errorf("after the deadline a command's context is %v, of %v", detached.Err(), detached.Value(key{}))
	}
	if _, ok := lifted.Deadline(); ok || lifted.Err() != nil || lifted.Value(key{}) != "ada" {
		t.Errorf("without its deadline the context is %v, of %v", lifted.Err(), lifted.Value(key{}))
	}
	far, cancel := deadline.Limit(client, time.Hour)
	defer cancel()
	detached, end = deadline.Detached(far)
	defer end()
	leave()
	if far.Err() == nil || deadline.WithoutLimit(far).Err() == nil {
		t.Error("the client has left, and its request goes on")
	}
	if detached.Err() != nil {
		t.Errorf("the client has left, and its command ends: %v", detached.Err())
	}
}
