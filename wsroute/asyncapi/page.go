package asyncapi

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page load its own files, ask its own host, and nothing else but the servers
// of the document. 'self' covers ws: and wss: (CSP 3 §6.7.2.8).
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; " +
	"connect-src 'self'%s; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// pageTypes are the Content-Types by the ends of file names.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
}

// pageFile is a file as it is served.
type pageFile struct {
	kind, tag string
	data      []byte
}

// ServeHTTP answers GET and HEAD.
func (f pageFile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "no-cache") // it is that of this build
	h.Set("Etag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}

// page serves the page of a document, and the document beside it, below any mount. It does not know
// where that is: the last part of the path decides, and all URLs of the page are relative.
func page(document []byte) http.Handler {
	files := map[string]pageFile{"asyncapi.json": newPageFile("asyncapi.json", document)}
	for _, name := range []string{"index.html", "page.css", "page.js"} {
		data, _ := pageFiles.ReadFile("page/" + name) // embedded: it is there
		files[name] = newPageFile(name, data)
	}
	files[""] = files["index.html"]
	policy := fmt.Sprintf(pagePolicy, connectSources(document))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		name := askedName(r)
		file, found := files[name]
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case found || !reads:
			file.ServeHTTP(w, r)
		case strings.Contains(name, "."):
			http.NotFound(w, r)
		default: // the mount, without its slash; relative, for proxies that remove a prefix
			h.Set("Location", "./"+url.PathEscape(name)+"/")
			w.WriteHeader(http.StatusMovedPermanently)
		}
	})
}

// askedName is the last part of the path that was asked for; http.StripPrefix may have taken it
// out of the URL.
func askedName(r *http.Request) string {
	asked, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		asked = r.URL
	}
	return asked.Path[strings.LastIndexByte(asked.Path, '/')+1:]
}

func newPageFile(name string, data []byte) pageFile {
	return pageFile{pageTypes[path.Ext(name)], fmt.Sprintf(`"%x"`, sha256.Sum256(data)), data}
}

// policyHost is a host that a Content-Security-Policy can name (CSP 3 §2.3.1); an IPv6 address is
// none.
var policyHost = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]+)?$`)

// connectSources are the servers of a document as sources of a policy: for sockets, and for the
// plain requests that tell why a socket was refused. A broken document has none.
func connectSources(document []byte) string {
	var read struct {
		Servers map[string]struct{ Host, Protocol string }
	}
	_ = json.Unmarshal(document, &read) // the page says what is wrong with it
	var sources []string
	for _, s := range read.Servers {
		if !policyHost.MatchString(s.Host) {
			continue
		}
		if s.Protocol == "ws" {
			sources = append(sources, " ws://"+s.Host+" http://"+s.Host)
		} else {
			sources = append(sources, " wss://"+s.Host+" https://"+s.Host)
		}
	}
	slices.Sort(sources)
	return strings.Join(slices.Compact(sources), "")
}
