package differential

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// A parameter as usher declares it, and as gin does.
type (
	query[T any] struct {
		V T `query:"v"`
	}
	form[T any] struct {
		V T `form:"v"`
	}

	color string
	level int8
)

// parameter is a kind of parameter on a route of usher's and on one of gin's.
type parameter struct {
	name  string
	field reflect.StructField // as usher declares it
	elem  reflect.Type        // of one value
	route func(*wsroute.Router, *gin.Engine)
}

// declare makes a parameter of two structs, whose one field V has the same type.
func declare[U, G any](name string) parameter {
	field := reflect.TypeFor[U]().Field(0)
	p := parameter{name: name, field: field, elem: field.Type}
	other := reflect.TypeFor[G]().Field(0)
	if other.Type != field.Type || other.Tag.Get("binding") != field.Tag.Get("validate") {
		panic(name + ": usher and gin are asked different things")
	}
	if !p.isText() && (p.isPointer() || p.isSlice()) {
		p.elem = p.elem.Elem()
	}
	p.route = func(ws *wsroute.Router, engine *gin.Engine) {
		wsroute.Handle(ws, "/usher/"+name, func(ctx context.Context, conn *textSocket, in U) error {
			return conn.Send(ctx, show(reflect.ValueOf(in).Field(0)))
		}, wsroute.Public)
		engine.GET("/gin/"+name, func(c *gin.Context) {
			var in G
			if err := c.ShouldBindQuery(&in); err != nil {
				c.String(http.StatusUnprocessableEntity, "")
				return
			}
			c.String(http.StatusOK, show(reflect.ValueOf(in).Field(0)))
		})
	}
	return p
}

func simple[T any](name string) parameter { return declare[query[T], form[T]](name) }

// parameters are of every kind that docs/declaring.md names.
var parameters = []parameter{
	simple[string]("string"), simple[bool]("bool"),
	simple[int]("int"), simple[int8]("int8"), simple[int16]("int16"), simple[int32]("int32"),
	simple[int64]("int64"),
	simple[uint]("uint"), simple[uint8]("uint8"), simple[uint16]("uint16"),
	simple[uint32]("uint32"), simple[uint64]("uint64"),
	simple[float32]("float32"), simple[float64]("float64"),
	simple[time.Time]("time"), simple[time.Duration]("duration"),
	simple[color]("color"), simple[level]("level"),
	simple[*string]("optional-string"), simple[*int]("optional-int"),
	simple[*bool]("optional-bool"), simple[*float64]("optional-float64"),
	simple[*time.Time]("optional-time"), simple[*time.Duration]("optional-duration"),
	simple[[]string]("strings"), simple[[]int]("ints"), simple[[]uint8]("bytes"),
	simple[[]bool]("bools"),
	simple[[]float32]("floats"), simple[[]time.Time]("times"), simple[[]time.Duration]("durations"),
	simple[[]color]("colors"),

	declare[query[net.IP], struct {
		V net.IP `form:"v,parser=encoding.TextUnmarshaler"`
	}]("ip"),
	declare[query[netip.Addr], struct {
		V netip.Addr `form:"v,parser=encoding.TextUnmarshaler"`
	}]("addr"),

	declare[struct {
		V string `query:"v" default:"lobby"`
	}, struct {
		V string `form:"v,default=lobby"`
	}]("string-by-default"),
	declare[struct {
		V int `query:"v" default:"7"`
	}, struct {
		V int `form:"v,default=7"`
	}]("int-by-default"),
	declare[struct {
		V bool `query:"v" default:"true"`
	}, struct {
		V bool `form:"v,default=true"`
	}]("bool-by-default"),
	declare[struct {
		V time.Duration `query:"v" default:"10s"`
	}, struct {
		V time.Duration `form:"v,default=10s"`
	}]("duration-by-default"),
	declare[struct {
		V []string `query:"v" default:"a"`
	}, struct {
		V []string `form:"v,default=a"`
	}]("strings-by-default"),

	declare[struct {
		V string `query:"v" validate:"required"`
	}, struct {
		V string `form:"v" binding:"required"`
	}]("required"),
	declare[struct {
		V string `query:"v" validate:"min=2,max=4"`
	}, struct {
		V string `form:"v" binding:"min=2,max=4"`
	}]("of-two-to-four"),
	declare[struct {
		V string `query:"v" validate:"omitempty,alphanum"`
	}, struct {
		V string `form:"v" binding:"omitempty,alphanum"`
	}]("alphanum"),
	declare[struct {
		V string `query:"v" validate:"oneof=red 'dark blue'"`
	}, struct {
		V string `form:"v" binding:"oneof=red 'dark blue'"`
	}]("one-of-two"),
	declare[struct {
		V string `query:"v" validate:"email|ip"`
	}, struct {
		V string `form:"v" binding:"email|ip"`
	}]("email-or-ip"),
	declare[struct {
		V int `query:"v" validate:"gte=1,lte=9"`
	}, struct {
		V int `form:"v" binding:"gte=1,lte=9"`
	}]("digit"),
	declare[struct {
		V uint8 `query:"v" validate:"ne=0"`
	}, struct {
		V uint8 `form:"v" binding:"ne=0"`
	}]("not-zero"),
	declare[struct {
		V float64 `query:"v" validate:"gt=0,lt=1"`
	}, struct {
		V float64 `form:"v" binding:"gt=0,lt=1"`
	}]("fraction"),
	declare[struct {
		V time.Duration `query:"v" validate:"gte=1s"`
	}, struct {
		V time.Duration `form:"v" binding:"gte=1s"`
	}]("a-second-or-more"),
	declare[struct {
		V *int `query:"v" validate:"gte=3"`
	}, struct {
		V *int `form:"v" binding:"gte=3"`
	}]("optional-int-from-3"),
	declare[struct {
		V *string `query:"v" validate:"required,min=2"`
	}, struct {
		V *string `form:"v" binding:"required,min=2"`
	}]("required-optional-string"),
	declare[struct {
		V *string `query:"v" validate:"omitempty,min=2"`
	}, struct {
		V *string `form:"v" binding:"omitempty,min=2"`
	}]("optional-string-of-two"),
	declare[struct {
		V []string `query:"v" validate:"max=2,dive,oneof=a b"`
	}, struct {
		V []string `form:"v" binding:"max=2,dive,oneof=a b"`
	}]("two-of-a-and-b"),
	declare[struct {
		V []int `query:"v" validate:"min=1,unique,dive,gte=0"`
	}, struct {
		V []int `form:"v" binding:"min=1,unique,dive,gte=0"`
	}]("unique-ints"),
	declare[struct {
		V []string `query:"v" validate:"required"`
	}, struct {
		V []string `form:"v" binding:"required"`
	}]("required-strings"),
}

