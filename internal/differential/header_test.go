package differential

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/textproto"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// pageOrigin is of whose pages may connect: a route that takes a cookie demands one.
const pageOrigin = "https://page.example"

// reader is a route that reads a header, and what net/http makes of the same request.
type reader struct {
	name      string
	header    string
	add       func(ws *wsroute.Router)
	reference reading
}

// reading is the answer that a request should get. trim cuts white space off: net/http's own
// trimming, or a wrong one.
type reading func(r *http.Request, trim func(string) string) string

// parameterOf makes a reader of a struct with one field.
func parameterOf[In any](name, header string, reference reading) reader {
	return reader{name, header, func(ws *wsroute.Router) {
		wsroute.Handle(ws, "/"+name, func(ctx context.Context, conn *textSocket, in In) error {
			return conn.Send(ctx, show(reflect.ValueOf(in).Field(0)))
		}, wsroute.Public)
	}, reference}
}

type (
	// found is a credential, which an echo provides as it is.
	found string
	echo  struct{ depends.Source }
)

func (e echo) Describe() depends.Scheme {
	return depends.Scheme{Name: "Echo", Challenge: "Echo", Sources: []depends.Source{e.Source}}
}

func (e echo) Authenticate(_ context.Context, c depends.Credential) (found, error) {
	return found(c.Value), nil
}

// credentialOf makes a reader of a scheme, of which list returns the credentials.
func credentialOf(
	name, header string, scheme security.Scheme[found],
	list func(r *http.Request, trim func(string) string) []string,
) reader {
	return reader{name, header, func(ws *wsroute.Router) {
		group := ws.Group("/" + name)
		security.Use(group.Deps(), scheme)
		wsroute.Handle(group, "", func(ctx context.Context, conn *textSocket, in struct{ Found found }) error {
			return conn.Send(ctx, fmt.Sprintf("%+q", string(in.Found)))
		})
	}, func(r *http.Request, trim func(string) string) string {
		return single(list(r, trim), "401 credentials_required", "400 invalid_request")
	}}
}

// single is the answer for a text that is there once, not at all, or several times.
func single(list []string, absent, several string) string {
	switch len(list) {
	case 0:
		return absent
	case 1:
		return "= " + fmt.Sprintf("%+q", list[0])
	}
	return several
}

// headerReaders read the header X-V, or the one that their schemes take.
func headerReaders() []reader {
	type trimming = func(string) string
	lines := func(r *http.Request) []string { return r.Header["X-V"] }
	first := func(r *http.Request) []string { return lines(r)[:min(1, len(lines(r)))] }
	readers := []reader{
		parameterOf[struct {
			V string `header:"x-v"`
		}]("string", "X-V", func(r *http.Request, _ trimming) string { return single(first(r), "422 missing", "") }),
		parameterOf[struct {
			V *string `header:"X-V"`
		}]("pointer", "X-V", func(r *http.Request, _ trimming) string {
			return strings.Replace(single(first(r), "= nil", ""), `= "`, `= *"`, 1)
		}),
		parameterOf[struct {
			V string `header:"X-V" default:"lobby"`
		}]("default", "X-V", func(r *http.Request, _ trimming) string { return single(first(r), `= "lobby"`, "") }),
		parameterOf[struct {
			V []string `header:"X-V"`
		}]("strings", "X-V", func(r *http.Request, _ trimming) string { return "= " + show(reflect.ValueOf(lines(r))) }),
		parameterOf[struct {
			V int `header:"X-V"`
		}]("int", "X-V", func(r *http.Request, _ trimming) string {
			if lines(r) == nil {
				return "422 missing"
			}
			n, err := strconv.ParseInt(lines(r)[0], 10, strconv.IntSize)
			if err != nil {
				return "422 int"
			}
			return fmt.Sprint("= ", n)
		}),
		credentialOf("key", "X-V", echo{security.Header("x-v")}, func(r *http.Request, trim trimming) (list []string) {
			for _, line := range lines(r) {
				if line = trim(line); line != "" {
					list = append(list, line)
				}
			}
			return list
		}),
		credentialOf("bearer", "Authorization", echo{security.BearerHeader()}, func(r *http.Request, trim trimming) []string {
			return authorizations(r, "Bearer", trim)
		}),
		credentialOf("basic", "Authorization", security.Basic[found]{
			Realm: "test",
			Verify: func(_ context.Context, name, password string) (found, error) {
				return found(name + ":" + password), nil
			},
		}, nil),
	}
	readers[len(readers)-1].reference = basic
	return readers
}

// authorizations are the credentials of a scheme: its name without regard to case, spaces,
// and the rest (RFC 9110 §11.4).
func authorizations(r *http.Request, scheme string, trim func(string) string) (list []string) {
	for _, line := range r.Header["Authorization"] {
		name, rest, _ := strings.Cut(trim(line), " ")
		if rest = trim(rest); strings.EqualFold(name, scheme) && rest != "" {
			list = append(list, rest)
		}
	}
	return list
}

