package handshake

import (
	"crypto/tls"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// names are OpenSSL's of suites.
func names(ids []uint16) string {
	var list []string
	for _, s := range suites {
		if slices.Contains(ids, s.ID) {
			list = append(list, s.OpenSSL)
		}
	}
	return strings.Join(list, ":")
}

const (
	ecdsa128    = "ECDHE-ECDSA-AES128-GCM-SHA256"
	rsa128      = "ECDHE-RSA-AES128-GCM-SHA256"
	ecdsa256    = "ECDHE-ECDSA-AES256-GCM-SHA384"
	rsa256      = "ECDHE-RSA-AES256-GCM-SHA384"
	ecdsaChaCha = "ECDHE-ECDSA-CHACHA20-POLY1305"
	rsaChaCha   = "ECDHE-RSA-CHACHA20-POLY1305"
	all12       = ecdsa128 + ":" + rsa128 + ":" + ecdsa256 + ":" + rsa256 + ":" + ecdsaChaCha + ":" + rsaChaCha
)

var lists = []struct{ list, want string }{
	{"", all12},
	{" ", all12},
	{"HIGH", all12},
	{"DEFAULT", all12},
	{"ALL", all12},
	{"HIGH:!aNULL:!MD5", all12},
	{"HIGH:!aNULL:!MD5:!SHA256:!SHA384:!RSA:!DHE", all12}, // SHA256 is a MAC and RSA a key exchange, which these suites have not
	{"DEFAULT@SECLEVEL", ""},
	{"DEFAULT:@SECLEVEL=2:@STRENGTH", all12},
	{"@STRENGTH", ""},
	{"ECDHE", all12},
	{"EECDH+AESGCM:EDH+AESGCM", ""},
	{"EECDH+AESGCM", ecdsa128 + ":" + rsa128 + ":" + ecdsa256 + ":" + rsa256},
	{"ECDHE+AES128", ecdsa128 + ":" + rsa128},
	{"ECDHE+CHACHA20:ECDHE+aECDSA+AES256", ecdsa256 + ":" + ecdsaChaCha + ":" + rsaChaCha},
	{"aRSA", rsa128 + ":" + rsa256 + ":" + rsaChaCha},
	{rsa256 + ":" + ecdsa128, ecdsa128 + ":" + rsa256},
	{rsa256 + " " + rsa128 + "," + ecdsa128 + ";" + ecdsa256, ecdsa128 + ":" + rsa128 + ":" + ecdsa256 + ":" + rsa256},
	{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", rsa128},
	{"HIGH:!ECDSA:-CHACHA20:+AES256", rsa128 + ":" + rsa256},
	{"HIGH:-CHACHA20:CHACHA20", all12},
	{"HIGH:!CHACHA20:CHACHA20", ecdsa128 + ":" + rsa128 + ":" + ecdsa256 + ":" + rsa256},
	{"HIGH:!HIGH", ""},
	{"!RC4", ""},
	{"RC4", ""},
	{"HIGH:RC4", ""},
	{"high", ""},
	{"HIGH:!anull", ""},
	{"HIGH:!FOO", ""},
	{"HIGH:+-AES", ""},
	{"HIGH+", ""},
	{"AES128-SHA", ""},
	{"DHE-RSA-AES128-GCM-SHA256:" + rsa128, ""},
	{"ECDHE-RSA-AES128-SHA256", ""},
	{"TLS_RSA_WITH_AES_128_CBC_SHA", ""},
	{"TLS_AES_128_GCM_SHA256", ""},
	{"HIGH:!DHE-RSA-AES128-GCM-SHA256:!AES128-SHA", all12},
	{"HIGH:@SECLEVEL=3", ""},
	{"SUITEB128", ""},
}

func TestParseCiphers(t *testing.T) {
	for _, c := range lists {
		ids, err := ParseCiphers(c.list)
		if (err == nil) != (c.want != "") || names(ids) != c.want {
			t.Errorf("%q: %s, %v; wanted %s", c.list, names(ids), err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "ssl_ciphers: ")) {
			t.Errorf("%q: the error is %q", c.list, err)
		}
	}
	for _, c := range []struct{ list, says string }{
		{"HIGH:RC4", `"RC4" is not offered: TLS 1.2 has ` + ecdsa128},
		{"HIGH:!anull", `"anull" is neither`},
		{"TLS_AES_128_GCM_SHA256", `"TLS_AES_128_GCM_SHA256" is of TLS 1.3, whose suites are always offered`},
		{"HIGH:!HIGH", `"HIGH:!HIGH" leaves nothing`},
		{"HIGH:@SECLEVEL=3", `"@SECLEVEL=3" can't be honoured`},
	} {
		if _, err := ParseCiphers(c.list); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v", c.list, err)
		}
	}
}

// opensslProgram skips a test where openssl is not installed.
func opensslProgram(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skipf("openssl(1) is needed, to compare with it: %v", err)
	}
	return path
}

// TestClassesAreOpenSSLs asks OpenSSL which of the suites each word means.
func TestClassesAreOpenSSLs(t *testing.T) {
	openssl := opensslProgram(t)
	var words []string
	words = append(words, strings.Fields(classes12)...)
	words = append(words, strings.Fields(otherClasses)...)
	for _, s := range suites[len(suites)-len12:] {
		words = append(words, strings.Fields(s.keywords)...)
		words = append(words, s.OpenSSL)
	}
	for _, c := range lists {
		if c.want != "" {
			words = append(words, c.list)
		}
	}
	for _, word := range words {
		if strings.TrimSpace(word) == "" || strings.HasPrefix(word, "TLS_") { // IANA's names are not in all releases
			continue
		}
		out, _ := exec.Command(openssl, "ciphers", word).Output() // fails for a word that selects nothing
		theirs := strings.Split(strings.TrimSpace(string(out)), ":")
		ids, _ := ParseCiphers(word)
		for _, s := range suites[len(suites)-len12:] {
			if ours := slices.Contains(ids, s.ID); ours != slices.Contains(theirs, s.OpenSSL) {
				t.Errorf("%s: does it have %s? %v; OpenSSL disagrees", word, s.OpenSSL, ours)
			}
		}
	}
}

func TestSuitesAreCryptoTLSs(t *testing.T) {
	for _, s := range Suites() {
		if tls.CipherSuiteName(s.ID) != s.Name {
			t.Errorf("%#x: %s, not %s", s.ID, s.Name, tls.CipherSuiteName(s.ID))
		}
		ok := slices.ContainsFunc(tls.CipherSuites(), func(c *tls.CipherSuite) bool {
			return c.ID == s.ID && slices.Equal(c.SupportedVersions, []uint16{s.Version})
		})
		if !ok {
			t.Errorf("%s is not a suite of crypto/tls's for %s", s.Name, VersionName(s.Version))
		}
	}
}
