package schema

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// patterns say what rules of the validator's say of texts. ECMAScript and RE2 read them alike:
// no \s, no \p, no flags, no characters beyond the 16 bits of UTF-16 in a class.
var patterns = map[string]string{
	"alpha":         `^[a-zA-Z]+$`,
	"alphaspace":    `^[a-zA-Z ]+$`,
	"alphanum":      `^[a-zA-Z0-9]+$`,
	"alphanumspace": `^[a-zA-Z0-9 ]+$`,
	"numeric":       `^[-+]?[0-9]+(?:\.[0-9]+)?$`,
	"number":        `^[0-9]+$`,
	"hexadecimal":   `^(?:0[xX])?[0-9a-fA-F]+$`,
	"hexcolor":      `^#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})$`,
	"e164":          `^\+?[1-9][0-9]{7,14}$`,
	"base64":        padded("[A-Za-z0-9+/]"),
	"base64url":     padded("[A-Za-z0-9_-]"),
	"base64rawurl":  `^(?:[A-Za-z0-9_-]{4})*[A-Za-z0-9_-]{2,4}$`,
	"base32": `^(?:[A-Z2-7]{8})*` +
		`(?:[A-Z2-7]{2}={6}|[A-Z2-7]{4}={4}|[A-Z2-7]{5}={3}|[A-Z2-7]{7}=|[A-Z2-7]{8})$`,
	"uuid":             hexGroups("0-9a-f", "[0-9a-f]", "[0-9a-f]"),
	"uuid3":            hexGroups("0-9a-f", "3", "[0-9a-f]"),
	"uuid4":            hexGroups("0-9a-f", "4", "[89ab]"),
	"uuid5":            hexGroups("0-9a-f", "5", "[89ab]"),
	"uuid_rfc4122":     hexGroups("0-9a-fA-F", "[0-9a-fA-F]", "[0-9a-fA-F]"),
	"uuid3_rfc4122":    hexGroups("0-9a-fA-F", "3", "[0-9a-fA-F]"),
	"uuid4_rfc4122":    hexGroups("0-9a-fA-F", "4", "[89abAB]"),
	"uuid5_rfc4122":    hexGroups("0-9a-fA-F", "5", "[89abAB]"),
	"ulid":             "^[A-HJKMNP-TV-Za-hjkmnp-tv-z0-9\u017f\u212a]{26}$", // RE2 folds S, K
	"md4":              `^[0-9a-f]{32}$`,
	"md5":              `^[0-9a-f]{32}$`,
	"sha256":           `^[0-9a-f]{64}$`,
	"sha384":           `^[0-9a-f]{96}$`,
	"sha512":           `^[0-9a-f]{128}$`,
	"ripemd128":        `^[0-9a-f]{32}$`,
	"ripemd160":        `^[0-9a-f]{40}$`,
	"tiger128":         `^[0-9a-f]{32}$`,
	"tiger160":         `^[0-9a-f]{40}$`,
	"tiger192":         `^[0-9a-f]{48}$`,
	"mongodb":          `^[a-f0-9]{24}$`,
	"ascii":            `^[\x00-\x7F]*$`,
	"printascii":       `^[ -~]*$`,
	"multibyte":        `^$|[^\x00-\x7F]`,
	"latitude":         `^[-+]?(?:[1-8]?[0-9](?:\.[0-9]+)?|90(?:\.0+)?)$`,
	"longitude":        `^[-+]?(?:180(?:\.0+)?|(?:1[0-7][0-9]|[1-9]?[0-9])(?:\.[0-9]+)?)$`,
	"ein":              `^[0-9]{2}-[0-9]{7}$`,
	"hostname":         `^[a-zA-Z](?:[a-zA-Z0-9-]\.?)*[a-zA-Z0-9]$`,
	"hostname_rfc1123": `^[a-zA-Z0-9][a-zA-Z0-9-]{0,62}(?:\.[a-zA-Z0-9][a-zA-Z0-9-]{0,62})*$`,
	"fqdn": `^[a-zA-Z0-9][a-zA-Z0-9-]{0,62}(?:\.[a-zA-Z0-9][a-zA-Z0-9-]{0,62})*` +
		`\.[a-zA-Z][a-zA-Z0-9]{0,62}\.?$`,
	"url_encoded":       `^(?:[^%]|%[0-9A-Fa-f]{2})*$`,
	"html":              `</?[a-zA-Z]+[^\n>]*>`,
	"jwt":               `^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$`,
	"eth_addr":          `^0x[0-9a-fA-F]{40}$`,
	"bic_iso_9362_2014": `^[A-Za-z]{6}[A-Za-z0-9]{2}(?:[A-Za-z0-9]{3})?$`,
	"bic":               `^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?$`,
}

// padded is the pattern of base64 with digits of a class.
func padded(d string) string {
	return "^(?:" + d + "{4})*(?:" + d + "{2}==|" + d + "{3}=|" + d + "{4})$"
}

// hexGroups is the pattern of a UUID with digits of a class, a version and a variant.
func hexGroups(digits, version, variant string) string {
	d := "[" + digits + "]"
	return "^" + d + "{8}-" + d + "{4}-" + version + d + "{3}-" + variant + d + "{3}-" + d + "{12}$"
}

