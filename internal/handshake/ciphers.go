package handshake

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// Suite is a cipher suite that is offered.
type Suite struct {
	ID       uint16 // its number at IANA
	Version  uint16 // tls.VersionTLS12 or tls.VersionTLS13: the one version that has it
	Name     string // IANA's name
	OpenSSL  string // OpenSSL's, for ssl_ciphers; the same in TLS 1.3
	keywords string // OpenSSL's words for classes that it belongs to, in TLS 1.2
}

// classes12 are the words of OpenSSL that fit every suite of TLS 1.2 here.
const classes12 = "ALL DEFAULT HIGH TLSv1.2 ECDHE EECDH kECDHE kEECDH ECDH"

var suites = []Suite{
	{tls.TLS_AES_128_GCM_SHA256, tls.VersionTLS13, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", ""},
	{tls.TLS_AES_256_GCM_SHA384, tls.VersionTLS13, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", ""},
	{tls.TLS_CHACHA20_POLY1305_SHA256, tls.VersionTLS13, "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", ""},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.VersionTLS12, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", "aECDSA ECDSA AES AES128 AESGCM FIPS"},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.VersionTLS12, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "aRSA AES AES128 AESGCM FIPS"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.VersionTLS12, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", "aECDSA ECDSA AES AES256 AESGCM FIPS"},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.VersionTLS12, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "aRSA AES AES256 AESGCM FIPS"},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.VersionTLS12, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "aECDSA ECDSA CHACHA20"},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.VersionTLS12, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", "aRSA CHACHA20"},
}

// Suites lists what is offered: those of TLS 1.3 first, which are not for choice, then those that [ParseCiphers] chooses from. The caller
// may change the list.
func Suites() []Suite { return slices.Clone(suites) }

// ParseCiphers reads a list in OpenSSL's words, as ssl_ciphers has it, and returns the suites of TLS 1.2 that it selects, in the order of
// Suites; "" selects all. The order of the list has no effect: crypto/tls has its own. Those of TLS 1.3 are not in such lists.
//
// Words are separated by ':', ',' or blanks. A word is the name of a suite, OpenSSL's or IANA's; a class, such as HIGH or ECDHE; or names and classes
// joined by '+'. In front of it may stand '!' or '-', which take away, or '+', which only orders. @STRENGTH orders too. @SECLEVEL is
// accepted up to 2, the level that is kept anyway.
//
// The error says in one line which word can't be honoured: one that adds nothing that is offered here, or that OpenSSL has not got.
func ParseCiphers(list string) ([]uint16, error) {
	const all = 1<<len12 - 1
	var selected, killed int
	if strings.TrimSpace(list) == "" {
		selected = all
	}
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(":, \t;", r) }) {
		switch {
		case slices.Contains(commands, word):
			continue
		case strings.HasPrefix(word, "@"):
			return nil, fmt.Errorf("ssl_ciphers: %q can't be honoured: @STRENGTH and @SECLEVEL=0 to 2 can", word)
		case strings.HasPrefix(word, "SUITEB"):
			return nil, fmt.Errorf("ssl_ciphers: %q can't be honoured: it is about more than suites", word)
		}
		name := strings.TrimLeft(word, "!-+")
		mark := word[:len(word)-len(name)]
		set, err := match(name)
		if err != nil {
			return nil, err
		}
		switch mark {
		case "":
			if set == 0 {
				return nil, fmt.Errorf("ssl_ciphers: %q is not offered: TLS 1.2 has %s", word, openSSLNames())
			}
			selected |= set &^ killed
		case "!":
			killed |= set
			selected &^= set
		case "-":
			selected &^= set
		case "+":
		default:
			return nil, fmt.Errorf("ssl_ciphers: %q has more than one of !, - and + in front", word)
		}
	}
	var ids []uint16
	for i, s := range suites[len(suites)-len12:] {
		if selected&(1<<i) != 0 {
			ids = append(ids, s.ID)
		}
	}
	if ids == nil {
		return nil, fmt.Errorf("ssl_ciphers: %q leaves nothing of %s", list, openSSLNames())
	}
	return ids, nil
}

