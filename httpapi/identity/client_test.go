package identity

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestClientIP(t *testing.T) {
	a := &Authenticator{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	for _, tt := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"the connection's address", "203.0.113.1:4000", nil, "203.0.113.1"},
		{"a stranger's word is not believed", "203.0.113.1:4000", []string{"198.51.100.9"}, "203.0.113.1"},
		{"a proxy's is", "10.0.0.1:4000", []string{"198.51.100.9"}, "198.51.100.9"},
		{"without a word it is the proxy itself", "10.0.0.1:4000", nil, "10.0.0.1"},
		{"only the last hop that is no proxy", "10.0.0.1:4000", []string{"1.1.1.1, 198.51.100.9, 10.0.0.2"}, "198.51.100.9"},
		{"over several headers", "10.0.0.1:4000", []string{"1.1.1.1", "198.51.100.9", "10.0.0.2"}, "198.51.100.9"},
		{"nonsense ends the search", "10.0.0.1:4000", []string{"198.51.100.9, nonsense"}, "10.0.0.1"},
		{"IPv4 in IPv6 is IPv4", "[::ffff:10.0.0.1]:4000", []string{"::ffff:198.51.100.9"}, "198.51.100.9"},
		{"IPv6", "[fd00::1]:4000", []string{"2001:db8::5"}, "2001:db8::5"},
		{"a Unix socket has none", "@", []string{"198.51.100.9"}, "invalid IP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.remote
			for _, f := range tt.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			if got := a.ClientIP(r).String(); got != tt.want {
				t.Errorf("is %s, want %s", got, tt.want)
			}
		})
	}
}

// Many names fill only a bounded memory, and a name that is still in memory keeps its
// count.
func TestLimiterIsBounded(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := newLimiter("tests of", Rate{}, Rate{Burst: 1, Every: time.Minute}, nil)
	take := func(name string) time.Duration {
		wait, err := l.take(t.Context(), name, now)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	for i := range 2 * limitersKept {
		take(fmt.Sprint(i))
		if wait := take("ada"); (i > 0) != (wait > 0) {
			t.Fatalf("after %d others ada waits %v", i, wait)
		}
	}
	if n := l.seen.Len(); n > limitersKept {
		t.Errorf("%d names are kept", n)
	}
}
