package domain

import (
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// NormalizeEmail gives the one spelling under which an e-mail is unique, or refuses it:
// trimmed, lower case, in NFC, and the domain as people read it, not in Punycode. What a
// person cannot see is refused, since it would make two accounts look like one.
func NormalizeEmail(s string) (string, error) {
	s = norm.NFC.String(lower(norm.NFC.String(s)))
	at := strings.LastIndexByte(s, '@')
	if at < 0 || !readable(s, MaxEmailBytes) {
		return "", invalidEmail()
	}
	host, err := hosts.ToUnicode(s[at+1:])
	if s = s[:at+1] + host; err != nil || !isEmail(s) {
		return "", invalidEmail()
	}
	return s, nil
}

// hosts are the names of domains as they are looked up (UTS 46). Hyphens and underscores
// may be anywhere: there are domains that have them where a registry would not.
var hosts = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.CheckHyphens(false))

// EmailSpellings are the spellings under which the e-mail may have an account: its own
// first, as it was unique before NFC and the form of domains counted, then
// NormalizeEmail's, and for that what could have been typed then. None: it is no e-mail.
func EmailSpellings(s string) (list []string) {
	if own := lower(s); isEmail(own) {
		list = append(list, own)
	}
	if normalized, err := NormalizeEmail(s); err == nil {
		list = append(list, normalized, norm.NFD.String(normalized))
		name, host, _ := strings.Cut(normalized, "@")
		if punycode, err := hosts.ToASCII(host); err == nil {
			list = append(list, name+"@"+punycode)
		}
	}
	for i := len(list) - 1; i > 0; i-- {
		if slices.Contains(list[:i], list[i]) {
			list = slices.Delete(list, i, i+1)
		}
	}
	return list
}

func lower(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// isEmail reports whether a spelling is an address. ParseAddress also takes "Name <a@b>",
// groups ("all:a@b;"), local domains and a@[192.0.2.1]; an account needs none of them.
func isEmail(s string) bool {
	parsed, err := mail.ParseAddress(s)
	return err == nil && parsed.Address == s && len(s) <= MaxEmailBytes &&
		strings.Contains(s[strings.LastIndexByte(s, '@')+1:], ".") && !strings.ContainsFunc(s, foreignToEmail)
}

// foreignToEmail finds what no address of ours has: quoting and comments, broken bytes
// (ToLower writes U+FFFD for them, so several spellings would become one), spaces, and
// what Unicode shows as nothing.
func foreignToEmail(r rune) bool {
	return strings.ContainsRune(`"()<>[]`, r) || r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsGraphic(r)
}

func invalidEmail() error { return Reject(InvalidEmail, "this is not an e-mail address") }
