//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const taskfile = `version: "3"
silent: true
tasks:
  args: printf '<%s>' {{.CLI_ARGS}}
  wait: sh -c "trap 'echo interrupted; exit 0' INT; echo ready; while true; do sleep 0.01; done"
  fail: exit 3
`

// goTool gives "go tool task" on a Taskfile of the test, from a folder below the root.
func goTool(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Taskfile.yml")
	if err := os.WriteFile(file, []byte(taskfile), 0o600); err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), "go", append([]string{"tool", "task", "--taskfile", file}, args...)...)
}

// Arguments and output are passed on as they are.
func TestArguments(t *testing.T) {
	out, err := goTool(t, "args", "--", "a b", "--c").Output()
	if err != nil || string(out) != "<a b><--c>" {
		t.Errorf("got %q, %v", out, err)
	}
}

// What fails in a task fails here.
func TestExitStatus(t *testing.T) {
	if out, err := goTool(t, "--exit-code", "fail").CombinedOutput(); err == nil || !strings.Contains(string(out), "exit status 3") {
		t.Errorf("got %v and %q, want a failure with exit status 3", err, out)
	}
}

// Ctrl-C reaches the command of a task, which ends in its own time.
func TestInterrupt(t *testing.T) {
	cmd := goTool(t, "--color=false", "wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell does
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the task began with %q", lines.Text())
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var ended strings.Builder // with what the runner prints of the signal, which may stand on the same line
	for lines.Scan() {
		ended.WriteString(lines.Text() + "\n")
	}
	if !strings.Contains(ended.String(), "interrupted") {
		t.Errorf("after the interrupt the task printed %q", ended.String())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the task ended with %v", err)
	}
}