// asked is a query that a parameter is read from.
type asked struct {
	*parameter
	raw    string
	values []string
	err    error // of decoding the query
}

// undecoded says whether a pair that may be the parameter's does not decode.
func (a asked) undecoded() bool {
	return slices.ContainsFunc(strings.Split(a.raw, "&"), func(pair string) bool {
		_, err := url.ParseQuery(pair)
		name := regexp.MustCompile(`(?i)(^|[;?])([^a-z0-9_.-]|%[0-9a-f]{2})*(v|%76|%56)([^a-z0-9_.-]|$)`)
		return err != nil && name.MatchString(pair)
	})
}

func (p *parameter) isText() bool {
	return p.name == "ip" || p.name == "addr"
}
func (p *parameter) isSlice() bool   { return p.field.Type.Kind() == reflect.Slice && !p.isText() }
func (p *parameter) isPointer() bool { return p.field.Type.Kind() == reflect.Pointer }

func (p *parameter) byDefault() (string, bool) { return p.field.Tag.Lookup("default") }

// String is how a test prints what it asked.
func (a asked) String() string { return a.name + " ?" + a.raw }

// code is that of a value which does not parse, as docs/errors.md has it.
func (a asked) code() string {
	switch a.elem {
	case reflect.TypeFor[time.Time]():
		return "time"
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[netip.Addr](), reflect.TypeFor[net.IP]():
		return "invalid"
	}
	switch kind := a.elem.Kind(); kind {
	case reflect.Float32, reflect.Float64:
		return "float"
	case reflect.Bool, reflect.String:
		return kind.String()
	}
	return "int"
}

// one says whether a text of which is says so is what decides: the only value, or the first
// bad one of a slice.
func (a asked) one(is func(text string) bool) bool {
	return (len(a.values) == 1 || a.isSlice()) && slices.ContainsFunc(a.values, is)
}

func isEmpty(text string) bool { return text == "" }

