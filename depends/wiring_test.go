package depends_test

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/go-playground/validator/v10"
	"github.com/google/go-cmp/cmp"

	"example.com/usher/depends"
	"example.com/usher/security"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// own is a struct that is read from text.
type own struct{ text string }

func (o *own) UnmarshalText(text []byte) error {
	o.text = string(text)
	return nil
}

// Users is an interface that Store implements.
type Users interface{ Find(string) string }

type (
	Level   int
	Store   struct{}
	Token   struct{ n int }
	User    struct{ n int }
	Session struct{ n int }
	Conn    struct{ n int }
)

func (*Store) Find(string) string { return "" }

func newUser(context.Context, struct{ Token Token }) (User, error)       { return User{}, nil }
func newToken(context.Context, struct{ Session Session }) (Token, error) { return Token{}, nil }
func newSession(context.Context, struct{ User User }) (Session, error)   { return Session{}, nil }
func openStore(context.Context, none) (*Store, error)                    { return &Store{}, nil }
func openConn(context.Context, none) (Conn, error)                       { return Conn{}, nil }
func sessionOfConn(context.Context, struct{ Conn Conn }) (Session, error) {
	return Session{}, nil
}

// fault is a program that must not start; the file of its name has the report.
var faults = map[string]func(*depends.Graph) []route{
	"missing": func(deps *depends.Graph) []route {
		depends.Provide(deps, newUser)
		depends.Provide(deps, newToken)
		return []route{to[struct{ User User }](deps, "/")}
	},
	"missing_pointer": func(deps *depends.Graph) []route {
		depends.Provide(deps, openStore)
		return []route{to[struct{ Store Store }](deps, "/")}
	},
	"missing_interface": func(deps *depends.Graph) []route {
		depends.Provide(deps, openStore)
		return []route{to[struct{ Users Users }](deps, "/")}
	},
	"missing_similar": func(deps *depends.Graph) []route {
		type Tokens struct{}
		depends.Supply(deps, Token{1})
		return []route{to[struct{ Tokens Tokens }](deps, "/")}
	},
	"missing_in_group": func(deps *depends.Graph) []route {
		depends.Supply(deps.Child(), Token{1})
		depends.Provide(deps, newUser)
		return []route{to[struct{ User User }](deps, "/")}
	},
	"missing_tag": func(deps *depends.Graph) []route {
		return []route{to[struct{ RoomID string }](deps, "/")}
	},
	"missing_stranger": func(deps *depends.Graph) []route {
		return []route{to[struct {
			Ctx context.Context
			W   http.ResponseWriter
			R   http.Request
		}](deps, "/")}
	},
	"missing_optional": func(deps *depends.Graph) []route {
		return []route{to[struct{ User depends.Optional[User] }](deps, "/")}
	},
	"missing_on_many_routes": func(deps *depends.Graph) []route {
		depends.Provide(deps, newUser)
		return []route{
			to[struct{ User User }](deps, "/a"), to[struct{ User User }](deps, "/b"), to[struct{ Who User }](deps, "/c"),
		}
	},
	"missing_guard": func(deps *depends.Graph) []route {
		return []route{to[none](deps, "/", reflect.TypeFor[User]())}
	},
	"missing_on_no_route": func(deps *depends.Graph) []route {
		depends.Provide(deps, newUser)
		return []route{to[none](deps, "/")}
	},
	"cycle": func(deps *depends.Graph) []route {
		depends.Provide(deps, newUser)
		depends.Provide(deps, newToken)
		depends.Provide(deps, newSession)
		return []route{to[struct{ Session Session }](deps, "/a"), to[struct{ Token Token }](deps, "/b")}
	},
	"cycle_of_one": func(deps *depends.Graph) []route {
		depends.Provide(deps, func(context.Context, struct{ User User }) (User, error) { return User{}, nil })
		return []route{to[none](deps, "/")}
	},
	"ambiguous": func(deps *depends.Graph) []route {
		depends.Provide(deps, openStore)
		depends.Supply(deps.Child(), &Store{})
		depends.Supply(deps, Token{1})
		depends.Supply(deps, Token{2})
		return []route{to[none](deps, "/")}
	},
	"captive_connection": func(deps *depends.Graph) []route {
		depends.Provide(deps, openConn, depends.Handshake)
		depends.Provide(deps, sessionOfConn)
		return []route{to[struct{ Session Session }](deps, "/")}
	},
	"captive_handler": func(deps *depends.Graph) []route {
		depends.Provide(deps, openConn, depends.Handshake)
		return []route{to[struct {
			Conn Conn `depends:"handshake-only"`
		}](deps, "/")}
	},
	"captive_app": func(deps *depends.Graph) []route {
		depends.Provide(deps, openConn)
		depends.Provide(deps, sessionOfConn, depends.App)
		depends.Provide(deps, func(context.Context, struct {
			Tenant  string `header:"X-Tenant"`
			Request *http.Request
		},
		) (Token, error) {
			return Token{}, nil
		}, depends.App)
		return []route{to[none](deps, "/")}
	},
	"bad_tag": func(deps *depends.Graph) []route {
		type in struct {
			Spelling   string        `path:"room" defualt:"lobby"`
			Foreign    int           `query:"a" json:"a"`
			Binding    int           `query:"b" binding:"required"`
			Unknown    int           `query:"c" colour:"red"`
			TwoSources int           `query:"d" header:"D"`
			NoName     int           `query:""`
			Default    int           `query:"e" default:"x"`
			Refused    int           `query:"f" default:"0" validate:"gt=0"`
			Rule       int           `query:"g" validate:"alphanumm"`
			Kind       bool          `query:"h" validate:"gte=5"`
			PathDef    string        `path:"room" default:"x"`
			Pointer    *int          `query:"i" default:"1"`
			Type       chan int      `query:"j"`
			Both       int           `query:"k" depends:"fresh"`
			Option     User          `depends:"frehs"`
			Scopes     User          `scopes:"rooms:write"`
			Default2   User          `default:"x"`
			Twice      int           `query:"a" query:"b"`
			Request    *http.Request `depends:"fresh"`
			_          string        `query:"l"`
		}
		return []route{to[in](deps, "/:room")}
	},
	"bad_rule": func(deps *depends.Graph) []route { // rules that are never run, always fail, or are about siblings
		depends.Supply(deps, Level(7))
		type in struct {
			Struct    netip.Addr   `query:"a" validate:"ipv6"`
			Pointer   *netip.Addr  `query:"b" validate:"omitempty,ipv6"`
			Own       own          `query:"c" validate:"len=3"`
			Elements  []netip.Addr `query:"d" validate:"dive,ipv6"`
			Kinds     []string     `query:"kinds" validate:"max=2,oneof=a b"`
			Bytes     net.IP       `query:"e" validate:"ip"`
			Number    int          `query:"f" validate:"alphanum"`
			Bool      bool         `query:"g" validate:"uuid|email"`
			NoDive    []string     `query:"h" validate:"max=2,email"`
			Compared  int          `query:"i" validate:"gtfield=Number"`
			Demanded  string       `query:"j" validate:"required_with=Own"`
			Excluded  string       `query:"k" validate:"excluded_without=Own"`
			Across    int          `query:"l" validate:"omitempty,nefield=Number"`
			Contained string       `query:"m" validate:"fieldcontains=Excluded"`
			Zero      int          `query:"n" validate:"required,min=0,max=6"`
			False     bool         `query:"o" validate:"required"`
			Zeros     []float64    `query:"p" validate:"required,dive,required"`
			Level     Level        `query:"level"`
			MaybeOf   *Level       `query:"maybe"`
			Levels    []Level      `query:"levels"`
		}
		return []route{to[in](deps, "/")}
	},
	"bad_tag_malformed": func(deps *depends.Graph) []route {
		in := reflect.StructOf([]reflect.StructField{{Name: "N", Type: reflect.TypeFor[int](), Tag: `query:"a"default:"1"`}}) // vet refuses it in source
		return []route{{path: "/", in: in, deps: deps}}
	},
	"bad_tag_embedded": func(deps *depends.Graph) []route {
		depends.Supply(deps, Token{1})
		type Scoped struct{ Token Token }
		type Fresh struct{ Token Token }
		type Checked struct{ Token Token }
		type Misspelt struct {
			Token Token `json:"token"`
		}
		type in struct {
			Scoped   `scopes:"admin"`
			Fresh    `depends:"fresh"`
			Checked  `validate:"required"`
			Misspelt `json:"inner" scops:"admin"`
		}
		return []route{to[in](deps, "/")}
	},
	"bad_tag_path": func(deps *depends.Graph) []route {
		depends.Provide(deps, func(context.Context, struct {
			ID int `path:"id"`
		},
		) (User, error) {
			return User{}, nil
		})
		type in struct {
			User User
			Room string `path:"romo"`
		}
		return []route{to[in](deps, "/:room"), to[struct{ User User }](deps, "/")}
	},
	"bad_tag_fresh": func(deps *depends.Graph) []route {
		depends.Supply(deps, Token{1})
		return []route{to[struct {
			Token Token `depends:"fresh"`
		}](deps, "/")}
	},
	"bad_field": func(deps *depends.Graph) []route {
		depends.Supply(deps, Token{1})
		type Embedded struct{ N int }
		type in struct {
			hidden Token
			*Embedded
			Users
			Token
			_    depends.Optional[Token]
			Late depends.Optional[depends.Live[Token]]
			_    *http.Request
			_    depends.ClientAddr
		}
		_ = in{}.hidden
		return []route{to[in](deps, "/")}
	},
	"bad_input": func(deps *depends.Graph) []route {
		depends.Provide(deps, func(context.Context, *none) (User, error) { return User{}, nil })
		return []route{to[int](deps, "/")}
	},
	"bad_provider": func(deps *depends.Graph) []route {
		depends.Supply(deps, "secret")
		depends.Supply[*Store](deps, nil)
		depends.Supply[Users](deps, nil)
		depends.Provide(deps, func(context.Context, none) (context.Context, error) { return nil, nil })
		depends.Provide(deps, func(context.Context, none) (*http.Request, error) { return nil, nil })
		depends.Provide(deps, func(context.Context, none) (depends.Optional[User], error) {
			return depends.Optional[User]{}, nil
		})
		return []route{to[none](deps, "/")}
	},
	"unsafe": func(deps *depends.Graph) []route {
		provideScheme(deps, depends.Scheme{
			Name: "ApiKey",
			Sources: []depends.Source{
				{In: "cokie", Name: "k"},
				{In: "header"},
				{In: "query", Name: "k"},
				{In: "query", Name: "k"},
				{In: "header", Name: "cookie"},
				{In: "header", Name: "authorization"},
				{In: "header", Name: "Sec-WebSocket-Protocol"},
			},
			Faults: []depends.SchemeFault{{Fact: "ApiKey has no keys", Hint: "set Keys"}},
		}, func(context.Context, depends.Credential) (Token, error) { return Token{}, nil })
		provideScheme(deps, depends.Scheme{Name: "Nowhere", Challenge: "X"},
			func(context.Context, depends.Credential) (User, error) { return User{}, nil })
		return []route{to[struct{ Token Token }](deps, "/")}
	},
	"failed": func(deps *depends.Graph) []route {
		depends.Provide(deps, func(context.Context, none) (Token, error) { return Token{}, errors.New("connection refused") }, depends.App)
		return []route{to[none](deps, "/")}
	},
	"failed_panic": func(deps *depends.Graph) []route {
		depends.Provide(deps, func(context.Context, none) (Token, error) { panic("oh") }, depends.App)
		return []route{to[none](deps, "/")}
	},
	"mixed": func(deps *depends.Graph) []route {
		depends.Provide(deps, newUser)
		depends.Provide(deps, openConn, depends.Handshake)
		depends.Provide(deps, sessionOfConn)
		depends.Supply(deps, "x")
		return []route{
			to[struct{ User User }](deps, "/a"),
			to[struct {
				Session Session
				Room    string `paht:"room"`
			}](deps, "/b/:room"),
		}
	},
}