// basic is the answer to the one name and password, which net/http decodes.
func basic(r *http.Request, trim func(string) string) string {
	list := authorizations(r, "Basic", trim)
	if len(list) != 1 {
		return single(list, "401 credentials_required", "400 invalid_request")
	}
	alone := http.Request{Header: http.Header{"Authorization": {"Basic " + list[0]}}}
	name, password, ok := alone.BasicAuth()
	if !ok {
		return "401 invalid_credentials"
	}
	return single([]string{name + ":" + password}, "", "")
}

// cookieReaders read the cookie v.
func cookieReaders() []reader {
	return []reader{
		parameterOf[struct {
			V string `cookie:"v"`
		}]("string", "Cookie", func(r *http.Request, _ func(string) string) string {
			return asString(parsedCookies(r))
		}),
		parameterOf[struct {
			V *string `cookie:"v"`
		}]("pointer", "Cookie", func(r *http.Request, _ func(string) string) string {
			return asPointer(parsedCookies(r))
		}),
		parameterOf[struct {
			V []string `cookie:"v"`
		}]("strings", "Cookie", func(r *http.Request, _ func(string) string) string {
			return asStrings(parsedCookies(r))
		}),
		credentialOf("session", "Cookie", security.Session[found]{
			Cookie: "v",
			Find:   func(_ context.Context, id string) (found, error) { return found(id), nil },
		}, func(r *http.Request, _ func(string) string) []string {
			return slices.DeleteFunc(parsedCookies(r), func(value string) bool { return value == "" })
		}),
	}
}

func asString(values []string) string { return single(values, "422 missing", "422 repeated") }

func asPointer(values []string) string {
	return strings.Replace(single(values, "= nil", "422 repeated"), `= "`, `= *"`, 1)
}

func asStrings(values []string) string { return "= " + show(reflect.ValueOf(values)) }

// parsedCookies are the values of the cookies v that net/http parses.
func parsedCookies(r *http.Request) (values []string) {
	for _, c := range r.CookiesNamed("v") {
		values = append(values, c.Value)
	}
	return values
}

// sentCookies are the values of the cookies v as they stand, without quotes around them.
// trimPair cuts white space off a pair, and trimName off its name.
func sentCookies(r *http.Request, trimPair, trimName func(string) string) (values []string) {
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(trimPair(pair), "=")
			if trimName(name) != "v" {
				continue
			}
			if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			values = append(values, value)
		}
	}
	return values
}

// askedHeader is a request with lines of one header.
type askedHeader struct {
	*reader
	lines   []string
	request *http.Request
}

func (a askedHeader) String() string { return fmt.Sprintf("%s %s: %q", a.name, a.header, a.lines) }

// answer is what a parameter should be for these values of a cookie.
func (a askedHeader) answer(values []string) string {
	switch {
	case notUTF8(values) && (len(values) == 1 || a.name == "strings"):
		return "422 utf8"
	case a.name == "strings":
		return asStrings(values)
	case a.name == "pointer":
		return asPointer(values)
	}
	return asString(values)
}

func notUTF8(list []string) bool {
	return slices.ContainsFunc(list, func(text string) bool { return !utf8.ValidString(text) })
}

func headerDifferences() *differences[askedHeader] {
	return namedDifferences(
		difference[askedHeader]{
			name: "text that is not UTF-8 is refused",
			page: "docs/declaring.md", words: "text is UTF-8",
			usher: func(a askedHeader) (string, bool) {
				read := a.lines
				if a.name != "strings" {
					read = a.lines[:min(1, len(a.lines))]
				}
				return "422 utf8", a.header == "X-V" && a.name != "key" && notUTF8(read)
			},
		},
		difference[askedHeader]{
			name: "a name or a password that is not UTF-8 is refused",
			page: "security/basic.go", words: `charset="UTF-8"`, // its challenge
			usher: func(a askedHeader) (string, bool) {
				read := a.reference(a.request, textproto.TrimString)
				return "401 invalid_credentials", a.name == "basic" && strings.Contains(read, `\x`)
			},
		},
	)
}

func cookieDifferences() *differences[askedHeader] {
	isParameter := func(a askedHeader) bool { return a.name != "session" }
	right := func(a askedHeader) string {
		return a.answer(sentCookies(a.request, textproto.TrimString, textproto.TrimString))
	}
	return namedDifferences(
		difference[askedHeader]{
			name: "a cookie is read as it stands, and net/http drops what it cannot parse",
			page: "docs/declaring.md", words: "a cookie is read as it stands",
			usher: func(a askedHeader) (string, bool) { return right(a), isParameter(a) },
		},
		difference[askedHeader]{
			name: "a credential's cookie that is there twice or does not parse is refused",
			page: "docs/security.md", words: "two cookies of the name, or one that does not parse, are 400",
			usher: func(a askedHeader) (string, bool) {
				sent := sentCookies(a.request, textproto.TrimString, textproto.TrimString)
				return "400 invalid_request", !isParameter(a) && (len(sent) > 1 || len(parsedCookies(a.request)) == 0)
			},
		},
	)
}

