package kubernetes

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var maxFile = regexp.MustCompile(`MaxFile = (\d+) << 20`)

// Where admins send films the Ingress takes the largest file, with the form around it.
func TestFilesOfFilmsPass(t *testing.T) {
	found := maxFile.FindStringSubmatch(file(t, "httpapi/editing/upload.go"))
	if found == nil {
		t.Fatal("httpapi/editing has no MaxFile in MiB")
	}
	most, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	takes := map[string]int{} // MiB by path
	for _, i := range read(t).ingresses {
		size, ok := strings.CutSuffix(i.Annotations["nginx.ingress.kubernetes.io/proxy-body-size"], "m")
		if !ok {
			continue
		}
		for _, path := range i.Spec.Rules[0].HTTP.Paths {
			if takes[path.Path], err = strconv.Atoi(size); err != nil {
				t.Error(err)
			}
		}
	}
	for _, path := range []string{"/web/admin/film", "/web/admin/films", "/api/admin/films", "/api/admin/catalogue"} {
		if takes[path] <= most {
			t.Errorf("%s takes %d MiB, and a file has up to %d", path, takes[path], most)
		}
	}
}
