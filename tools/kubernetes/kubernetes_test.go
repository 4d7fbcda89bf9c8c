// Package kubernetes checks the manifests in docker/kubernetes: they are rendered by
// kustomize's own library, read strictly as the types of the Kubernetes API, held against the
// Pod Security Standards, and every name in them is looked for. No cluster is needed, and none
// has been tried.
package kubernetes

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

var update = flag.Bool("update", false, "write the rendered manifests")

const (
	root      = "../.."
	manifests = root + "/docker/kubernetes/"
)

// overlays are rendered, and the result is in the repository for review.
var overlays = map[string]string{"example": "rendered.yaml", "example/migrate": "rendered-migrate.yaml"}

func render(t *testing.T, overlay string) []byte {
	t.Helper()
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), manifests+overlay)
	if err != nil {
		t.Fatal(err)
	}
	text, err := objects.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What is in the repository for review is what kustomize makes of the rest.
func TestRendered(t *testing.T) {
	for overlay, name := range overlays {
		text := render(t, overlay)
		if *update {
			if err := os.WriteFile(manifests+name, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if kept, err := os.ReadFile(manifests + name); err != nil || !bytes.Equal(kept, text) {
			t.Errorf("%s is not what %s gives (%v): go -C tools/kubernetes test -update", name, overlay, err)
		}
	}
}

// workload is what runs pods.
type workload struct {
	name     string
	replicas int // that are asked for; 2 where an autoscaler decides
	selector *metav1.LabelSelector
	template corev1.PodTemplateSpec
}

// cluster is all that the overlays define, by kind.
type cluster struct {
	workloads  []workload
	services   []*corev1.Service
	budgets    []*policyv1.PodDisruptionBudget
	policies   []*networkingv1.NetworkPolicy
	scalers    []*autoscalingv2.HorizontalPodAutoscaler
	ingresses  []*networkingv1.Ingress
	configMaps map[string]*corev1.ConfigMap
}

// read gives the objects, which must have no field that their type lacks, and none twice.
func read(t *testing.T) cluster {
	t.Helper()
	c := cluster{configMaps: map[string]*corev1.ConfigMap{}}
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for overlay := range overlays {
		for _, text := range strings.Split(string(render(t, overlay)), "\n---\n") {
			object, kind, err := strict.Decode([]byte(text), nil, nil)
			if err != nil {
				t.Fatalf("%s: %v, in\n%s", overlay, err, text)
			}
			if namespace := object.(metav1.Object).GetNamespace(); namespace != "kassa" {
				t.Errorf("a %s is in the namespace %q", kind.Kind, namespace)
			}
			c.add(t, object)
		}
	}
	return c
}

func (c *cluster) add(t *testing.T, object runtime.Object) {
	t.Helper()
	replicas := func(n *int32) int {
		if n == nil {
			return 2
		}
		return int(*n)
	}
	switch o := object.(type) {
	case *appsv1.Deployment:
		c.workloads = append(c.workloads, workload{o.Name, replicas(o.Spec.Replicas), o.Spec.Selector, o.Spec.Template})
	case *appsv1.StatefulSet:
		c.workloads = append(c.workloads, workload{o.Name, replicas(o.Spec.Replicas), o.Spec.Selector, o.Spec.Template})
	case *batchv1.Job:
		own := &metav1.LabelSelector{MatchLabels: o.Spec.Template.Labels}
		c.workloads = append(c.workloads, workload{o.Name, 1, own, o.Spec.Template})
	case *corev1.Service:
		c.services = append(c.services, o)
	case *policyv1.PodDisruptionBudget:
		c.budgets = append(c.budgets, o)
	case *networkingv1.NetworkPolicy:
		c.policies = append(c.policies, o)
	case *autoscalingv2.HorizontalPodAutoscaler:
		c.scalers = append(c.scalers, o)
	case *networkingv1.Ingress:
		c.ingresses = append(c.ingresses, o)
	case *corev1.ConfigMap:
		c.configMaps[o.Name] = o
	default:
		t.Errorf("nothing here checks a %T", object)
	}
}

// selected gives the workloads whose pods a selector takes.
func (c *cluster) selected(t *testing.T, s *metav1.LabelSelector) (found []workload) {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range c.workloads {
		if selector.Matches(labels.Set(w.template.Labels)) {
			found = append(found, w)
		}
	}
	return found
}

// Every pod keeps the strictest of the Pod Security Standards, has no token of the cluster,
// and writes to its volumes only.
func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	c := read(t)
	if len(c.workloads) != 4 {
		t.Errorf("%d workloads", len(c.workloads))
	}
	for _, w := range c.workloads {
		for _, result := range evaluator.EvaluatePod(level, &w.template.ObjectMeta, &w.template.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s: %s", w.name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		spec := w.template.Spec
		if mounted := spec.AutomountServiceAccountToken; mounted == nil || *mounted {
			t.Errorf("%s gets a token of the cluster", w.name)
		}
		if links := spec.EnableServiceLinks; links == nil || *links {
			t.Errorf("%s gets variables KASSA_… of the services", w.name)
		}
		for _, container := range spec.Containers {
			if only := container.SecurityContext.ReadOnlyRootFilesystem; only == nil || !*only {
				t.Errorf("%s can write into its image", w.name)
			}
			if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() {
				t.Errorf("%s has no limit of memory, or asks for no processor", w.name)
			}
			if container.Image != "registry.example/kassa:1.0" {
				t.Errorf("%s runs %s", w.name, container.Image)
			}
		}
	}
}

// The keys of the secrets are files of docker/make-secrets, and no pod has one that it does
// not need.
func TestSecrets(t *testing.T) {
	made := t.TempDir()
	cmd := exec.Command(root + "/docker/make-secrets")
	cmd.Env = append(os.Environ(), "KASSA_SECRETS="+made)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := map[string]string{
		"kassa-api":     "kassa: database-url installation-key",
		"kassa-backend": "kassa: database-url installation-key amqp-url broker-key log-key",
		"kassa-worker":  "kassa: amqp-worker-url broker-key",
		"kassa-migrate": "kassa-owner: database-owner-url",
	}
	for _, w := range read(t).workloads {
		for _, volume := range w.template.Spec.Volumes {
			if volume.Secret == nil {
				continue
			}
			has := volume.Secret.SecretName + ":"
			for _, item := range volume.Secret.Items {
				has += " " + item.Key
				if _, err := os.Stat(filepath.Join(made, item.Key)); err != nil {
					t.Errorf("%s: docker/make-secrets makes no %s", w.name, item.Key)
				}
			}
			if has != want[w.name] {
				t.Errorf("%s has %q, want %q", w.name, has, want[w.name])
			}
			delete(want, w.name)
		}
	}
	for name := range want {
		t.Errorf("%s has no secrets", name)
	}
}

// Every variable is a setting of the command that gets it, every file in one is mounted, and
// every address for a probe is a port.
func TestSettings(t *testing.T) {
	c := read(t)
	for _, w := range c.workloads {
		container := w.template.Spec.Containers[0]
		settings := map[string]string{}
		for _, from := range container.EnvFrom {
			found := c.configMaps[from.ConfigMapRef.Name]
			if found == nil {
				t.Fatalf("%s: there is no ConfigMap %s", w.name, from.ConfigMapRef.Name)
			}
			for name, value := range found.Data {
				settings[name] = value
			}
		}
		for _, env := range container.Env {
			settings[env.Name] = env.Value
		}
		flags := flagsOf(t, container.Args[0])
		for name, value := range settings {
			if !flags[strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "KASSA_"), "_", "-"))] {
				t.Errorf("%s: kassa %s has no setting %s", w.name, container.Args[0], name)
			}
			if strings.HasPrefix(value, "/") && !mounted(w.template.Spec, value) {
				t.Errorf("%s: nothing is mounted at %s (%s)", w.name, value, name)
			}
			if port, ok := strings.CutPrefix(value, ":"); ok && !hasPort(container, intstr.Parse(port)) {
				t.Errorf("%s listens on %s (%s), which is no port of it", w.name, value, name)
			}
		}
	}
}

