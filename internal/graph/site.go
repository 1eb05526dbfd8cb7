package graph

import (
	"fmt"
	"path"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// Site is a place in the source.
type Site struct {
	File string // the last folder and the file, or the file alone in package main
	Line int
}

// String returns file:line, or "" if the place is not known.
func (s Site) String() string {
	if s.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}

// Func names a function and says where it is defined.
type Func struct {
	Name string
	Site Site
}

// String returns the name and the place.
func (f Func) String() string { return f.Name + where(f.Site, Site{}) }

// where lists the known places of a function and its registration.
func where(defined, registered Site) string {
	text := defined.String()
	if registered != defined && registered.File != "" {
		text += ", registered " + registered.String()
	}
	if text == "" {
		return ""
	}
	return " (" + strings.TrimPrefix(text, ", ") + ")"
}

// Misuse panics for a mistake of the program that calls usher.
func Misuse(format string, args ...any) {
	panic(fmt.Sprintf(format, args...)) //nolint:forbidigo // no caller gets an error
}

// module is the import path whose own frames are not a user's call site.
const module = "example.com/usher"

// Caller returns the nearest calling place outside usher's own packages.
func Caller() Site {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for f, more := frames.Next(); ; f, more = frames.Next() {
		if !own(f.Function) || !more {
			return site(f.Function, f.File, f.Line)
		}
	}
}

// ownPackages are not the user's. Examples and tests are.
var ownPackages = []string{
	"depends.", "internal/bind.", "internal/graph.", "security.", "wsroute.", "wsroute/wstest.",
}

func own(function string) bool {
	rest, ok := strings.CutPrefix(function, module+"/")
	return ok && slices.ContainsFunc(ownPackages, func(pkg string) bool {
		return strings.HasPrefix(rest, pkg)
	})
}

// DescribeFunc names the function fn.
func DescribeFunc(fn any) Func {
	f := runtime.FuncForPC(reflect.ValueOf(fn).Pointer())
	if f == nil {
		return Func{Name: "function"}
	}
	file, line := f.FileLine(f.Entry())
	return Func{Name: funcName(f.Name()), Site: site(f.Name(), file, line)}
}

// funcName shortens a linker symbol to what a reader would write.
func funcName(symbol string) string {
	name := symbol[strings.LastIndex(symbol, "/")+1:]
	name = strings.TrimSuffix(name, "-fm")
	name = strings.ReplaceAll(name, "[...]", "")
	outer, inner, _ := strings.Cut(name, ".func")
	if inner != "" && inner[0] >= '0' && inner[0] <= '9' {
		return "func literal in " + outer
	}
	return name
}

func site(symbol, file string, line int) Site {
	if strings.HasPrefix(file, "<") { // a wrapper that the compiler made
		return Site{}
	}
	dir, base := path.Split(file)
	if strings.HasPrefix(symbol, "main.") {
		return Site{File: base, Line: line}
	}
	return Site{File: path.Join(path.Base(dir), base), Line: line}
}

// TypeName prints a type as a user writes it, without import paths.
func TypeName(t reflect.Type) string {
	if t == nil {
		return "nothing"
	}
	if t.Kind() == reflect.Struct && t.Name() == "" && t.NumField() > 0 {
		return "struct{...}"
	}
	return importPath.ReplaceAllString(t.String(), "")
}

// importPath is what stands before the package's name in a type's.
var importPath = regexp.MustCompile(`[^\[\], *{}();]*/`)
