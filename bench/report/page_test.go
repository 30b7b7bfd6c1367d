package report

import (
	"bytes"
	"flag"
	"testing"
)

// fixtureFile is where TestReadBack stores the fixture too, for the test that looks at its page in a browser.
var fixtureFile = flag.String("fixture", "", "store the fixture in this file too")

func TestPage(t *testing.T) {
	var b bytes.Buffer
	if err := Page(&b, fixture()); err != nil {
		t.Fatal(err)
	}
}
