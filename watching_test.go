package kassa_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alertRules is the file of alerts, as far as it is checked here. `go tool task watch`
// checks and runs it with Prometheus's own tools.
type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

// alertTests is the file of their tests.
type alertTests struct {
	Tests []struct {
		Cases []struct {
			Name   string `yaml:"alertname"`
			Alerts []any  `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// Each alert has a page, its line in the list of pages, a test in which it fires, and one
// in which it does not.
func TestAlertsHaveTestsAndPages(t *testing.T) {
	var rules alertRules
	var tests alertTests
	readYAML(t, "docker/watch/alerts.yml", &rules)
	readYAML(t, "docker/watch/alerts_test.yml", &tests)
	pages, err := filepath.Glob("docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string][2]int{} // how often it is silent, and fires
	for _, test := range tests.Tests {
		for _, c := range test.Cases {
			n := tested[c.Name]
			n[min(len(c.Alerts), 1)]++
			tested[c.Name] = n
		}
	}
	list := ours(t)["docs/runbooks/README.md"]
	wanted := []string{"docs/runbooks/README.md"}
	for _, rule := range rules.Groups[0].Rules {
		page := "docs/runbooks/" + strings.TrimPrefix(rule.Alert, "Kassa") + ".md"
		wanted = append(wanted, page)
		if rule.Annotations["runbook"] != page || rule.Annotations["summary"] == "" || !slices.Contains([]string{"page", "ticket"}, rule.Labels["severity"]) {
			t.Errorf("%s has the annotations %v and labels %v", rule.Alert, rule.Annotations, rule.Labels)
		}
		if n := tested[rule.Alert]; n[0] == 0 || n[1] == 0 {
			t.Errorf("%s is silent in %d tests, and fires in %d", rule.Alert, n[0], n[1])
		}
		if shown := strings.ReplaceAll(rule.Expr, "|", `\|`); !strings.Contains(list, "("+filepath.Base(page)+") | `"+shown+"`") {
			t.Errorf("docs/runbooks/README.md does not list %s with %s", rule.Alert, shown)
		}
	}
	if slices.Sort(wanted); !slices.Equal(pages, wanted) {
		t.Errorf("the pages are %v, want %v", pages, wanted)
	}
}

var metricName = regexp.MustCompile(`\bkassa_[a-z0-9_]+`)

// Alerts, their pages and dashboards use metrics that exist: docs/metrics.md is generated
// from a full process.
func TestMetricsThatAreUsedExist(t *testing.T) {
	listed := ours(t)["docs/metrics.md"]
	known := func(metric string) bool {
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(metric, suffix); ok && strings.Contains(listed, "| `"+base+"` |") {
				return true
			}
		}
		return false
	}
	if known("kassa_no_such_metric") || !known("kassa_ready") {
		t.Fatal("this test cannot see what exists")
	}
	var files []string
	for _, pattern := range []string{"docker/watch/*.yml", "docker/watch/dashboards/*.json", "docs/runbooks/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".json") && !json.Valid(text) {
			t.Errorf("%s is no JSON", name)
		}
		for _, metric := range metricName.FindAllString(string(text), -1) {
			if !known(metric) {
				t.Errorf("%s names %s, which no process shows", name, metric)
			}
		}
	}
}
