package worker

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func FuzzHandle(f *testing.F) {
	for _, seed := range []string{
		`{"text":"остров","timestamp":"2025-08-19T12:00:00Z"}`, `{"text":""}`, `{}`, `[`, `{"text":"[CLS]\u0000\ud800"}`,
		`{"text":"` + strings.Repeat("ё,", 600) + `"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		e := builtInModel(t)
		good := []byte(`{"text":"a ship in the ice"}`)
		answers, faults := Models{e}.Handle(t.Context(), [][]byte{message, good})
		if faults[1] != nil {
			t.Fatalf("a good request beside it fails: %v", faults[1])
		}
		out, err := answers[0], faults[0]
		if err != nil {
			if !errors.Is(err, ErrBadRequest) && !errors.Is(err, ErrNoMeaning) {
				t.Fatalf("a message can only be bad or without meaning: %v", err)
			}
			return
		}
		var a Answer
		if err := json.Unmarshal(out, &a); err != nil || !isUnit(a.Embedding) {
			t.Fatalf("answer is %.80s: %v", out, err)
		}
	})
}

func BenchmarkEmbed(b *testing.B) {
	e := builtInModel(b)
	for b.Loop() {
		if _, err := e.Embed(b.Context(), "пустынная планета, спички дороже денег"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEmbedParallel(b *testing.B) {
	e := builtInModel(b)
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := e.Embed(context.Background(), "пустынная планета, спички дороже денег"); err != nil {
				b.Error(err)
			}
		}
	})
}