var flagInHelp = regexp.MustCompile(`--(?:\[no-\])?([a-z0-9-]+)`)

func flagsOf(t *testing.T, command string) map[string]bool {
	t.Helper()
	cmd := exec.Command("go", "run", "./cmd/kassa", command, "--help")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	flags := map[string]bool{}
	for _, found := range flagInHelp.FindAllStringSubmatch(string(out), -1) {
		flags[found[1]] = true
	}
	return flags
}

// mounted: the file is one of the secrets, or in a folder that can be written.
func mounted(spec corev1.PodSpec, file string) bool {
	for _, mount := range spec.Containers[0].VolumeMounts {
		name, inside := strings.CutPrefix(file, mount.MountPath+"/")
		if !inside {
			continue
		}
		if !mount.ReadOnly {
			return true
		}
		return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
			return v.Name == mount.Name && slices.ContainsFunc(v.Secret.Items, func(k corev1.KeyToPath) bool { return k.Path == name })
		})
	}
	return false
}

func hasPort(container corev1.Container, port intstr.IntOrString) bool {
	return slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool {
		return p.Name == port.StrVal && port.Type == intstr.String || p.ContainerPort == port.IntVal && port.Type == intstr.Int
	})
}

// Probes, services, budgets, autoscalers, the Ingress and the network's rules name what is
// there.
func TestNames(t *testing.T) {
	c := read(t)
	for _, w := range c.workloads {
		if !slices.ContainsFunc(c.selected(t, w.selector), func(s workload) bool { return s.name == w.name }) {
			t.Errorf("%s does not select its own pods", w.name)
		}
		container := w.template.Spec.Containers[0]
		for _, probe := range []*corev1.Probe{container.StartupProbe, container.ReadinessProbe, container.LivenessProbe} {
			if w.name != "kassa-migrate" && (probe == nil || !hasPort(container, probe.HTTPGet.Port)) {
				t.Errorf("%s: a probe is missing, or asks at no port", w.name)
			}
		}
	}
	for _, s := range c.services {
		pods := c.selected(t, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		if len(pods) != 1 || !hasPort(pods[0].template.Spec.Containers[0], s.Spec.Ports[0].TargetPort) {
			t.Errorf("the service %s leads to %d workloads, or to no port", s.Name, len(pods))
		}
	}
	for _, b := range c.budgets {
		if pods := c.selected(t, b.Spec.Selector); len(pods) != 1 || pods[0].replicas <= b.Spec.MinAvailable.IntValue() {
			t.Errorf("the budget %s holds for %d workloads, or lets nothing be moved", b.Name, len(pods))
		}
	}
	for _, s := range c.scalers {
		target := s.Spec.ScaleTargetRef
		if !slices.ContainsFunc(c.workloads, func(w workload) bool { return w.name == target.Name }) {
			t.Errorf("the autoscaler %s has no target %s", s.Name, target.Name)
		}
		for _, metric := range s.Spec.Metrics {
			if metric.External != nil && !strings.Contains(file(t, "docs/metrics.md"), "`"+metric.External.Metric.Name+"`") {
				t.Errorf("the autoscaler %s goes by %s, which is not among the metrics", s.Name, metric.External.Metric.Name)
			}
		}
	}
	for _, i := range c.ingresses {
		for _, path := range i.Spec.Rules[0].HTTP.Paths {
			to := path.Backend.Service
			if !slices.ContainsFunc(c.services, func(s *corev1.Service) bool { return s.Name == to.Name && s.Spec.Ports[0].Name == to.Port.Name }) {
				t.Errorf("the Ingress %s leads to %s, which is not there", i.Name, to.Name)
			}
		}
	}
}

// What each process may reach: the worker no database, the API no broker, none the world.
func TestNetwork(t *testing.T) {
	want := map[string]string{
		"kassa-api":     "in: 9464 8080; out: 53 5432",
		"kassa-backend": "in: 9464; out: 53 5432 5671 5672",
		"kassa-worker":  "in: 9464; out: 53 5671 5672",
		"kassa-migrate": "in: ; out: 53 5432",
	}
	c := read(t)
	for _, w := range c.workloads {
		in, out := []string{}, []string{}
		closed := map[networkingv1.PolicyType]bool{}
		for _, p := range c.policies {
			if !slices.ContainsFunc(c.selected(t, &p.Spec.PodSelector), func(s workload) bool { return s.name == w.name }) {
				continue
			}
			for _, kind := range p.Spec.PolicyTypes {
				closed[kind] = true
			}
			for _, rule := range p.Spec.Ingress {
				if len(rule.From) == 0 {
					t.Errorf("%s lets anybody in", p.Name)
				}
				in = append(in, numbers(w.template.Spec.Containers[0], rule.Ports)...)
			}
			for _, rule := range p.Spec.Egress {
				out = append(out, numbers(w.template.Spec.Containers[0], rule.Ports)...)
			}
		}
		slices.Sort(out)
		slices.SortFunc(in, func(a, b string) int { return strings.Compare(b, a) })
		if got := "in: " + strings.Join(in, " ") + "; out: " + strings.Join(slices.Compact(out), " "); got != want[w.name] || len(closed) != 2 {
			t.Errorf("%s: %q, want %q", w.name, got, want[w.name])
		}
	}
}

// numbers gives the ports of a rule; one with no port of it lets everything through.
func numbers(container corev1.Container, ports []networkingv1.NetworkPolicyPort) (list []string) {
	if len(ports) == 0 {
		return []string{"all"}
	}
	for _, p := range ports {
		if p.Port.Type == intstr.Int {
			list = append(list, p.Port.String())
			continue
		}
		for _, of := range container.Ports {
			if of.Name == p.Port.StrVal {
				n := intstr.FromInt32(of.ContainerPort)
				list = append(list, n.String())
			}
		}
	}
	return list
}

func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
