package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const smallModel = "../../worker/testdata/unigram"

func TestModelCommands(t *testing.T) {
	data := t.TempDir()
	says := func(code int, want string, args ...string) {
		t.Helper()
		got, out, complaints := kassa(t, append([]string{"model", "--data", data}, args...)...)
		if got != code || !strings.Contains(out+complaints, want) {
			t.Errorf("kassa model %s: exit code %d, %s%s; want %d and %q", strings.Join(args, " "), got, out, complaints, code, want)
		}
	}
	says(0, "known vectors of 3 check texts", "add", "tiny", smallModel)
	says(1, "is there", "add", "tiny", smallModel)
	says(2, "owner/name@revision", "add", "other", "nowhere")
	says(2, "small Latin letters", "add", "Other", smallModel)
	says(0, "tiny-", "list")
	says(0, "known vectors", "check", "tiny")
	checks := filepath.Join(data, "checks.json")
	if err := os.WriteFile(checks, []byte(`[{"text":"gold","vector":[1,0,0,0,0,0,0,0]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	says(1, "check text 0 is off", "add", "other", smallModel, "--checks", checks)
	if code, out, complaints := kassa(t, "catalog", "search", "--data", data, "--model", "tiny", "Chaplin"); code != 0 {
		t.Errorf("search with the model: exit code %d, %s%s", code, out, complaints)
	}
	// Doctor looks at added models too, and leaves the folder as it is.
	before, _ := os.ReadDir(filepath.Join(data, "models"))
	looked := func() string {
		_, out, _ := kassa(t, "doctor", "--data", data, "--model", "tiny,built-in", "--addr", "127.0.0.1:0")
		return out
	}
	if out := looked(); !regexp.MustCompile(`ok +model +tiny-\S+, \S+, two texts`).MatchString(out) {
		t.Errorf("doctor: %s", out)
	}
	if after, _ := os.ReadDir(filepath.Join(data, "models")); len(after) != len(before) {
		t.Errorf("doctor leaves %v, where %v were", after, before)
	}
	if err := os.Truncate(filepath.Join(data, "models", "tiny", "model.onnx"), 1000); err != nil {
		t.Fatal(err)
	}
	says(1, "model.onnx", "check", "tiny")
	if code, _, complaints := kassa(t, "catalog", "search", "--data", data, "--model", "tiny", "Chaplin"); code != 1 || !strings.Contains(complaints, "not the one that was pinned") {
		t.Errorf("search with a damaged model: exit code %d, %s", code, complaints)
	}
	if out := looked(); !regexp.MustCompile(`fault +model +.*not the one that was pinned`).MatchString(out) {
		t.Errorf("doctor of a damaged model: %s", out)
	}
	says(0, "removed", "remove", "tiny")
	says(1, "no such model", "check", "tiny")
}
