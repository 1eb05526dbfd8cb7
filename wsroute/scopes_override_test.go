package wsroute_test

import (
	"context"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// entitled is what a scheme provides: a principal with scopes.
type entitled struct{ scopes []string }

func (g entitled) Scopes() []string { return g.scopes }

type (
	editor     struct{ name string }
	editorPart struct {
		Who entitled `scopes:"edit"`
	}
)

// TestScopesAreCheckedOnOverriddenValues. The kind: a test passes where the program would
// refuse, since an override was not held to what it stands for.
func TestScopesAreCheckedOnOverriddenValues(t *testing.T) {
	type (
		tagged struct {
			Who entitled `scopes:"edit"`
		}
		plainly struct{ Who entitled }
		maybe   struct{ Who depends.Optional[entitled] }
		above   struct {
			Editor editor `scopes:"admin"`
		}
		live struct{ Who depends.Live[entitled] }
	)
	value := func(scopes ...string) depends.Replacement {
		return depends.OverrideValue(entitled{scopes})
	}
	function := func(scopes ...string) depends.Replacement {
		return depends.Override(func(context.Context, none) (entitled, error) { return entitled{scopes}, nil })
	}
	reading := func(scopes ...string) depends.Replacement {
		return depends.Override(func(_ context.Context, in struct {
			Name string `query:"name" default:"bob"`
		},
		) (entitled, error) {
			return entitled{scopes}, nil
		})
	}
	for name, test := range map[string]struct {
		add    func(*wsroute.Router)
		with   depends.Replacement
		passes bool
	}{
		"a tag":                         {opens[tagged](), value(), false},
		"a tag, granted":                {opens[tagged](), value("edit"), true},
		"a tag, another granted":        {opens[tagged](), value("read"), false},
		"a function":                    {opens[tagged](), function("read"), false},
		"a function, granted":           {opens[tagged](), function("read", "edit"), true},
		"a function with a parameter":   {opens[tagged](), reading(), false},
		"and granted":                   {opens[tagged](), reading("edit"), true},
		"the route's":                   {opens[plainly](wsroute.Scopes("admin")), value("edit"), false},
		"the route's, granted":          {opens[plainly](wsroute.Scopes("admin")), value("admin"), true},
		"the route's and a tag":         {opens[tagged](wsroute.Scopes("admin")), value("admin"), false},
		"both, granted":                 {opens[tagged](wsroute.Scopes("admin")), value("admin", "edit"), true},
		"a guard's":                     {opens[none](wsroute.Require[entitled](), wsroute.Scopes("admin")), value(), false},
		"on the way to it":              {opens[above](), value("edit"), false},
		"on the way to it, granted":     {opens[above](), value("edit", "admin"), true},
		"beside Optional":               {opens[maybe](wsroute.Require[entitled](), wsroute.Scopes("admin")), value(), false},
		"Live":                          {opens[live](wsroute.Scopes("admin")), value(), false},
		"Live, granted":                 {opens[live](wsroute.Scopes("admin")), value("admin"), true},
		"none are demanded":             {opens[plainly](), value(), true},
		"the override of what is above": {opens[above](), depends.OverrideValue(editor{"bob"}), true},
	} {
		t.Run(name, func(t *testing.T) {
			deps := depends.New()
			provideScheme(deps, depends.Scheme{
				Name: "test", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "token"}},
			}, func(context.Context, depends.Credential) (entitled, error) { return entitled{}, nil })
			depends.Provide(deps, func(context.Context, editorPart) (editor, error) { return editor{}, nil })
			ws := wsroute.New(deps, quiet())
			test.add(ws)
			srv := wstest.Start(t, ws, test.with)
			if test.passes {
				if closed := wstest.Dial[string, string](t, srv, "/ws").Closed(); closed.Code != 1000 {
					t.Errorf("closed with %v", closed)
				}
				return
			}
			r := wstest.Refused(t, srv, "/ws")
			if r.Status != 403 || r.Problem.Reason != "insufficient_scope" || r.Header.Get("Www-Authenticate") == "" {
				t.Errorf("got %d %+v", r.Status, r.Problem)
			}
		})
	}
}