// positions and the names of test functions move with every edit.
var position = regexp.MustCompile(`(\w+\.go):\d+`)

func TestReports(t *testing.T) {
	seen := map[string]bool{}
	for name, program := range faults {
		t.Run(name, func(t *testing.T) {
			deps := depends.New()
			_, err := mount(deps, program(deps)...)
			if err == nil {
				t.Fatal("it mounts")
			}
			for _, each := range err.(interface{ Unwrap() []error }).Unwrap() {
				var w *depends.WiringError
				if !errors.As(each, &w) || w.Kind == "" || w.Fact == "" {
					t.Errorf("%v is no WiringError", each)
				}
			}
			golden(t, name+".txt", position.ReplaceAllString(err.Error(), "$1:N"))
		})
		seen[name+".txt"] = true
	}
	files, _ := filepath.Glob("testdata/errors/*")
	for _, file := range files {
		if !seen[filepath.Base(file)] {
			t.Errorf("%s belongs to no program", file)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata/errors", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); -update rewrites it\n%s", file, diff)
	}
}

func TestReportsAreStable(t *testing.T) {
	for name, program := range faults {
		var first string
		for i := range 5 {
			deps := depends.New()
			_, err := mount(deps, program(deps)...)
			if i == 0 {
				first = err.Error()
			} else if err.Error() != first {
				t.Errorf("%s: two runs differ:\n%s\n%s", name, first, err)
			}
		}
	}
}

