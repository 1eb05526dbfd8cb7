package asyncapi_test

import (
	"slices"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/asyncapi"
)

// Types of which one is put in another's place.
type (
	inner   struct{ X int }
	renamed struct{ X int }
	needing struct {
		X int
		Y string `validate:"required"`
	}
	value       struct{ In inner }
	ofRenamed   struct{ In renamed }
	pointer     struct{ In *inner }
	inners      struct{ In []inner }
	manyRenamed struct{ In []renamed }
	manyNeeding struct {
		In []needing `validate:"dive"`
	}
	byName        struct{ In map[string]inner }
	needingByName struct {
		In map[string]needing `validate:"dive"`
	}
	Part struct {
		A int
		B int `validate:"required"`
		C int
	}
	Strict struct {
		A int
		B int `validate:"required"`
		C int `validate:"required"`
	}
	part      struct{ *Part }
	strict    struct{ *Strict }
	text      struct{ T string }
	bytesText struct{ T []byte }
	choice    struct {
		T string `validate:"omitempty,oneof=a b"`
	}
	noQuery       struct{}
	optionalQuery struct {
		N int `query:"n" default:"3"`
	}
	otherDefault struct {
		N int `query:"n" default:"4"`
	}
	requiredQuery struct {
		N int `query:"n"`
	}
)

func takes[M any](ws *wsroute.Router) {
	wsroute.Handle(ws, "/a", nothing[M, struct{}, struct{}], wsroute.Public)
}

func gives[M any](ws *wsroute.Router) {
	wsroute.Handle(ws, "/a", nothing[struct{}, M, struct{}], wsroute.Public)
}

func asks[In any](ws *wsroute.Router) {
	wsroute.Handle(ws, "/a", nothing[struct{}, struct{}, In], wsroute.Public)
}

// goes has a message "said" that is sent and, perhaps, received too.
func goes(bothWays bool) func(*wsroute.Router) {
	return func(ws *wsroute.Router) {
		c := wsroute.HandleMessages(ws, "/a", wsroute.Union[event]{"said": said{}}, wsroute.Public)
		wsroute.On(c, "other", ignore[say])
		if bothWays {
			wsroute.On(c, "said", ignore[say])
		}
	}
}

// TestChangesOfTypes: what is nested is judged by its direction, too.
func TestChangesOfTypes(t *testing.T) {
	for name, test := range map[string]struct {
		before, after   func(*wsroute.Router)
		breaks, andBack bool
		noChange        bool
	}{
		"a received pointer":               {before: takes[value], after: takes[pointer], andBack: true},
		"a sent pointer":                   {before: gives[value], after: gives[pointer], breaks: true},
		"a received component's name":      {before: takes[value], after: takes[ofRenamed], noChange: true},
		"a sent component's name":          {before: gives[inners], after: gives[manyRenamed], noChange: true},
		"a rule in a list":                 {before: takes[inners], after: takes[manyNeeding], breaks: true},
		"a rule in a map":                  {before: takes[byName], after: takes[needingByName], breaks: true},
		"a member that comes with another": {before: takes[part], after: takes[strict], breaks: true},
		"received base64":                  {before: takes[text], after: takes[bytesText], breaks: true, andBack: true},
		"sent base64":                      {before: gives[text], after: gives[bytesText], breaks: true, andBack: true},
		"a choice":                         {before: takes[text], after: takes[choice], breaks: true},
		"a first parameter":                {before: asks[noQuery], after: asks[optionalQuery]},
		"a first parameter that is needed": {before: asks[noQuery], after: asks[requiredQuery], breaks: true},
		"a default":                        {before: asks[requiredQuery], after: asks[optionalQuery], andBack: true},
		"another default":                  {before: asks[optionalQuery], after: asks[otherDefault], breaks: true, andBack: true},
		"a sent message is received, too":  {before: goes(false), after: goes(true), andBack: true},
	} {
		documents := [2][]byte{}
		for i, program := range []func(*wsroute.Router){test.before, test.after} {
			ws := wsroute.New(depends.New(), quiet)
			program(ws)
			documents[i] = described(t, ws).JSON()
		}
		for i, want := range []bool{test.breaks, test.andBack} {
			changes, err := asyncapi.Compare(documents[i], documents[1-i])
			breaks := slices.ContainsFunc(changes, func(c asyncapi.Change) bool { return c.Breaking })
			if err != nil || breaks != want || (len(changes) == 0) != test.noChange {
				t.Errorf("%s, %d: breaking is %t: %v, %v", name, i, breaks, changes, err)
			}
		}
	}
}

// TestCompareWhatIsNoDocument: an edited file is compared as far as it goes.
func TestCompareWhatIsNoDocument(t *testing.T) {
	whole := described(t, room()).JSON()
	for _, text := range []string{
		`{"asyncapi":"3.0.0"}`,
		`{"asyncapi":"3.0.0","channels":{"raw":7},"operations":{"send.raw":[]}}`,
		`{"asyncapi":"3.0.0","channels":{"raw":{"messages":{"sent":{"$ref":"#/loop"}}}},"loop":{"$ref":"#/loop"}}`,
	} {
		for _, pair := range [][2][]byte{{whole, []byte(text)}, {[]byte(text), whole}} {
			if changes, err := asyncapi.Compare(pair[0], pair[1]); err != nil || len(changes) == 0 {
				t.Errorf("%s: %v, %v", text, changes, err)
			}
		}
	}
}
