package audittest_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
)

// changedViews are views with changed answers.
type changedViews struct {
	projections.Views
	change func(answer any)
}

func (l changedViews) Trial(ctx context.Context, at eventstore.Position) (projections.Trial, error) {
	t, err := l.Views.Trial(ctx, at)
	l.change(&t)
	return t, err
}

func (l changedViews) Users(ctx context.Context, q projections.PageQuery, at eventstore.Position) (projections.Page[projections.User], eventstore.Position, error) {
	p, from, err := l.Views.Users(ctx, q, at)
	l.change(&p)
	return p, from, err
}

func (l changedViews) Transactions(ctx context.Context, u domain.UserID, q projections.TransactionQuery, at eventstore.Position) (projections.Page[projections.Transaction], eventstore.Position, error) {
	p, from, err := l.Views.Transactions(ctx, u, q, at)
	l.change(&p)
	return p, from, err
}

func (l changedViews) Predictions(ctx context.Context, u domain.UserID, q projections.PredictionQuery, at eventstore.Position) (projections.Page[projections.Prediction], eventstore.Position, error) {
	p, from, err := l.Views.Predictions(ctx, u, q, at)
	l.change(&p)
	return p, from, err
}

// workloadViews are the views of a workload with every kind of event.
func workloadViews(t *testing.T) *projections.Memory {
	t.Helper()
	views, workload := projections.NewMemory(), eventstoretest.NewWorkload(3, 4)
	var at eventstore.Position
	versions := map[eventstore.Stream]eventstore.Version{}
	for range 200 {
		a := workload.Append(6)
		for _, w := range a.Writes {
			for _, e := range w.Events {
				at++
				versions[w.Stream]++
				rec := eventstore.Recorded{Envelope: eventstore.Envelope{Position: at, Stream: w.Stream, Version: versions[w.Stream],
					Type: e.Type(), Time: a.Time, Actor: a.Actor, Cause: a.Cause}, Event: e}
				if err := views.Apply([]eventstore.Recorded{rec}); err != nil {
					t.Fatal(err)
				}
				workload.Record([]eventstore.Recorded{rec})
			}
		}
	}
	return views
}

// A change of any field, in one line of one answer, is a difference.
func TestCompareViewsFindsEveryField(t *testing.T) {
	views := workloadViews(t)
	if err := audittest.CompareViews(t.Context(), views, views); err != nil {
		t.Fatalf("views differ from themselves: %v", err)
	}
	for _, kind := range []any{projections.Trial{}, projections.Page[projections.User]{}, projections.Page[projections.Transaction]{},
		projections.Page[projections.Prediction]{}} {
		for _, path := range fields(t, reflect.TypeOf(kind)) {
			t.Run(fmt.Sprintf("%T %s", kind, strings.Join(path, ".")), func(t *testing.T) {
				done := false
				err := audittest.CompareViews(t.Context(), changedViews{views, func(answer any) {
					v := reflect.ValueOf(answer).Elem()
					done = done || v.Type() == reflect.TypeOf(kind) && changed(v, path)
				}}, views)
				if !done {
					t.Fatal("no answer has the field")
				}
				if err == nil || !strings.Contains(err.Error(), "views differ in the ") {
					t.Errorf("the difference is %v", err)
				}
			})
		}
	}
}

// fields lists the paths to all fields that can be changed.
func fields(t *testing.T, kind reflect.Type) (paths [][]string) {
	switch {
	case kind.Kind() == reflect.Struct && kind != reflect.TypeFor[time.Time]():
		for i := range kind.NumField() {
			for _, path := range fields(t, kind.Field(i).Type) {
				paths = append(paths, append([]string{kind.Field(i).Name}, path...))
			}
		}
		return paths
	case kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Struct:
		return append(fields(t, kind.Elem()), []string{})
	}
	return [][]string{{}}
}

// changed changes the value at the end of the path, in the first element that has one;
// false if there is none.
func changed(v reflect.Value, path []string) bool {
	switch {
	case v.Kind() == reflect.Struct && len(path) > 0:
		return changed(v.FieldByName(path[0]), path[1:])
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		if v.Len() == 0 {
			return false
		}
		// The list in the views must not change.
		v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v))
		if len(path) == 0 {
			v.Set(v.Slice(0, v.Len()-1))
			return true
		}
		for i := range v.Len() {
			if changed(v.Index(i), path) {
				return true
			}
		}
		return false
	}
	switch field := v.Addr().Interface().(type) {
	case *time.Time:
		*field = field.Add(time.Microsecond)
	case *bool:
		*field = !*field
	case *map[domain.LedgerAccount]domain.Credits:
		copied := map[domain.LedgerAccount]domain.Credits{"house:cash": (*field)["house:cash"] + 1}
		*field = copied
	case *[]string:
		*field = append(slices.Clone(*field), "x")
	case *domain.Sealed:
		*field = append(append(domain.Sealed{}, *field...), 0)
	default:
		switch v.Kind() {
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
		case reflect.Float64:
			v.SetFloat(v.Float() + 0.5)
		case reflect.String:
			v.SetString(v.String() + "x")
		default:
			panic("a field of a kind that this test does not know: " + v.Type().String())
		}
	}
	return true
}
