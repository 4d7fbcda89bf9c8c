package httpapi

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/schema"
	"kassa/vault"
)

// contract is schema/openapi.yaml and its routes.
type contract struct {
	doc    *openapi3.T
	router routers.Router
}

var readContract = sync.OnceValues(func() (contract, error) {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/jsonl", openapi3filter.PlainBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromData(schema.OpenAPI)
	if err != nil {
		return contract{}, err
	}
	if err := doc.Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
		return contract{}, err
	}
	router, err := gorillamux.NewRouter(doc)
	return contract{doc, router}, err
})

func theContract(t testing.TB) contract {
	t.Helper()
	c, err := readContract()
	if err != nil {
		t.Fatalf("the contract is not one: %v", err)
	}
	return c
}

// check validates an answer against the contract, and the request too if it was
// accepted. An answer of no route must still be a problem document.
func (c contract) check(t testing.TB, r *http.Request, body []byte, answer *httptest.ResponseRecorder) {
	t.Helper()
	if !strings.HasPrefix(r.URL.Path, "/api") || r.Method == http.MethodHead {
		return
	}
	route, params, err := c.router.FindRoute(r)
	if errors.Is(err, routers.ErrPathNotFound) || errors.Is(err, routers.ErrMethodNotAllowed) {
		c.checkProblem(t, answer)
		return
	}
	if err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		return
	}
	again := r.Clone(context.Background())
	again.Body = io.NopCloser(bytes.NewReader(body))
	request := &openapi3filter.RequestValidationInput{Request: again, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: hasCredentials}}
	if answer.Code < 300 {
		if err := openapi3filter.ValidateRequest(context.Background(), request); err != nil {
			t.Errorf("%s %s was accepted against the contract: %v", r.Method, r.URL, err)
		}
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: answer.Code, Header: answer.Header(),
		Body: io.NopCloser(bytes.NewReader(answer.Body.Bytes())), Options: &openapi3filter.Options{IncludeResponseStatus: true}})
	if err != nil {
		t.Errorf("%s %s answers %d against the contract: %v", r.Method, r.URL, answer.Code, err)
	}
	c.checkHeaders(t, route.Operation, answer)
	if answer.Code >= 400 {
		if code := codeIn(t, answer.Body.Bytes()); !slices.Contains(codesOf(route.Operation, answer.Code), code) {
			t.Errorf("%s %s answers %d with %s, which the contract does not name for it", r.Method, r.URL, answer.Code, code)
		}
	}
}

// codesOf are the codes in the contract for this status of the operation.
func codesOf(op *openapi3.Operation, status int) (codes []string) {
	if answer := op.Responses.Status(status); answer != nil {
		for _, m := range aCode.FindAllStringSubmatch(*answer.Value.Description, -1) {
			codes = append(codes, m[1])
		}
	}
	return codes
}

var aCode = regexp.MustCompile("`([a-z_]+)`")

// codes are all codes of the contract.
func (c contract) codes() (codes []string) {
	words, _ := c.doc.Components.Schemas["Code"].Value.Extensions["x-extensible-enum"].([]any)
	for _, word := range words {
		codes = append(codes, word.(string))
	}
	return codes
}

func hasCredentials(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	r := in.RequestValidationInput.Request
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if in.SecurityScheme.Type == "http" && strings.EqualFold(scheme, in.SecurityScheme.Scheme) {
		return nil
	}
	if _, err := r.Cookie(in.SecurityScheme.Name); err == nil && in.SecurityScheme.Type == "apiKey" {
		return nil
	}
	return errors.New("no credentials")
}

func (c contract) checkProblem(t testing.TB, answer *httptest.ResponseRecorder) {
	t.Helper()
	if got := answer.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("status %d with %q, want a problem", answer.Code, got)
		return
	}
	var v any
	decodeJSON(t, answer.Body.Bytes(), &v)
	if err := c.doc.Components.Schemas["Problem"].Value.VisitJSON(v); err != nil {
		t.Errorf("not a problem: %v", err)
	}
	if code := codeIn(t, answer.Body.Bytes()); !slices.Contains(c.codes(), code) {
		t.Errorf("the code %s is not in the contract", code)
	}
}

