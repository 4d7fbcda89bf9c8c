package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"
)

// oneOf gives a value that may be in a file instead. A file is there to be used: an
// empty one is an error, not a setting that was left out.
func oneOf(value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	if value != "" {
		return "", wrongArgument("the same setting is given directly and by the file %s: leave one away", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", wrongArgument("read a setting: %w", err)
	}
	value = strings.TrimRight(string(text), "\r\n")
	if why := odd(value); why != "" {
		return "", wrongArgument("%s %s", file, why)
	}
	return value, nil
}

// odd gives what is wrong with the text of a setting, "" where nothing is: what an
// editor, a shell or a template put there by mistake would name another thing, or none.
func odd(value string) string {
	first, last := value[:min(len(value), 1)], value[max(len(value)-1, 0):]
	switch {
	case strings.TrimSpace(value) == "":
		return "is empty"
	case strings.ContainsRune(value, '\uFEFF'):
		return "has a byte order mark"
	case strings.ContainsFunc(value, unicode.IsControl):
		return "has more than one line, or a control character"
	case strings.TrimSpace(value) != value:
		return "has spaces around it"
	case first == last && strings.Contains("\"'`", first):
		return "is in quotes"
	}
	return ""
}

// checkTexts looks at all settings that are texts, wherever they came from: an
// environment variable that is set and empty is no default.
func checkTexts(flags []*kong.Flag) error {
	for _, flag := range flags {
		if !flag.Set || flag.Target.Kind() != reflect.String || flag.HasDefault && flag.Target.String() == flag.Default {
			continue
		}
		if why := odd(flag.Target.String()); why != "" {
			return fmt.Errorf("--%s (%s) %s", flag.Name, strings.Join(flag.Envs, ", "), why)
		}
	}
	return nil
}

// nameConnections gives the sessions of this process a name in the database's list. A name in the address, or in the environment, counts more.
func nameConnections(what string) {
	if os.Getenv("PGAPPNAME") != "" {
		return
	}
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	_ = os.Setenv("PGAPPNAME", fmt.Sprintf("kassa %s %s %.12s", what, host, version())) // a name without a NUL is taken
}
