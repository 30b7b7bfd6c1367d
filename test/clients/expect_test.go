package clients

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// expectError compares a client's error, which is its word for the server's
// reply; nil is success.
func expectError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// expectErrorText is for errors that are only told apart by their text.
func expectErrorText(t *testing.T, what string, got error, text string) {
	t.Helper()
	if got == nil || !strings.Contains(got.Error(), text) {
		t.Errorf("%s: %v, want an error that says %q", what, got, text)
	}
}

// expect compares a result that came with no error.
func expect(t *testing.T, what string, got any, err error, want any) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %.100v, %v; want %.100v", what, got, err, want)
	}
}
