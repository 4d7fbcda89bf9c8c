package web_test

import (
	"net/http"
	"testing"
)

func TestFirst(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	g.open("/web").fill("/web/ask", "text", "человек один на острове разговаривает с мячом").is(http.StatusOK).says("Изгой", "слова:")
}
