package wsroute

import (
	"fmt"
	"slices"
	"strings"

	"example.com/usher/internal/bind"
)

// segment is one part of a route's path between slashes; the first, before a slash, is empty.
type segment struct {
	text string // literal text, or the parameter's name
	kind byte   // 0 for literal, ':' for one segment, '*' for the rest
}

// parsePattern reads a path as gin writes it, and says what is wrong with it.
func parsePattern(path string) (segments []segment, fault string) {
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Sprintf("path %q does not begin with /", path)
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		s := segment{text: part}
		if part != "" && (part[0] == ':' || part[0] == '*') {
			s = segment{text: part[1:], kind: part[0]}
		}
		last := i == len(parts)-1
		switch {
		case s.kind != 0 && s.text == "":
			return nil, fmt.Sprintf("path %q has a parameter without a name", path)
		case s.kind != 0 && slices.Contains(paramNames(segments), s.text):
			return nil, fmt.Sprintf("path %q names %q twice", path, s.text)
		case s.kind == '*' && !last:
			return nil, fmt.Sprintf("path %q goes on behind *%s, which takes all the rest", path, s.text)
		case strings.ContainsAny(s.text, ":*{}?# \\"):
			return nil, fmt.Sprintf("path %q: %q is neither text nor a whole parameter", path, part)
		case part == "" && i > 0 && !last:
			return nil, fmt.Sprintf("path %q has an empty segment", path)
		}
		segments = append(segments, s)
	}
	return segments, ""
}

// paramNames returns the parameters of a path.
func paramNames(segments []segment) []string {
	var names []string
	for _, s := range segments {
		if s.kind != 0 {
			names = append(names, s.text)
		}
	}
	return names
}

// samePath is what clash says of two paths that are the same.
const samePath = "they are the same"

// clash says why two paths cannot stand in one router, or "". Both routers that
// usher mounts on would otherwise panic, or pick one in silence.
func clash(a, b []segment) string {
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		switch {
		case x == y:
			continue
		case x.kind == '*' || y.kind == '*':
			return "one takes all the rest where the other goes on"
		case x.kind == ':' && y.kind == ':':
			return fmt.Sprintf("one calls the parameter %q where the other calls it %q", x.text, y.text)
		}
		return "" // a literal is preferred to a parameter
	}
	if len(a) == len(b) {
		return samePath
	}
	return ""
}

// prefer orders paths by which of them takes a request that both match: as in gin, the one
// with text where the other has a parameter.
func prefer(a, b []segment) int {
	return slices.CompareFunc(a, b, func(x, y segment) int { return int(x.kind) - int(y.kind) })
}

// matches says whether the parts of a path are those of one of the route's. They are parted
// once, so that a long path is not read for each route.
func matches(segments []segment, parts []string) bool {
	for i, s := range segments {
		switch {
		case i == len(parts), s.kind == 0 && parts[i] != s.text, s.kind == ':' && parts[i] == "":
			return false
		case s.kind == '*':
			return true
		}
	}
	return len(parts) == len(segments)
}

// pathValues returns the parameters in a path of the route's.
func (e *endpoint) pathValues(path string) (values []bind.PathValue) {
	for _, s := range e.segments {
		part, rest, _ := strings.Cut(path, "/")
		if s.kind == '*' {
			part = path
		}
		if s.kind != 0 {
			values = append(values, bind.PathValue{Name: s.text, Value: part})
		}
		path = rest
	}
	return values
}
