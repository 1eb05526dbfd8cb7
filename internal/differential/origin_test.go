package differential

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// listedOrigins are those of a router with a list.
var listedOrigins = []string{"https://chat.example.com", "http://[::1]:8080", "https://kat.example", "http://localhost:3000"}

// askedOrigin is a handshake from a page.
type askedOrigin struct {
	listed bool // by a router with listedOrigins
	lines  []string
	host   string
}

func (a askedOrigin) String() string {
	return fmt.Sprintf("listed %t, Origin %q, Host %q", a.listed, a.lines, a.host)
}

// hostName is a name or an IPv4 address.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// webOrigin is the origin that text is, as RFC 6454 §6.2 writes one, with its port.
func webOrigin(text string) (origin string, ok bool) {
	u, err := url.Parse(text)
	beyond := func(c rune) bool { return c > unicode.MaxASCII } // some have a lower case in ASCII
	if err != nil || strings.ContainsAny(text, "@?#\\%") || strings.ContainsFunc(text, beyond) {
		return "", false
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || strings.HasSuffix(text, ":") {
		return "", false
	}
	if strings.Contains(text, "[") {
		address, err := netip.ParseAddr(u.Hostname())
		ok = err == nil && address.Is6() && address.Zone() == ""
	} else {
		ok = hostName.MatchString(u.Hostname())
	}
	return u.Scheme + "://" + withPort(u.Host, u.Scheme), ok
}

// withPort is a host in lower case with its port, or else that of the scheme.
func withPort(host, scheme string) string {
	host = strings.ToLower(host)
	if u := (&url.URL{Host: host}); u.Port() != "" {
		return host
	}
	if scheme == "https" {
		return strings.TrimSuffix(host, ":") + ":443"
	}
	return strings.TrimSuffix(host, ":") + ":80"
}

// inList is the answer of a router with a list.
func inList(lines []string) string {
	if len(lines) == 0 {
		return "101"
	}
	asked, ok := webOrigin(lines[0])
	for _, text := range listedOrigins {
		if listed, _ := webOrigin(text); len(lines) == 1 && ok && asked == listed {
			return "101"
		}
	}
	return "403 origin_not_allowed"
}

func originDifferences() *differences[askedOrigin] {
	const no = "403 origin_not_allowed"
	return namedDifferences(
		difference[askedOrigin]{
			name: "what is no origin is refused, and gorilla compares its host",
			page: "wsroute/config.go", words: "scheme, host and port, nothing else",
			usher: func(a askedOrigin) (string, bool) {
				_, ok := webOrigin(a.lines[0])
				return no, !a.listed && (!ok || len(a.lines) > 1)
			},
		},
		difference[askedOrigin]{
			name: "a page on a name may not connect to a route that is open to all, by DNS rebinding",
			page: "docs/configuration.md", words: "an IP address or localhost",
			usher: func(a askedOrigin) (string, bool) {
				host := (&url.URL{Host: strings.ToLower(a.host)}).Hostname()
				_, err := netip.ParseAddr(host)
				return no, !a.listed && err != nil && host != "localhost"
			},
		},
		difference[askedOrigin]{
			name: "a port that is the scheme's is the one that is not written",
			page: "docs/security.md", words: "where the Host names no port, it is the usual one",
			usher: func(a askedOrigin) (string, bool) {
				origin, ok := webOrigin(a.lines[0])
				_, address, _ := strings.Cut(origin, "://")
				if ok = ok && !a.listed; ok && address == withPort(a.host, "http") { // the server is plain
					return "101", true
				}
				return no, ok
			},
		},
	)
}

// FuzzOrigin: without a list usher lets in the pages that gorilla does, and with one those
// whose origin is listed, by RFC 6454.
func FuzzOrigin(f *testing.F) {
	hosts := []string{"localhost", "localhost:80", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]", "chat.example.com", "LOCALHOST", "localhost:443", "127.0.0.1:80"}
	origins := []string{
		"-", "", "null", "http://localhost", "http://localhost:80", "https://localhost",
		"https://localhost:443", "http://localhost:443", "http://LOCALHOST", "HTTP://localhost",
		"http://127.0.0.1:8080", "http://127.0.0.1", "http://127.0.0.1:80",
		"http://[::1]", "http://[::1]:8080", "http://[0:0::1]:8080", "http://[::1%25eth0]",
		"http://::1", "http://[127.0.0.1]", "https://chat.example.com", "https://CHAT.example.COM",
		"https://chat.example.com:443", "https://chat.example.com:0443",
		"https://chat.example.com:8443", "http://chat.example.com", "http://chat.example.com:443",
		"https://chat.example.com.", "https://chat.example.com/", "https://chat.example.com?",
		"https://chat.example.com#", "https://chat.example.com:", "https://u@chat.example.com",
		"https://chat.example.com@evil.example", "https://chat.example.com.evil.example",
		"https://evil.example#chat.example.com", "https://evil.example\\@chat.example.com",
		"https://ch%61t.example.com", "https://*.example.com", "https://sub.chat.example.com",
		"https://\u212aat.example", "https://kat.example", "https://KAT.example",
		"https://k\u00e4t.example", "https://xn--kt-uia.example", "wss://chat.example.com",
		"ftp://localhost", "//localhost", "localhost", "http:localhost", "http:/localhost",
		"http:///localhost",
		"http://localhost http://localhost", "http://localhost, http://localhost",
		"http://localhost\nhttp://localhost", "\nhttp://localhost", "http://localhost\n",
		" http://localhost ", "http://localhost:65536", "http://localhost:0", "http://localhost:-1",
		"http://localhost:+80", "http://localhost:80:80", "http://localhost:3000", "http://127.1",
		"http://2130706433", "http://0x7f.1", "http://localhost%00", "file://", "http://",
		"https://",
	}
	for i, origin := range origins {
		f.Add(true, origin, "chat.example.com")
		for j, host := range hosts {
			if !fuzzing() || (i+j)%(2*len(hosts)) == 0 {
				f.Add(false, origin, host)
			}
		}
	}
	serve := func(list []string) *wstest.Server {
		settings := config()
		settings.Origins = list
		ws := wsroute.New(depends.New(), settings)
		wsroute.Handle(ws, "/", func(context.Context, *textSocket, none) error { return nil }, wsroute.Public)
		routes, err := ws.Handler()
		if err != nil {
			f.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle("/", routes)
		mux.HandleFunc("/gorilla", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(referenceHeader, "1")
			conn, err := (&websocket.Upgrader{}).Upgrade(w, r, http.Header{referenceHeader: {"1"}})
			if err == nil {
				_ = conn.WriteMessage(websocket.CloseMessage, nil)
				_ = conn.Close()
			}
		})
		return wstest.StartHandler(f, ws, mux)
	}
	servers := map[bool]*wstest.Server{false: serve(nil), true: serve(listedOrigins)}
	known := originDifferences()
	f.Fuzz(func(t *testing.T, listed bool, lines, host string) {
		if strings.ContainsAny(lines+host, "\r") || strings.Contains(host, "\n") {
			t.Skip("a line would end")
		}
		a := askedOrigin{listed: listed, host: host}
		headers := strings.Replace(handshake, "Host: localhost", "Host: "+host, 1)
		if lines != "-" { // which stands for none
			a.lines = strings.Split(lines, "\n")
		}
		for i, line := range a.lines {
			headers += "Origin: " + line + "\r\n"
			a.lines[i] = strings.Trim(line, " \t") // as RFC 9110 §5.5 does
		}
		gorilla := connect(t, servers[listed]).ask("GET /gorilla", headers)
		if !gorilla.fromReference() {
			t.Skip("net/http refuses it")
		}
		want := "101"
		switch {
		case listed:
			want = inList(a.lines)
		case gorilla.status == http.StatusForbidden:
			want = "403 origin_not_allowed"
		}
		usher := connect(t, servers[listed]).ask("GET /", headers)
		got := "101"
		if usher.status != http.StatusSwitchingProtocols {
			got = usher.String()
		}
		known.compare(t, a, got, want)
	})
	known.check(f)
}
