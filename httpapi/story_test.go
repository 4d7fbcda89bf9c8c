package httpapi

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore/eventstoretest"
	"kassa/httpapi/identity"
)

// A story is a text of requests and expectations, run against a new fixture:
//
//	POST /api/users/balance/adjust as ada -- {"amount":30}
//	> Idempotency-Key: k1
//	200 {"balance":40,"position":"<paid>"}
//	< Idempotent-Replayed: true
//
// "as ada" sends her Basic credentials, "as ada's browser" her cookies, "from
// 192.0.2.7" sets the client's address. Of a JSON answer only the named members are
// compared; an array must have the same length. "<paid>" stores a value, and $paid
// inserts it in later lines; "*" is any non-empty value, "-" is absent, and "~part" is
// a string that contains the part. Lines without a method are steps of the fixture; see
// step.
type story struct {
	*fixture
	t        *testing.T
	contract contract
	handler  http.Handler
	kept     map[string]string
	cookies  map[string]map[string]*http.Cookie // of each user's browser, by name
}

func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			limits := identity.Limits{Off: !strings.HasPrefix(filepath.Base(file), "limits")}
			w := newFixture(t, limits)
			s := &story{fixture: w, t: t, contract: theContract(t), handler: w.server.Handler(),
				kept: map[string]string{}, cookies: map[string]map[string]*http.Cookie{}}
			for _, p := range paragraphs(string(text)) {
				s.run(file, p)
			}
		})
	}
}

// paragraph is a request with its expectations, or one step of the fixture.
type paragraph struct {
	line  int // of its first line in the file
	lines []string
}

func paragraphs(text string) (list []paragraph) {
	scan, n := bufio.NewScanner(strings.NewReader(text)), 0
	open := false
	for scan.Scan() {
		n++
		line := strings.TrimSpace(scan.Text())
		switch {
		case line == "":
			open = false
		case strings.HasPrefix(line, "#"):
		case open:
			list[len(list)-1].lines = append(list[len(list)-1].lines, line)
		default:
			open = true
			list = append(list, paragraph{n, []string{line}})
		}
	}
	return list
}

var isRequest = regexp.MustCompile(`^[A-Z]+ /`)

func (s *story) run(file string, p paragraph) {
	s.t.Helper()
	at := fmt.Sprintf("%s:%d", filepath.Base(file), p.line)
	if isRequest.MatchString(p.lines[0]) {
		s.request(at, p.lines)
		return
	}
	for _, line := range p.lines {
		s.step(at, strings.Fields(line))
	}
}

func (s *story) step(at string, words []string) {
	s.t.Helper()
	order, rest := words[0], words[1:]
	switch order {
	case "admin", "dismiss":
		s.setAdmin(rest[0], order == "admin")
	case "answers":
		if rest[0] == "off" {
			s.env.Questions.Pause()
		} else {
			s.env.Questions.Resume()
		}
	case "clock":
		d, err := time.ParseDuration(rest[0])
		if err != nil {
			s.t.Fatalf("%s: %v", at, err)
		}
		s.clock.advance(d)
	case "expire":
		s.env.Expire()
	case "limits": // of what one admin does alone, and on a day
		var l domain.AdjustmentLimits
		if _, err := fmt.Sscan(strings.Join(rest, " "), &l.FourEyesAbove, &l.DailyLimit); err != nil {
			s.t.Fatalf("%s: %v", at, err)
		}
		s.server.Commands.Limits, s.server.Commands.ProposalLife = l, time.Hour
	case "proposals":
		if err := s.server.Commands.ExpireProposals(s.t.Context()); err != nil {
			s.t.Fatalf("%s: %v", at, err)
		}
	case "erase": // and the server has forgotten whom
		s.env.Erase()
		eventstoretest.Eventually(s.t, rest[0]+" is forgotten", func() bool {
			_, err := s.server.Commands.FindUser(s.t.Context(), email(rest[0]))
			return domain.RefusalIn(err) != nil
		})
	case "remove":
		if _, err := s.env.Catalogue.Remove(s.t.Context(), rest...); err != nil {
			s.t.Fatalf("%s: %v", at, err)
		}
	default:
		s.t.Fatalf("%s: unknown step %s", at, order)
	}
}

// theRequest splits a line: method, path, user, client address, body.
var theRequest = regexp.MustCompile(`^([A-Z]+) (\S+)(?: as ([a-z]+)('s browser)?)?(?: from (\S+))?(?: -- (.*))?$`)