// each goes through the texts for each reader, or one reader for each while fuzzing.
func each(readers []reader, texts ...string) iter.Seq2[uint8, string] {
	return func(yield func(uint8, string) bool) {
		for i := range readers {
			for j, text := range texts {
				if (!fuzzing() || j%len(readers) == i) && !yield(uint8(i), text) {
					return
				}
			}
		}
	}
}

// compareHeaders asks the readers one request after the other.
func compareHeaders(f *testing.F, readers []reader, known *differences[askedHeader]) {
	f.Helper()
	settings := config()
	settings.Origins = []string{pageOrigin}
	ws := wsroute.New(depends.New(), settings)
	for i := range readers {
		readers[i].add(ws)
	}
	srv := wstest.Start(f, ws)
	f.Fuzz(func(t *testing.T, which uint8, lines string) {
		if strings.Contains(lines, "\r") {
			t.Skip("a line would end")
		}
		a := askedHeader{reader: &readers[int(which)%len(readers)]}
		headers := handshake + "Origin: " + pageOrigin + "\r\n"
		if lines != "-" { // which stands for none
			a.lines = strings.Split(lines, "\n")
		}
		for _, line := range a.lines {
			headers += a.header + ": " + line + "\r\n"
		}
		target := "GET /" + a.name
		var err error
		raw := strings.NewReader(target + " HTTP/1.1\r\n" + headers + "\r\n")
		a.request, err = http.ReadRequest(bufio.NewReader(raw))
		if err != nil {
			t.Skip("net/http refuses it")
		}
		usher := connect(t, srv).ask(target, headers)
		if usher.status >= 400 && usher.header.Get("Content-Type") != "application/problem+json" {
			t.Skip("net/http refuses it")
		}
		known.compare(t, a, usher.String(), a.reference(a.request, textproto.TrimString))
	})
	known.check(f)
}

// FuzzHeader: a header is what net/http reads.
func FuzzHeader(f *testing.F) {
	readers := headerReaders()
	for which, lines := range each(
		readers,
		"-", "", "a", "7", " a ", "\ta\t", "a b", "a,b", "a, b", "a\nb", "7\n8", "a\n", "\na", "\n",
		"\n\n", "a\na", "\u00e9", "\xff", "a\xff", "\"a\"", "a;b", "a=b",
		"\u00a0a", "a\u00a0", "a\u0085", "\u2003a\u2003", "\u00a0", "-0", "+7", "07", " 7", "7\t",
		"7\u00a0", "99999999999999999999",
		"Bearer", "Bearer ", "Bearer a", "bearer a", "BEARER   a", "Bearer\ta", "Bearer a b",
		"Bearer a,b", "Bearera", "Bearer a\nBearer b", "Bearer a\nBasic YTpi",
		"Bearer \u00a0a", "Bearer a\u00a0", "B\u0435arer a", "Ba\u017fic YTpi", "Bearer\u00a0a",
		"Token a", "Basic", "Basic YTpi", "basic YTpi", "Basic  YTpi", "Basic YTpi ", "Basic YTpi=",
		"Basic YTo=",
		"Basic Og==", "Basic OmI=", "Basic YQ==", "Basic YQ", "Basic YTpiOmM=", "Basic YTr/",
		"Basic YTpi,", "Basic YTpi YTpi", "Basic YTpi\nBasic YTpi", "Basic YTpj\n", "Basic YT-_",
		"Basic w6k6w6k=",
		"Basic YTpiYR==", "Basic  ", "Basic \u00a0YTpi",
	) {
		f.Add(which, lines)
	}
	compareHeaders(f, readers, headerDifferences())
}

// FuzzCookie: a cookie is what net/http reads.
func FuzzCookie(f *testing.F) {
	readers := cookieReaders()
	for which, lines := range each(
		readers,
		"-", "", "v", "v=", "v=a", "w=a", "v=a; w=b", "w=b; v=a", "w=b;v=a", "v=a;", ";v=a",
		";;v=a;;", "v=a; v=b", "v=a; v=a", "v=a\nv=b", "v=a\nw=b", "w=b\nv=a", "v=a, v=b",
		"v=a; v=", "v=; v=a", "v; v=a",
		"v=\"a\"", "v=\"a b\"", "v=\"a", "v=a\"", "v=\"\"", "v=\"", "v=\"\"a\"\"", "v=a b", "v=a,b",
		"v=a=b", "v==a", "v=a\\b", "v={\"a\":1}", "v=\u00e9", "v=\xff", "v=a%20b", "v=a+b/c",
		"v=\ta", "v=a\tb",
		" v=a", "v=a ", "v =a", "v= a", " v = a ", "v=\"a\" ", "v =a; v=b", "\tv=a", "v\t=a", "V=a",
		"$v=a", "v;=a", "=v", "=", ";", "v=a;w", "$Version=1; v=a; $Path=/", "__Host-v=a", "vv=a",
		"v[]=a",
		"v=\u00a0a", "v=a\u00a0", "\u00a0v=a", "v\u00a0=a", "v=a\u0085", "v=\u2003",
		"w=\u00e9; v=a", "w={\"v=a\"}", "w=\"; v=a", "w=\"v=a; v=b\"",
	) {
		f.Add(which, lines)
	}
	compareHeaders(f, readers, cookieDifferences())
}
