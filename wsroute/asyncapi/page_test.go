package asyncapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

const maxPage = 40 << 10

// asked is the response of a handler to a request.
func asked(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// pageMounts are the page below each kind of mount.
func pageMounts() map[string]http.Handler {
	gin.SetMode(gin.ReleaseMode)
	h := page([]byte(`{"asyncapi":"3.0.0"}`))
	engine := gin.New()
	engine.RedirectTrailingSlash = false // as wsroute.Serve does
	engine.GET("/docs", gin.WrapH(h))
	engine.GET("/docs/*any", gin.WrapH(h))
	slash := http.NewServeMux()
	slash.Handle("/docs/", http.StripPrefix("/docs/", h))
	bare := http.NewServeMux()
	bare.Handle("/docs", http.StripPrefix("/docs", h))
	bare.Handle("/docs/", http.StripPrefix("/docs", h))
	whole := http.NewServeMux()
	whole.Handle("/docs/", h)
	return map[string]http.Handler{"gin": engine, "StripPrefix with /": slash, "StripPrefix": bare, "ServeMux": whole}
}

func TestPageBelowMounts(t *testing.T) {
	for name, h := range pageMounts() {
		for target, want := range map[string]struct {
			status      int
			kind, holds string
		}{
			"/docs/":              {200, "text/html; charset=utf-8", "<!doctype html>"},
			"/docs/?x=1":          {200, "text/html; charset=utf-8", "<!doctype html>"},
			"/docs/index.html":    {200, "text/html; charset=utf-8", "page.js"},
			"/docs/page.css":      {200, "text/css; charset=utf-8", ":root"},
			"/docs/page.js":       {200, "text/javascript; charset=utf-8", "WebSocket"},
			"/docs/asyncapi.json": {200, "application/json", `{"asyncapi":"3.0.0"}`},
			"/docs/other.js":      {404, "text/plain; charset=utf-8", "not found"},
			"/docs/.env":          {404, "text/plain; charset=utf-8", "not found"},
			"/docs/page.js.map":   {404, "text/plain; charset=utf-8", "not found"},
		} {
			got := asked(h, http.MethodGet, target)
			if got.Code != want.status || got.Header().Get("Content-Type") != want.kind {
				t.Errorf("%s: %s: got %d %q", name, target, got.Code, got.Header().Get("Content-Type"))
			}
			if body := got.Body.String(); !strings.Contains(body, want.holds) {
				t.Errorf("%s: %s: got the body %.60q", name, target, body)
			}
		}
		got := asked(h, http.MethodGet, "/docs")
		to, err := url.Parse(got.Header().Get("Location"))
		if err != nil || got.Code/100 != 3 {
			t.Fatalf("%s: /docs: %d, %v", name, got.Code, err)
		}
		if base := (&url.URL{Path: "/docs"}); base.ResolveReference(to).Path != "/docs/" {
			t.Errorf("%s: /docs leads to %s", name, to)
		}
	}
}

// TestPageRedirectIsRelative, so that it holds behind a proxy that removes a prefix, and of no
// other host whatever is asked for.
func TestPageRedirectIsRelative(t *testing.T) {
	for target, want := range map[string]string{
		"/docs":          "./docs/",
		"/a/b:c":         "./b:c/",
		"/a/%2F%2Fother": "./other/",
		"//other":        "./other/",
		"/a/b%3Fc":       "./b%3Fc/",
	} {
		got := asked(page(nil), http.MethodGet, target)
		if to := got.Header().Get("Location"); got.Code != http.StatusMovedPermanently || to != want {
			t.Errorf("%s: got %d to %q, want %q", target, got.Code, to, want)
		}
	}
}

func TestPageMethods(t *testing.T) {
	h := page([]byte("{}"))
	get, head := asked(h, http.MethodGet, "/docs/"), asked(h, http.MethodHead, "/docs/")
	if head.Code != 200 || head.Body.String() != "" || head.Header().Get("Content-Length") != get.Header().Get("Content-Length") {
		t.Errorf("HEAD: got %d %v", head.Code, head.Header())
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		got := asked(h, method, "/docs/")
		if got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: got %d, Allow %q", method, got.Code, got.Header().Get("Allow"))
		}
	}
}

