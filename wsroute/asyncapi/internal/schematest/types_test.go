package schematest

import (
	"encoding/json"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// The types have no field whose rules a message could not break or keep.

type texts struct {
	Plain     string
	Required  string   `json:"required" validate:"required"`
	Bounded   string   `json:"bounded" validate:"min=2,max=4"`
	Omitted   string   `json:"omitted,omitempty" validate:"omitempty,min=2,max=4"`
	Len       string   `json:"len" validate:"len=3"`
	Gt        string   `json:"gt" validate:"gt=1,lt=5"`
	Gte       string   `json:"gte" validate:"gte=1,lte=3"`
	Eq        string   `json:"eq" validate:"eq=a"`
	Ne        string   `json:"ne" validate:"ne=a"`
	One       string   `json:"one" validate:"oneof=a 'b c' abc"`
	OneCI     string   `json:"onecI" validate:"omitempty,oneofci=k 'B c' é"`
	Fold      string   `json:"fold" validate:"eq_ignore_case=abc|eq_ignore_case="`
	Alpha     string   `json:"alpha" validate:"omitempty,alpha"`
	AlphaNum  string   `json:"alphanum" validate:"omitempty,alphanum"`
	Numeric   string   `json:"numeric" validate:"omitempty,numeric"`
	Starts    string   `json:"starts" validate:"startswith=a"`
	Ends      string   `json:"ends" validate:"endswith=c"`
	Contains  string   `json:"contains" validate:"contains=b"`
	Without   string   `json:"without" validate:"excludes=b.,excludesall=!0x2C0x7C"`
	Boolean   string   `json:"boolean" validate:"boolean"`
	Or        string   `json:"or" validate:"numeric|alpha|len=0"`
	Date      string   `json:"date" validate:"omitempty,datetime=2006-01-02"`
	Default   string   `json:"default" validate:"isdefault|eq=a"`
	HTML      string   `json:"<&>" validate:"max=5"`
	Pointer   *string  `json:"pointer" validate:"required,max=3"`
	Maybe     *string  `json:"maybe" validate:"omitempty,oneof=a b"`
	Nil       *string  `json:"nil" validate:"omitnil,min=1"`
	Twice     **string `json:"twice" validate:"omitempty,min=1"`
	OmitZero  *string  `json:"omitZero,omitzero" validate:"omitzero,len=2"`
	Unchecked *string  `json:"unchecked"`
}

type numbers struct {
	I8      int8           `json:"i8" validate:"required"`
	I16     int16          `json:"i16" validate:"min=-2,max=0x10"`
	I32     int32          `json:"i32" validate:"gt=-1,lt=5"`
	I64     int64          `json:"i64" validate:"oneof=-1 0 1 007"`
	I       int            `json:"i" validate:"omitempty,min=2"`
	U8      uint8          `json:"u8" validate:"required,max=100"`
	U16     uint16         `json:"u16" validate:"ne=1"`
	U32     uint32         `json:"u32" validate:"eq=1|eq=2|gt=3"`
	U64     uint64         `json:"u64" validate:"omitempty,len=3"`
	Port    uint           `json:"port" validate:"port"`
	F32     float32        `json:"f32" validate:"min=0.1,max=1"`
	F64     float64        `json:"f64" validate:"gt=0.1,lte=1e2"`
	Ne      float64        `json:"ne" validate:"ne=1.50"`
	Needed  float64        `json:"needed" validate:"required"`
	Bool    bool           `json:"bool" validate:"required"`
	Not     bool           `json:"not" validate:"eq=false"`
	Wait    time.Duration  `json:"wait" validate:"max=1us"`
	Pointer *int           `json:"pointer" validate:"required,min=0"`
	Maybe   *uint8         `json:"maybe" validate:"omitempty,min=1"`
	Zero    *int           `json:"zero,omitempty" validate:"omitzero,min=2"`
	Unset   *int           `json:"unset" validate:"isdefault"`
	Ordinal numeral        `json:"ordinal" validate:"oneof=1 2 3"`
	Plain   *numeral       `json:"plain"`
	Number  json.Number    `json:"number"`
	Chances map[string]int `json:"chances"`
}

type numeral int

type quoted struct {
	I int     `json:"i,string" validate:"required"`
	U uint8   `json:"u,string" validate:"oneof=0 1 2"`
	B bool    `json:"b,string" validate:"eq=true"`
	F float64 `json:"f,string"`
	S string  `json:"s,string" validate:"required"`
	P *int    `json:"p,string" validate:"omitempty,ne=1"`
}

type lists struct {
	Plain    []string            `json:"plain"`
	Required []string            `json:"required" validate:"required"`
	Some     []int               `json:"some" validate:"min=1,max=2"`
	Omitted  []int               `json:"omitted,omitempty" validate:"omitempty,len=2"`
	Empty    []int               `json:"empty" validate:"omitzero,len=2"`
	Most     []int               `json:"most" validate:"max=1"`
	NotTwo   []int               `json:"notTwo" validate:"ne=2"`
	NotNone  []int               `json:"notNone" validate:"ne=0"`
	Each     []string            `json:"each" validate:"dive,required,max=2"`
	Maybe    []*int              `json:"maybe" validate:"required,dive,omitempty,min=1"`
	Needed   []*int              `json:"needed" validate:"dive,required"`
	Deep     [][]string          `json:"deep" validate:"max=2,dive,min=1,dive,oneof=a b"`
	Unique   []int               `json:"unique" validate:"unique"`
	Array    [2]int              `json:"array" validate:"required"`
	Either   [2]int8             `json:"either" validate:"omitempty,dive,min=1"`
	Bytes    []byte              `json:"bytes" validate:"required"`
	Hash     [2]byte             `json:"hash"`
	Map      map[string]int      `json:"map" validate:"required,max=2,dive,keys,min=1,alpha,endkeys,min=1"`
	Numbers  map[int8]string     `json:"numbers" validate:"dive,keys,oneof=1 2,endkeys,required"`
	Keys     map[uint]*item      `json:"keys" validate:"dive,keys,ne=1,endkeys"`
	Items    []item              `json:"items" validate:"omitempty,min=1,dive"`
	Pointers map[string]*item    `json:"pointers" validate:"dive,required"`
	Nested   map[string][]item   `json:"nested" validate:"dive,dive"`
	Flags    map[string]bool     `json:"flags,omitzero" validate:"omitempty,min=1"`
	Pointed  *[]int              `json:"pointed" validate:"required,min=1"`
	Raw      json.RawMessage     `json:"raw" validate:"required"`
	Any      any                 `json:"any" validate:"required"`
	Anything any                 `json:"anything"`
	Tree     tree                `json:"tree"`
	Unread   []item              `json:"unread" validate:"-"`
	Free     struct{ A, B *int } `json:"free"`
}

type item struct {
	Name  string `json:"name" validate:"required,max=3"`
	Price int    `json:"price,omitempty" validate:"min=0"`
}

type tree []tree

type structs struct {
	Item     item       `json:"item"`
	Pointer  *item      `json:"pointer"`
	Required *item      `json:"required" validate:"required"`
	Omitted  item       `json:"omitted" validate:"omitempty"`
	Zero     *item      `json:"zero,omitzero" validate:"omitzero"`
	Some     point      `json:"some" validate:"required"`
	Skipped  item       `json:"skipped" validate:"-"`
	Only     item       `json:"only" validate:"structonly"`
	Next     *structs   `json:"next" validate:"omitempty"`
	Page     page[item] `json:"page"`
	Local    struct {
		A string `validate:"required"`
		B *item
	} `json:"local"`
	At     time.Time  `json:"at" validate:"required"`
	Until  *time.Time `json:"until" validate:"omitempty"`
	Addr   netip.Addr `json:"addr"`
	Hidden int        `json:"-"`
	inner  int
}

type point struct {
	X int     `json:"x"`
	Y *string `json:"y,omitempty"`
}

type page[T any] struct {
	Items []T        `json:"items" validate:"dive"`
	Next  *page[T]   `json:"next,omitempty"`
	Byte  map[int]*T `json:"byKey"`
}

// embeds has what encoding/json promotes, and what it does not.
type embeds struct {
	base
	*Optional
	Tagged `json:"tagged"`
	Same1
	Same2
	Name  string `json:"name" validate:"omitempty,min=2"`
	Inner level1
}

type base struct {
	ID   int    `json:"id" validate:"required"`
	Name string `json:"name"`
}

type Optional struct {
	Needed  string `json:"needed" validate:"required"`
	Bounded int    `json:"bounded" validate:"min=1"`
	Free    *int   `json:"free,omitempty"`
	Deeper
}

type Deeper struct {
	Deep string `json:"deep" validate:"omitempty,alpha"`
}

type Tagged struct {
	T string `validate:"max=2"`
}

type Same1 struct{ Same, Other1 int }

type Same2 struct{ Same, Other2 int }

type level1 struct{ level2 }

type level2 struct {
	*Level3
	Low int `json:"low" validate:"max=5"`
}

type Level3 struct {
	Low  string
	High string `validate:"required"`
}

// unsaid has rules that no schema says.
type unsaid struct {
	Mail  string    `json:"mail" validate:"required,email"`
	Maybe string    `json:"maybe" validate:"omitempty,email|ip"`
	Web   *string   `json:"web" validate:"omitempty,url,max=30"`
	Than  int       `json:"than" validate:"gtfield=Less"`
	Less  int       `json:"less"`
	If    string    `json:"if" validate:"required_if=Less 1"`
	List  []string  `json:"list" validate:"dive,hostname_port"`
	Past  time.Time `json:"past" validate:"lt"`
	Bytes []byte    `json:"bytes" validate:"min=2,max=4"`
	Kids  []item    `json:"kids" validate:"unique=Name,dive"`
	Bound int       `json:"bound,string" validate:"omitempty,min=1"`
	Lower string    `json:"lower" validate:"omitempty,lowercase"`
	Any   any       `json:"any" validate:"omitempty,alpha"`
}

// shade has a form of its own: a text. Its zero value is the text "0".
type shade struct{ n byte }

func (s shade) MarshalText() ([]byte, error) { return []byte{'0' + s.n%10}, nil }

func (s *shade) UnmarshalText(text []byte) error {
	if len(text) != 1 {
		return errors.New("no shade")
	}
	s.n = text[0] - '0'
	return nil
}

// mark has a form of its own by pointer alone: encoding/json calls the method where it can.
type mark struct{ N int }

func (m *mark) MarshalJSON() ([]byte, error) { return []byte{'"', 'm', '"'}, nil }

// strange has types with forms of their own, and rules on them.
type strange struct {
	*Optional `validate:"required"`
	*Deeper   `validate:"omitempty"`
	Shade     shade            `json:"shade" validate:"required"`
	Maybe     *shade           `json:"maybe" validate:"omitempty"`
	Needed    *shade           `json:"needed" validate:"required"`
	By        map[shade]int    `json:"by" validate:"required"`
	Shades    []shade          `json:"shades,omitempty" validate:"dive,required"`
	Mark      mark             `json:"mark"`
	Marks     []mark           `json:"marks"`
	Pointer   *mark            `json:"pointer,omitempty"`
	Big       *big.Int         `json:"big"`
	Huge      big.Int          `json:"huge"`
	IP        net.IP           `json:"ip" validate:"omitempty,len=4"`
	Number    json.Number      `json:"number" validate:"omitempty,numeric"`
	Numbers   []json.Number    `json:"numbers" validate:"max=2"`
	String    json.Number      `json:"string,string"`
	When      *time.Time       `json:"when,omitzero" validate:"omitempty,gt"`
	Zero      time.Time        `json:"zero,omitzero"`
	Free      *point           `json:"free" validate:"isdefault|required"`
	Mixed     []any            `json:"mixed" validate:"dive,required"`
	Pairs     map[string][]any `json:"pairs,omitempty"`
	Flat      struct{}         `json:"flat"`
}

// broad are the types whose schemas say all that their rules say.
var broad = []reflect.Type{
	reflect.TypeFor[texts](), reflect.TypeFor[numbers](), reflect.TypeFor[quoted](), reflect.TypeFor[lists](),
	reflect.TypeFor[structs](), reflect.TypeFor[embeds](), reflect.TypeFor[page[page[item]]](),
	reflect.TypeFor[[]item](), reflect.TypeFor[map[string][]*item](), reflect.TypeFor[*item](),
	reflect.TypeFor[int](), reflect.TypeFor[tree](), reflect.TypeFor[[2][]uint16](),
}

// vague are those with rules that no schema says.
var vague = []reflect.Type{reflect.TypeFor[unsaid](), reflect.TypeFor[strange]()}

// single are the structs with one field of some.
func single(of []reflect.Type) (types []reflect.Type) {
	for _, t := range of {
		if t.Kind() != reflect.Struct {
			continue
		}
		for f := range t.Fields() {
			if f.IsExported() && !f.Anonymous && f.Tag.Get("json") != "-" {
				types = append(types, reflect.StructOf([]reflect.StructField{f}))
			}
		}
	}
	return types
}

// patternedTypes are structs with a text that has one rule.
func patternedTypes() (types []reflect.Type) {
	for _, rule := range strings.Fields(patterned) {
		types = append(types, reflect.StructOf([]reflect.StructField{{
			Name: "V", Type: reflect.TypeFor[string](), Tag: reflect.StructTag(`validate:"` + rule + `"`),
		}}))
	}
	return types
}

const patterned = `alpha alphaspace alphanum alphanumspace numeric number hexadecimal hexcolor e164 base32 base64
	base64url base64rawurl uuid uuid3 uuid4 uuid5 uuid_rfc4122 uuid3_rfc4122 uuid4_rfc4122 uuid5_rfc4122 ulid
	md4 md5 sha256 sha384 sha512 ripemd128 ripemd160 tiger128 tiger160 tiger192 mongodb ascii printascii multibyte
	latitude longitude ein hostname hostname_rfc1123 fqdn url_encoded html jwt eth_addr bic_iso_9362_2014 bic boolean
	containsany=a0x2Cé containsrune=éa excludesall=!ab excludesrune=a startsnotwith=a endsnotwith=c oneofci=K|alpha
	ne_ignore_case=straße`