// Rules of the validator's that no schema says; those of the first list refuse an empty text.
var (
	unsaidFilled = strings.Fields(`
		alphaunicode alphanumunicode rgb rgba hsl hsla email url http_url https_url uri urn_rfc2141
		isbn isbn10 isbn13 issn eth_addr_checksum btc_addr btc_addr_bech32 datauri ssn
		ipv4 ipv6 ip cidrv4 cidrv6 cidr tcp4_addr tcp6_addr tcp_addr udp4_addr udp6_addr udp_addr
		ip4_addr ip6_addr ip_addr mac json hostname_port lowercase uppercase timezone
		iso3166_1_alpha2 iso3166_1_alpha2_eu iso3166_1_alpha3 iso3166_1_alpha3_eu
		iso3166_1_alpha_numeric iso3166_1_alpha_numeric_eu iso3166_2 iso4217 bcp47_language_tag
		semver dns_rfc1035_label credit_card cve luhn_checksum mongodb_connection_string cron`)
	unsaid = strings.Fields(`
		containsany containsrune excludesall excludesrune
		unix_addr uds_exists file filepath dir dirpath image
		html_encoded datetime port unique spicedb iso4217_numeric postcode_iso3166_alpha2
		postcode_iso3166_alpha2_field validateFn iscolor country_code eu_country_code
		eqfield eqcsfield necsfield gtcsfield gtecsfield ltcsfield ltecsfield nefield gtefield gtfield
		ltefield ltfield fieldcontains fieldexcludes`)
	said = strings.Fields(`
		required len min max eq ne lt lte gt gte oneof oneofci eq_ignore_case ne_ignore_case boolean
		contains excludes startswith endswith startsnotwith endsnotwith dive structonly nostructlevel`)
)

// refusesNil says whether a rule is one of the validator's that is not run for a nil pointer,
// which fails.
func refusesNil(name string) bool {
	return patterns[name] != "" || slices.Contains(said, name) || slices.Contains(unsaid, name) ||
		slices.Contains(unsaidFilled, name)
}

// textRule returns what a rule says of texts.
func textRule(name, param string) rule {
	if pattern := patterns[name]; pattern != "" {
		return says(keyword("pattern", pattern))
	}
	if slices.Contains(unsaidFilled, name) {
		return rule{keyword("minLength", 1), true, false}
	}
	literal := regexp.QuoteMeta(param)
	switch name {
	case "oneof":
		return enum(words(param))
	case "boolean":
		return enum(strings.Fields("1 t T TRUE true True 0 f F FALSE false False"))
	case "oneofci":
		return folded(words(param))
	case "eq_ignore_case":
		return folded([]string{param})
	case "ne_ignore_case":
		return not(folded([]string{param}))
	case "datetime":
		if param == "2006-01-02" {
			return says(keyword("format", "date"))
		}
	}
	if !utf8.ValidString(param) {
		return unknown()
	}
	switch name {
	case "contains":
		return says(keyword("pattern", literal))
	case "excludes":
		return not(says(keyword("pattern", literal)))
	case "startswith":
		return says(keyword("pattern", "^"+literal))
	case "startsnotwith":
		return not(says(keyword("pattern", "^"+literal)))
	case "endswith":
		return says(keyword("pattern", literal+"$"))
	case "endsnotwith":
		return not(says(keyword("pattern", literal+"$")))
	}
	if param == "" {
		return unknown()
	}
	switch name {
	case "containsany":
		return says(keyword("pattern", anyOf(param)))
	case "excludesall":
		return not(says(keyword("pattern", anyOf(param))))
	case "containsrune":
		return says(keyword("pattern", anyOf(firstRune(param))))
	case "excludesrune":
		return not(says(keyword("pattern", anyOf(firstRune(param)))))
	}
	return unknown()
}

func not(r rule) rule {
	if r.known {
		r.schema = keyword("not", r.schema)
	}
	return r
}

func enum(list []string) rule {
	if len(list) == 0 {
		return nothing()
	}
	return says(keyword("enum", list))
}

// anyOf is the pattern of a text with one of some characters.
func anyOf(characters string) string {
	var list []string
	for _, r := range characters {
		list = append(list, regexp.QuoteMeta(string(r)))
	}
	return strings.Join(list, "|")
}

func firstRune(text string) string {
	_, n := utf8.DecodeRuneInString(text)
	return text[:n]
}

// folded returns what says that a text is one of several, as strings.EqualFold compares.
func folded(list []string) rule {
	const most = 0xFFFF // of a character that a class holds in ECMAScript
	var words []string
	for _, word := range list {
		var b strings.Builder
		for _, r := range word {
			same := []rune{r}
			for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
				same = append(same, other)
			}
			switch {
			case len(same) == 1:
				b.WriteString(regexp.QuoteMeta(string(r)))
			case slices.Max(same) > most:
				return unknown()
			default:
				slices.Sort(same)
				b.WriteString("[" + string(same) + "]")
			}
		}
		words = append(words, b.String())
	}
	if len(words) == 0 {
		return nothing()
	}
	return says(keyword("pattern", "^(?:"+strings.Join(words, "|")+")$"))
}
