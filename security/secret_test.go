package security_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/usher/security"
)

// TestSecretsDoNotPrint: however a configuration is printed or logged, even from
// within an unexported field, its secret is not there.
func TestSecretsDoNotPrint(t *testing.T) {
	j := config()
	j.Keys = append(j.Keys, security.HS256(secret).WithID("k1"))
	hidden := struct{ j security.JWT[Claims] }{j}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
		for _, v := range []any{j, &j, j.Keys, j.Keys[0], &j.Keys[0], hidden, &hidden, security.Ready[Claims](j)} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	asJSON, err := json.Marshal(j) //nolint:staticcheck // it may fail, but must not print
	if err != nil {
		out.WriteString(err.Error())
	}
	out.Write(asJSON)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "jwt", j, "key", j.Keys[0])
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "jwt", j, "key", j.Keys[0])
	text := strings.ToLower(out.String())
	var decimal []string
	for _, b := range secret[:8] {
		decimal = append(decimal, fmt.Sprint(b))
	}
	for _, form := range []string{
		string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret),
		strings.Join(decimal, " "), strings.Join(decimal, ", "), "0x63, 0x61, 0x6e",
	} {
		if strings.Contains(text, strings.ToLower(form)) {
			t.Errorf("the output has the secret as %q", form)
		}
	}
	for _, c := range []struct{ key, want string }{
		{fmt.Sprint(j.Keys[0]), "HS256 key"},
		{fmt.Sprintf("%#v", j.Keys[1]), `HS256 key "k1"`},
		{fmt.Sprint(security.Key{}), "zero Key"},
	} {
		if c.key != c.want {
			t.Errorf("a key prints as %s, want %s", c.key, c.want)
		}
	}
}

// TestSecretIsCopied: wiping the slice that a key was made of changes nothing.
func TestSecretIsCopied(t *testing.T) {
	mine := bytes.Clone(secret)
	j := config()
	j.Keys = []security.Key{security.HS256(mine)}
	clear(mine)
	if _, err := authenticate(prepared(t, j), mint(nil, nil)); err != nil {
		t.Error(err)
	}
}