func TestPageEtag(t *testing.T) {
	h := page([]byte("{}"))
	for _, name := range []string{"", "page.css", "page.js", "asyncapi.json"} {
		first := asked(h, http.MethodGet, "/docs/"+name)
		tag := first.Header().Get("Etag")
		again := asked(h, http.MethodGet, "/docs/"+name, "If-None-Match", tag)
		if tag == "" || again.Code != http.StatusNotModified || first.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%q: got Etag %q, then %d", name, tag, again.Code)
		}
	}
	if a, b := asked(h, http.MethodGet, "/asyncapi.json"), asked(page([]byte("[]")), http.MethodGet, "/asyncapi.json"); a.Header().Get("Etag") == b.Header().Get("Etag") {
		t.Error("two documents have one Etag")
	}
}

// TestPageHeaders: each answer has them, also those that refuse.
func TestPageHeaders(t *testing.T) {
	h := page(pageDocument)
	for _, target := range []string{"/docs", "/docs/", "/docs/page.js", "/docs/asyncapi.json", "/docs/no.thing"} {
		got := asked(h, http.MethodGet, target).Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "no-referrer",
			"Content-Security-Policy": strings.Replace(pagePolicy, "%s", " wss://chat.example.com https://chat.example.com", 1),
		} {
			if got.Get(name) != want {
				t.Errorf("%s: %s is %q", target, name, got.Get(name))
			}
		}
	}
	if strings.Contains(pagePolicy, "unsafe") {
		t.Error("the policy allows what is unsafe")
	}
}

// TestPagePolicyNamesServers: those of the document, and nothing that would be a directive.
func TestPagePolicyNamesServers(t *testing.T) {
	for document, want := range map[string]string{
		`{"servers":{"b":{"host":"b.example:8443","protocol":"wss"},"a":{"host":"localhost:8080","protocol":"ws"}}}`: " ws://localhost:8080 http://localhost:8080 wss://b.example:8443 https://b.example:8443",
		`{"servers":{"a":{"host":"a.example","protocol":"wss"},"b":{"host":"a.example","protocol":"wss"}}}`:          " wss://a.example https://a.example",
		`{"servers":{"a":{"host":"a.example; script-src *","protocol":"wss"}}}`:                                      "",
		`{"servers":{"a":{"host":"*","protocol":"wss"},"b":{"host":"{region}.example","protocol":"wss"}}}`:           "",
		`{"servers":{"a":{"host":"[::1]:8080","protocol":"ws"}}}`:                                                    "",
		`{"servers":{"a":{"$ref":"#/components/servers/a"}}}`:                                                        "",
		`{"servers":[]}`: "", `no JSON`: "", ``: "",
	} {
		if got := connectSources([]byte(document)); got != want {
			t.Errorf("%s: got %q, want %q", document, got, want)
		}
	}
}

// TestPageFiles are small, have nothing inline, and load nothing from elsewhere.
func TestPageFiles(t *testing.T) {
	size := 0
	for name, forbidden := range map[string]string{
		"index.html": `(?i)style=|<style|<script>|\son\w+=|(src|href)="(https?:)?/`,
		"page.css":   `(?i)@import|url\(`,
		"page.js":    `innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|localStorage|sessionStorage|document\.cookie|\.style\b`,
	} {
		data, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			t.Fatal(err)
		}
		size += len(data)
		if found := regexp.MustCompile(forbidden).FindString(string(data)); found != "" {
			t.Errorf("%s has %q", name, found)
		}
	}
	if size > maxPage {
		t.Errorf("the page has %d bytes, more than %d", size, maxPage)
	}
}