func codeIn(t testing.TB, body []byte) string {
	t.Helper()
	var details problem.Details
	decodeJSON(t, body, &details)
	return string(details.Code)
}

func TestContractHasTheRoutes(t *testing.T) {
	var served, promised []string
	for _, rt := range new(Server).routes() {
		served = append(served, rt.method+" "+rt.path)
	}
	doc := theContract(t).doc
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			promised = append(promised, method+" "+path)
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s has no name, summary or tag", method, path)
			}
		}
	}
	slices.Sort(served)
	slices.Sort(promised)
	if !slices.Equal(served, promised) {
		t.Errorf("served and promised differ:\n%s\n\n%s", strings.Join(served, "\n"), strings.Join(promised, "\n"))
	}
}

// The routes that need no credentials, the scope that each needs of a token, and the
// parameters of each query, are the same in the contract and in the server.
func TestContractSecurityIsTheServers(t *testing.T) {
	doc := theContract(t).doc
	for _, rt := range new(Server).routes() {
		op := doc.Paths.Value(rt.path).GetOperation(rt.method)
		open := op.Security != nil && len(*op.Security) == 0
		if open != (rt.access == public) {
			t.Errorf("%s %s: open by the contract %v, by the server %v", rt.method, rt.path, open, rt.access == public)
		}
		if scope, _ := op.Extensions["x-required-scope"].(string); vault.Scope(scope) != rt.scope || takesTokens(doc, op) != (rt.scope != noToken) {
			t.Errorf("%s %s: a token needs %q by the contract, %q by the server", rt.method, rt.path, scope, rt.scope)
		}
		var promised []string
		for _, p := range op.Parameters {
			if p.Value.In == openapi3.ParameterInQuery {
				promised = append(promised, p.Value.Name)
			}
		}
		slices.Sort(promised)
		taken := slices.Sorted(slices.Values(rt.parameters()))
		if !slices.Equal(promised, taken) {
			t.Errorf("%s %s takes the parameters %v, by the contract %v", rt.method, rt.path, taken, promised)
		}
	}
}

func takesTokens(doc *openapi3.T, op *openapi3.Operation) bool {
	schemes := doc.Security
	if op.Security != nil {
		schemes = *op.Security
	}
	return slices.ContainsFunc(schemes, func(one openapi3.SecurityRequirement) bool { return one["bearer"] != nil })
}

// Every code of domain and of HTTP has a status and is in the contract, and the
// contract has no other.
func TestEveryCodeIsInTheContract(t *testing.T) {
	codes := map[string]string{}
	for _, file := range []string{"../domain/refusal.go", "problem/problem.go"} {
		maps.Copy(codes, codesIn(t, file))
	}
	if len(codes) < 40 {
		t.Fatalf("found %d codes only", len(codes))
	}
	promised := map[string]bool{}
	for _, code := range theContract(t).codes() {
		promised[code] = true
	}
	for code, name := range codes {
		if !promised[code] {
			t.Errorf("%s (%s) is not in the contract", code, name)
		}
		if !problem.Known(domain.Code(code)) {
			t.Errorf("%s (%s) has no status", code, name)
		}
		delete(promised, code)
	}
	for code := range promised {
		t.Errorf("%s is in the contract, and nothing gives it", code)
	}
}

// codesIn reads the constants of type Code from a file: code → name.
func codesIn(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !isCode(spec.Type) {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found[code] = spec.Names[0].Name
		return true
	})
	return found
}

func isCode(typ ast.Expr) bool {
	switch typ := typ.(type) {
	case *ast.Ident:
		return typ.Name == "Code"
	case *ast.SelectorExpr:
		return typ.Sel.Name == "Code"
	}
	return false
}