// queryDifferences from gin's binding.
func queryDifferences() *differences[asked] {
	return namedDifferences(
		difference[asked]{
			name: "a parameter that does not decode is refused, and gin drops its pair",
			page: "docs/security.md", words: "a parameter that does not decode | 400",
			usher: func(a asked) (string, bool) { return "400 invalid_query", a.err != nil && a.undecoded() },
		},
		difference[asked]{
			name: "a scalar that is there twice is refused, and gin takes the first",
			page: "depends/doc.go", words: "A query parameter or cookie that is there twice is refused",
			usher: func(a asked) (string, bool) { return "422 repeated", len(a.values) > 1 && !a.isSlice() },
		},
		difference[asked]{
			name: "an absent parameter is refused, and gin leaves the zero value",
			page: "docs/declaring.md", words: "It is required unless it is a pointer, a slice, or has a `default`.",
			usher: func(a asked) (string, bool) {
				_, optional := a.byDefault()
				return "422 missing", len(a.values) == 0 && !optional && !a.isSlice() && !a.isPointer()
			},
		},
		difference[asked]{
			name: "an absent pointer is nil, and gin runs its rule",
			page: "depends/doc.go", words: "unless it is a pointer (nil if absent)",
			usher: func(a asked) (string, bool) {
				rule := a.field.Tag.Get("validate")
				return "= nil", len(a.values) == 0 && a.isPointer() && !strings.Contains(rule, "required")
			},
		},
		difference[asked]{
			name: "text that is not UTF-8 is refused",
			page: "docs/declaring.md", words: "text is UTF-8",
			usher: func(a asked) (string, bool) {
				return "422 utf8", a.one(func(text string) bool { return !utf8.ValidString(text) })
			},
		},
		difference[asked]{
			name: "an empty string is what was sent, and gin takes the default",
			page: "docs/declaring.md", words: "an empty one does not stand for the default",
			usher: func(a asked) (string, bool) {
				_, has := a.byDefault()
				return `= ""`, has && a.elem.Kind() == reflect.String && a.one(isEmpty)
			},
		},
		difference[asked]{
			name: "an empty text is no number, bool, time or duration, and gin makes a zero of it",
			page: "docs/declaring.md", words: "an empty one does not stand for the default, and is no number",
			usher: func(a asked) (string, bool) {
				return "422 " + a.code(), a.elem.Kind() != reflect.String && a.one(isEmpty)
			},
		},
		difference[asked]{
			name: "spaces belong to the value, and gin cuts them off",
			page: "docs/declaring.md", words: "Spaces belong to it",
			usher: func(a asked) (string, bool) {
				return "422 " + a.code(), a.elem.Kind() != reflect.String &&
					a.one(func(text string) bool { return strings.TrimSpace(text) != text })
			},
		},
		difference[asked]{
			name: "a bool has more words",
			page: "depends/doc.go", words: "Bool reads 1, true, t, yes, y, on and their opposites.",
			usher: func(a asked) (string, bool) {
				var shown []string
				for _, text := range a.values {
					value := slices.Contains([]string{"1", "true", "t", "yes", "y", "on"}, strings.ToLower(text))
					if !value && !slices.Contains([]string{"0", "false", "f", "no", "n", "off"}, strings.ToLower(text)) {
						return "422 bool", a.elem.Kind() == reflect.Bool
					}
					shown = append(shown, strconv.FormatBool(value))
				}
				if a.isSlice() {
					return "= [" + strings.Join(shown, " ") + "]", a.elem.Kind() == reflect.Bool
				}
				star := ""
				if a.isPointer() {
					star = "*"
				}
				return "= " + star + strings.Join(shown, " "), a.elem.Kind() == reflect.Bool
			},
		},
		difference[asked]{
			name: "a float is finite",
			page: "docs/declaring.md", words: "a float is finite",
			usher: func(a asked) (string, bool) {
				return "422 float", a.code() == "float" && a.one(func(text string) bool {
					f, err := strconv.ParseFloat(text, a.elem.Bits())
					return err == nil && (math.IsNaN(f) || math.IsInf(f, 0))
				})
			},
		},
	)
}

// show is a value as text, the same for usher and gin.
func show(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Time:
		_, offset := value.Zone()
		return fmt.Sprint(value.UnixNano(), " ", value.Year(), " ", offset)
	case net.IP:
		return fmt.Sprintf("%x", []byte(value))
	case netip.Addr:
		return value.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "nil"
		}
		return "*" + show(v.Elem())
	case reflect.Slice:
		list := make([]string, v.Len())
		for i := range list {
			list[i] = show(v.Index(i))
		}
		return fmt.Sprint(list)
	case reflect.String:
		return fmt.Sprintf("%+q", v.String())
	}
	return fmt.Sprint(v.Interface())
}