// fitsKey says whether a suite of ids, all of TLS 1.2, can be used with a server's key: those of RSA are not for others.
func fitsKey(ids []uint16, rsaKey bool) bool {
	return slices.ContainsFunc(suites, func(s Suite) bool {
		return slices.Contains(ids, s.ID) && hasWord(s.keywords, "aRSA") == rsaKey
	})
}

// len12 is how many suites of TLS 1.2 there are, the last ones of suites. A set of them is an int with a bit for each.
const len12 = 6

// commands are the words with '@' that change nothing.
var commands = []string{"@STRENGTH", "@SECLEVEL=0", "@SECLEVEL=1", "@SECLEVEL=2"}

// match is the set of suites that fit all names and classes of a word.
func match(word string) (set int, err error) {
	set = 1<<len12 - 1
	for part := range strings.SplitSeq(word, "+") {
		var fits int
		known := slices.Contains(strings.Fields(otherClasses), part) || otherSuite(part)
		for i, s := range suites[len(suites)-len12:] {
			if part == s.OpenSSL || part == s.Name || hasWord(classes12, part) || hasWord(s.keywords, part) {
				fits |= 1 << i
				known = true
			}
		}
		for _, s := range suites[:len(suites)-len12] {
			if part == s.Name {
				return 0, fmt.Errorf("ssl_ciphers: %q is of TLS 1.3, whose suites are always offered: the list is for TLS 1.2", part)
			}
		}
		if !known {
			return 0, fmt.Errorf("ssl_ciphers: %q is neither a suite nor a class of OpenSSL's", part)
		}
		set &= fits
	}
	return set, nil
}

func hasWord(words, word string) bool { return slices.Contains(strings.Fields(words), word) }

// openSSLNames are the suites of TLS 1.2 for an error.
func openSSLNames() string {
	var names []string
	for _, s := range suites[len(suites)-len12:] {
		names = append(names, s.OpenSSL)
	}
	return strings.Join(names, ", ")
}

// otherClasses are OpenSSL's words for suites none of which is offered here. They are good for taking away.
const otherClasses = "COMPLEMENTOFDEFAULT COMPLEMENTOFALL MEDIUM LOW EXP EXPORT EXPORT40 EXPORT56 aNULL eNULL NULL kRSA kDHE kEDH DH DHE EDH ADH " +
	"AECDH kECDH kECDHr kECDHe aDSS DSS aDH aECDH TLSv1 TLSv1.0 TLSv1.1 SSLv2 SSLv3 AESCCM AESCCM8 ARIA ARIA128 ARIA256 ARIAGCM CAMELLIA CAMELLIA128 CAMELLIA256 " +
	"3DES DES RC4 RC2 IDEA SEED MD5 SHA SHA1 SHA256 SHA384 RSA aGOST aGOST01 kGOST GOST94 GOST89MAC PSK kPSK aPSK kECDHEPSK kDHEPSK kRSAPSK SRP kSRP aSRP " +
	"CBC KRB5 FZA eFZA kFZA aFZA"

// otherSuite says that a word looks like the name of a suite that is not offered: DHE-RSA-AES256-SHA256, TLS_RSA_WITH_RC4_128_MD5.
func otherSuite(word string) bool {
	if strings.HasPrefix(word, "TLS_") {
		return strings.Contains(word, "_WITH_")
	}
	first, rest, _ := strings.Cut(word, "-")
	return rest != "" && hasWord("DHE ADH AECDH ECDHE ECDH DH EDH AES128 AES256 DES RC4 RC2 IDEA SEED CAMELLIA128 CAMELLIA256 ARIA128 ARIA256 PSK RSA SRP NULL EXP GOST2001 GOST2012 EXP1024", first)
}