func (s *story) request(at string, lines []string) {
	s.t.Helper()
	m := theRequest.FindStringSubmatch(s.fill(at, lines[0]))
	if m == nil {
		s.t.Fatalf("%s: not a request: %s", at, lines[0])
	}
	body := []byte(m[6])
	r := httptest.NewRequest(m[1], m[2], bytes.NewReader(body))
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	switch name := m[3]; {
	case name == "":
	case m[4] == "":
		basic(r, name)
	default:
		for _, c := range s.cookies[name] {
			r.AddCookie(c)
		}
	}
	if m[5] != "" {
		r.RemoteAddr = m[5] + ":40000"
	}
	expect := lines[1:]
	for len(expect) > 0 && strings.HasPrefix(expect[0], ">") {
		name, value, _ := strings.Cut(s.fill(at, expect[0][1:]), ":")
		r.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		if strings.TrimSpace(name) == "Host" {
			r.Host = strings.TrimSpace(value)
		}
		expect = expect[1:]
	}
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, r)
	s.contract.check(s.t, r, body, answer)
	for _, c := range answer.Result().Cookies() {
		if s.cookies[m[3]] == nil {
			s.cookies[m[3]] = map[string]*http.Cookie{}
		}
		s.cookies[m[3]][c.Name] = c
	}
	if len(expect) == 0 {
		s.t.Fatalf("%s: nothing is expected", at)
	}
	s.compare(at, expect, answer)
}

func (s *story) compare(at string, expect []string, answer *httptest.ResponseRecorder) {
	s.t.Helper()
	status, want, _ := strings.Cut(expect[0], " ")
	if code, err := strconv.Atoi(status); err != nil || code != answer.Code {
		s.t.Fatalf("%s: answered %d, want %s: %s", at, answer.Code, status, answer.Body)
	}
	if want != "" {
		var wanted, got any
		decodeJSON(s.t, answer.Body.Bytes(), &got)
		decodeJSON(s.t, []byte(want), &wanted)
		s.differ("", wanted, got) // a first pass stores the values: members come in any order
		decodeJSON(s.t, []byte(s.fill(at, want)), &wanted)
		if diff := s.differ("", wanted, got); diff != "" {
			s.t.Fatalf("%s: %s\nin %s", at, diff, answer.Body)
		}
	}
	for _, line := range expect[1:] {
		name, value, _ := strings.Cut(s.fill(at, strings.TrimPrefix(line, "<")), ":")
		got := strings.Join(answer.Header().Values(strings.TrimSpace(name)), ", ")
		if diff := s.differ(name, strings.TrimSpace(value), got); diff != "" && (got != "" || strings.TrimSpace(value) != "-") {
			s.t.Fatalf("%s: header%s", at, diff)
		}
	}
}

// differ returns where got differs from want, "" where it does not.
func (s *story) differ(path string, want, got any) (diff string) {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %v, want an object", path, got)
		}
		for name, wanted := range want {
			value, there := object[name]
			if there != (wanted != "-") {
				return fmt.Sprintf("%s.%s is there: %v", path, name, there)
			}
			if there {
				diff = cmp.Or(diff, s.differ(path+"."+name, wanted, value))
			}
		}
		return diff
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Sprintf("%s is %v, want %d items", path, got, len(want))
		}
		for i := range want {
			diff = cmp.Or(diff, s.differ(fmt.Sprintf("%s[%d]", path, i), want[i], list[i]))
		}
		return diff
	case string:
		return s.differString(path, want, got)
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("%s is %v, want %v", path, got, want)
	}
	return ""
}

func (s *story) differString(path, want string, got any) string {
	text := fmt.Sprint(got)
	switch {
	case want == "*" && text != "":
		return ""
	case strings.HasPrefix(want, "~") && strings.Contains(text, want[1:]):
		return ""
	case strings.HasPrefix(want, "<") && strings.HasSuffix(want, ">"):
		s.kept[want[1:len(want)-1]] = text
		return ""
	case want == text:
		return ""
	}
	return fmt.Sprintf("%s is %q, want %q", path, text, want)
}

var aKept = regexp.MustCompile(`\$[a-z_]+`)

func (s *story) fill(at, line string) string {
	return aKept.ReplaceAllStringFunc(line, func(name string) string {
		value, ok := s.kept[name[1:]]
		if !ok {
			s.t.Fatalf("%s: nothing was kept as %s", at, name)
		}
		return value
	})
}

// decodeJSON keeps numbers as they are written.
func decodeJSON(t testing.TB, b []byte, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("not JSON: %v: %s", err, b)
	}
}
