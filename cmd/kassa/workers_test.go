package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kassa/catalog"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// anotherModel is the built-in one under another name: a model is named by the
// content of its files.
func anotherModel(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"model.onnx", "tokenizer.json", "config.json"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "worker", "model", name))
		if name == "tokenizer.json" {
			content = append(content, '\n')
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Films are embedded by the workers, in bulk and with their model, which this process
// does not have; one worker dies in the middle. Questions are answered with it then.
func TestImportThroughWorkers(t *testing.T) {
	database, broker := schematest.Postgres(t), bustest.New(t).Address
	data, model := t.TempDir(), anotherModel(t)
	here := []string{"--data", data, "--database-url", database}
	s := serve(t, data, "--database-url", database, "--amqp-url", broker, "--roles", "api,relay,projector,matcher")
	dying := startWorker(t, data, broker, "--model", model)
	startWorker(t, data, broker, "--model", model)
	imported := make(chan string, 1)
	go func() {
		code, out, complaints := kassa(t, append([]string{"catalog", "import", "--amqp-url", broker}, here...)...)
		if code != 0 {
			t.Errorf("import: exit code %d, %s", code, complaints)
		}
		imported <- out
	}()
	dying.kill()
	said := <-imported
	shipped, err := catalog.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "0 added") || strings.Contains(said, " 0 embedded") || strings.Contains(said, "kassa-static") {
		t.Errorf("%d films were there without a vector of that model: %s", len(shipped), said)
	}
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	a := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "black and white, jurors argue in a hot room", wait: 30})
	movies, _ := a.body["movies"].([]any)
	if a.status != http.StatusOK || len(movies) == 0 || movies[0].(map[string]any)["movie_id"] != "12-angry-men-1957" {
		t.Errorf("%d %v", a.status, a.body)
	}
	if code, _, complaints := kassa(t, append([]string{"catalog", "import", filepath.Join(data, "none.json"), "--amqp-url", broker}, here...)...); code != exitFailed || !strings.Contains(complaints, "none.json") {
		t.Errorf("films that are not there: exit code %d, %s", code, complaints)
	}
	if code, _, complaints := kassa(t, append([]string{"catalog", "import", "--amqp-url", "http://127.0.0.1:1"}, here...)...); code != exitUsage || !strings.Contains(complaints, "not an amqp:// URL") {
		t.Errorf("an address of no broker: exit code %d, %s", code, complaints)
	}
	mustVerify(t, data, "--database-url", database)
}