func TestRegistrationOfNilPanicsWithThePlace(t *testing.T) {
	defer func() {
		if got, _ := recover().(string); !regexp.MustCompile(`nil function at depends/wiring_test.go:\d+`).MatchString(got) {
			t.Errorf("got %q", got)
		}
	}()
	depends.Provide[none, Token](depends.New(), nil)
}

func TestCleanupOutsideAProviderPanicsWithAdvice(t *testing.T) {
	defer func() {
		if got, _ := recover().(string); !regexp.MustCompile(`wiring_test.go:\d+: .*wstest.Context`).MatchString(got) {
			t.Errorf("got %q", got)
		}
	}()
	depends.Cleanup(t.Context(), func(context.Context, error) error { return nil })
}

func TestTheProgramsOwnValidator(t *testing.T) {
	v := validator.New()
	if err := v.RegisterValidation("even", func(f validator.FieldLevel) bool { return f.Field().Int()%2 == 0 }); err != nil {
		t.Fatal(err)
	}
	type in struct {
		N int       `query:"n" validate:"even"`
		D time.Time `query:"d" default:"2026-01-02T03:04:05Z"`
	}
	options := []depends.GraphOption{depends.Validator(v)}
	deps := depends.New(options...)
	p := mustMount(t, deps, to[in](deps, "/"))[0]
	if got, _, err := resolve[in](t, p, "/?n=4"); err != nil || got.N != 4 || got.D.Year() != 2026 {
		t.Errorf("got %+v, %v", got, err)
	}
	var r *depends.Rejection
	if _, _, err := resolve[in](t, p, "/?n=3"); !errors.As(err, &r) || r.Status != 422 || r.Params[0].Code != "even" {
		t.Errorf("got %v", err)
	}
}

// madeScheme is a scheme of a test.
type madeScheme[T any] struct {
	depends.Scheme
	authenticate func(context.Context, depends.Credential) (T, error)
}

func (s madeScheme[T]) Describe() depends.Scheme { return s.Scheme }

func (s madeScheme[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	return s.authenticate(ctx, c)
}

func provideScheme[T any](
	deps *depends.Graph, scheme depends.Scheme, authenticate func(context.Context, depends.Credential) (T, error),
) {
	security.Use(deps, madeScheme[T]{scheme, authenticate})
}