// texts are values, escaped, of which every parameter takes some and refuses some.
var texts = []string{
	"", "a", "b", "red", "dark+blue", "dark%20blue", "abcde", "%C3%A9", "%ff", "a%00b",
	"%F0%9F%98%80", "a;b", "a=b", "%26", "%", "%zz",
	"0", "1", "-1", "%2B1", "+1", "-0", "3", "9", "10", "007", "0x10", "1_000", "1e3", "1.0", "127",
	"128", "-128", "-129",
	"255", "256", "32768", "65536", "2147483648", "-2147483649", "4294967296",
	"9223372036854775807", "9223372036854775808",
	"-9223372036854775809", "18446744073709551615", "18446744073709551616",
	"99999999999999999999999999",
	"0.5", ".5", "5.", "1e400", "-1e400", "1e39", "1e-400", "NaN", "nan", "Inf", "-inf",
	"%2Binfinity", "0x1p-2", "%201", "1%20", "1%09", "1%0a",
	"%C2%A01", "true", "TRUE", "tRuE", "t", "T", "yes", "NO", "y", "n", "on", "Off", "truE+",
	"2000-01-02T03:04:05Z", "2000-01-02T03:04:05.678Z", "2000-01-02T03:04:05,678Z",
	"2000-01-02T3:04:05Z", "2000-01-02t03:04:05z",
	"2000-01-02T03:04:05%2B01:00", "2000-01-02T03:04:05+01:00", "2000-01-02T03:04:05-24:00",
	"2000-01-02T03:04:05%2B23:59", "2000-01-02T03:04:05%2B00:60",
	"2000-01-02+03:04:05Z", "2000-01-02", "2000-02-30T00:00:00Z", "2000-01-02T24:00:00Z",
	"2000-01-02T23:59:60Z", "0000-01-01T00:00:00Z",
	"1s", "1h2m3s", "-5ms", "1.5h", "1%C2%B5s", "1%CE%BCs", "1d", "1", "s", "9999999h", "1s%20",
	"10s", "999ms",
	"::1", "192.0.2.1", "::ffff:192.0.2.1", "fe80::1%25eth0", "1.2.3", "01.2.3.4", "a@example.com",
}

// wholeQueries have the parameter elsewhere than in one pair by itself.
var wholeQueries = []string{
	"", "&", "v", "w=1", "v=1&v=2", "v=a&v=b", "v=a&v=b&v=a", "v=1&v=1", "v=&v=1", "v=1&v=",
	"v=1&v=%ff", "v=0&v=yes", "%76=1",
	"V=1", "v%3D1", "v=1;v=2", "v=1&w=%zz", "%zz=1&v=1", "v=1&w=a;b", "v=1#v=2", "v==1", "=v",
	"v+=1", "?v=1", "v[]=1", "v.a=1", "v=a,b",
	"v=1&v=x", "v=2000-01-02T03:04:05Z&v=2001-01-02T03:04:05Z", "v=1s&v=1m", "v=1s&v=", "v=NaN&v=1",
	"v=true&v=false", "v=1&v=+2",
}

// FuzzQuery: a query is read as gin's binding reads it into the same type.
func FuzzQuery(f *testing.F) {
	raws := slices.Clone(wholeQueries)
	for _, text := range texts {
		raws = append(raws, "v="+text)
	}
	for i := range parameters {
		for j, raw := range raws {
			if !fuzzing() || (i+j)%(3*len(parameters)) == 0 {
				f.Add(uint8(i), raw)
			}
		}
	}
	ws, engine := wsroute.New(depends.New(), config()), newEngine()
	for i := range parameters {
		parameters[i].route(ws, engine)
	}
	if err := ws.Mount(engine); err != nil {
		f.Fatal(err)
	}
	srv := wstest.StartHandler(f, ws, engine)
	known := queryDifferences()
	f.Fuzz(func(t *testing.T, which uint8, raw string) {
		if strings.ContainsAny(raw, " \r\n") {
			t.Skip("the request line would end")
		}
		a := asked{parameter: &parameters[int(which)%len(parameters)], raw: raw}
		c := connect(t, srv)
		reference := c.ask("GET /gin/"+a.name+"?"+raw, plain)
		if !reference.fromReference() {
			t.Skip("net/http refuses it")
		}
		decoded, err := url.ParseQuery(raw)
		a.values, a.err = decoded["v"], err
		usher := c.ask("GET /usher/"+a.name+"?"+raw, handshake)
		want := reference.String()
		if reference.status == http.StatusUnprocessableEntity && usher.status == reference.status {
			want = usher.String() // gin's binding has no codes
		}
		known.compare(t, a, usher.String(), want)
		if a.name == "strings" && err == nil && utf8.ValidString(strings.Join(a.values, "")) &&
			usher.String() != "= "+show(reflect.ValueOf(append([]string{}, a.values...))) {
			t.Errorf("?%s: got %v, net/url says %q", raw, usher, a.values)
		}
	})
	known.check(f)
}
